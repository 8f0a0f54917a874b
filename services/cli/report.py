"""`pumasi report`: what only the holder of the reporter's key can tell."""

import asyncio
from typing import Annotated

import typer

from services import keys
from services.bus import access as users
from services.cli.shared import options
from services.cli.shared.bars import reading
from services.cli.shared.helps import Commands
from services.counted import counted
from services.terminal import Terminal
from services.visible import json_line

GROUP = Commands("Reports, for whoever holds the reporter's key.")
_EXAMPLES = """**Examples**

- `pumasi report access`: of every fund of the broker that runs on `.pumasi`
- `PUMASI_KAFKA=k1:9092 PUMASI_KEYS=/media/reporter pumasi report access --fund jilin --json`: of one, with the key from a stick
"""


@GROUP.command(epilog=_EXAMPLES)
def access(
    fund: Annotated[str | None, typer.Option("--fund", metavar="F", help="This fund only: quicker.")] = None,
    kafka: options.Kafka = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Report by province and papers: how many asked, for how much, what was promised to them, how long they waited.

    Cases say where care was sought, and under which papers, in a sealed box. This opens the boxes with `reporter.key` out of
    PUMASI_KEYS, and with the keys before it (`reporter-….key`, see `pumasi keys rotate reporter`); no service has them. No figure
    is about fewer than five people, and none follows by subtraction: a smaller group is told of with all others, and so is the next
    one if they would be fewer than five. Each fund has a table of its own: people go under another word in each, so two can't be
    counted together. `asked` is what donors are asked for, `own` what people pay themselves, `funded` what was promised of the one;
    `days` the median from opening to having all of it. Exit status 1 if the ledger is wrong, or if there are boxes that no key here
    opens (it says how many); 2 if the key is missing, or none opens any.
    """
    from services.console.readmodel.figures import FEWEST
    from services.console.report.access import access_report
    from services.console.report.boxes import asked_in
    from services.console.report.table import show

    settings = options.load(kafka=kafka, data=data)
    ring = keys.private_keys(settings, "reporter")
    with reading(as_json, "ledger and commands") as progress:
        found = asyncio.run(asked_in(options.bootstrap_of(settings, users.REPORTER), ring, fund, progress))
    reports = [access_report(one) for one in found.funds]
    if as_json:
        told = [report.as_dict() for report in reports]
        print(json_line({"suppressed_below": FEWEST, "funds": told, "unopened": found.unopened}))
    else:
        console = Terminal()
        for report in reports:
            show(console, report)
        if not reports:
            console.print("No fund is configured yet.")
        if found.unopened:
            boxes = counted(found.unopened, "box is", "boxes are")
            console.print(f"{boxes} opened by no key here; the cases count among all others.")
    if found.unopened:
        raise typer.Exit(1)
