"""`pumasi notifier`: tells people what the ledger says, until it is told to stop."""

import asyncio
import json
from typing import Annotated

import typer

from services import logs, traces
from services.bus import access
from services.cli.shared import options
from services.cli.shared.results import ready_line
from services.cli.shared.stopping import stop_on_signals
from services.news import Assigned, Ended, NotifierNews, Resumed, Unopened, Waiting
from services.visible import visible

EXAMPLES = """**Examples**

- `pumasi notifier`: on the broker running on `.pumasi`; prints one line for each notice
- `pumasi notifier --json`: prints `{"ready": "notifier"}`, then each notice as a line of JSON, once it is told
- `PUMASI_WEBHOOK_URL=https://… PUMASI_WEBHOOK_SECRET=whsec_… pumasi notifier --quiet`: a signed webhook, nothing else
- `uvicorn services.notifier.app:get_application --factory`: the same, with `/livez` and `/readyz`; settings are PUMASI_* variables
"""


def notifier(
    kafka: options.Kafka = None,
    data: options.Data = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print no notices. Without a webhook nobody is told then.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Tell donors and go-betweens what becomes of pledges and cases, until Ctrl-C or SIGTERM.

    Reads the ledger as the group pumasi-notifier and records each notice on pumasi.notices.v1. The first start tells everything
    from the ledger's beginning; later ones continue where the last one stopped. After a crash some notices come again, under the same
    ids. Waits for Kafka if it isn't there. If a partition's ledger turns out to be wrong, that partition stops and the exit
    status is 1.

    Each notice is also posted to PUMASI_WEBHOOK_URL, signed with PUMASI_WEBHOOK_SECRET. There is no option for it: a URL may hold a
    token, and everybody on this machine sees command lines.
    """
    settings = options.load(kafka=kafka, data=data)
    logs.begin(settings)
    traces.begin(settings, "pumasi-notifier")
    if asyncio.run(_run(settings, quiet, as_json)):
        raise typer.Exit(1)


async def _run(settings: "options.Settings", quiet: bool, as_json: bool) -> bool:
    """True if a partition had to be stopped."""
    from services.notifier import screen as notices
    from services.notifier.app import application_factory
    from services.terminal import Terminal

    view = notices.quiet() if quiet else notices.json_lines() if as_json else notices.pretty(Terminal())
    stopping = stop_on_signals(settings, access.NOTIFIER)
    screen = _Screen(as_json)
    application = application_factory(settings, view, screen.tell)
    notifier, screen.health = application.context.get("notifier"), application.context.get("health").url
    async with application.start_lifespan_context():
        await asyncio.wait({stopping, asyncio.create_task(notifier.over.wait())}, return_when=asyncio.FIRST_COMPLETED)
    if notifier.failed is not None:
        raise notifier.failed
    screen.tell(Ended())
    return bool(notifier.stopped)


class _Screen:
    """What is printed besides notices: on standard error, except the ready line of --json. Failures are in the log."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._said: str | None = None
        self._ready = False
        self.health: str | None = None

    def tell(self, news: NotifierNews) -> None:
        """Print news; the same line is not printed twice in a row."""
        if isinstance(news, Assigned) and not self._ready:
            self._ready = True
            if self._as_json:
                print(json.dumps(ready_line("notifier", self.health)), flush=True)
        line = sentence(news) if isinstance(news, Waiting) or not self._as_json else None
        if line and line != self._said:
            self._said = line
            logs.say(visible(line), type(news).__name__.lower())


def sentence(news: NotifierNews) -> str | None:
    """A notifier's news in words; None for what needs none."""
    match news:
        case Waiting(why):
            return f"Waiting for Kafka: {why}"
        case Assigned(partitions):
            return f"Ready. Telling what happens in partitions {partitions}; Ctrl-C stops."
        case Resumed(partition, seq):
            return f"Partition {partition}: entries up to {seq} were told before." if seq else None
        case Unopened(partition, offset):
            return f"A box on the contacts topic can't be opened: partition {partition}, offset {offset}."
        case Ended():
            return "Stopped cleanly."
