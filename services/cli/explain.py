"""`pumasi explain`: why there, why not me, from the ledger."""

import asyncio
import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli import options

if TYPE_CHECKING:
    from services.console.telling import Told


class Kind(StrEnum):
    """What can be explained."""

    CASE = "case"
    PLEDGE = "pledge"
    AWARD = "award"


class Language(StrEnum):
    """In which language."""

    EN = "en"
    KO = "ko"
    ZH = "zh"


def register(app: typer.Typer) -> None:
    app.command("explain", epilog=_EXAMPLES)(explain)


_EXAMPLES = """**Examples**

- `pumasi explain pledge p-7`: where each part of it went, and why there
- `pumasi explain case c-1 --lang ko`: its story, and why it has no more yet, in Korean
- `pumasi explain award p-7/1 --json`: the arithmetic that brought it there, for a program
"""


def explain(
    kind: Annotated[Kind, typer.Argument(metavar="case|pledge|award", help="What is asked about.")],
    name: Annotated[str, typer.Argument(metavar="ID", help="Its id; an award's is PLEDGE/N.")],
    fund: Annotated[
        str | None,
        typer.Option("--fund", metavar="F", help="Its fund: quicker, and needed if several funds have the id."),
    ] = None,
    lang: Annotated[
        Language | None, typer.Option("--lang", help="Language of the answer.  [default: PUMASI_LANGUAGE, or en]")
    ] = None,
    kafka: options.Kafka = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Explain a case, pledge or award: what was promised, settled and delivered, when, and why there and not elsewhere.

    The answer comes from the ledger alone. Others appear in it as counts and sums only. Exit status 1 if the id is not known, if the
    ledger does not hold, or if it tells of money that the rule does not explain.
    """
    from services.cli.reading import shown_on
    from services.console.explain import explain as ask
    from services.settings import load

    settings = load(kafka=kafka, data=data, language=lang.value if lang else None)
    with shown_on(as_json) as progress:
        told = asyncio.run(ask(options.bootstrap_of(settings), kind.value, name, fund, settings.language, progress))
    if as_json:
        print(json.dumps(told.as_dict(), ensure_ascii=False))
    else:
        _print(told)
    if told.findings:
        raise typer.Exit(1)


def _print(told: "Told") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(told.head[0], style="bold"))
    for line in told.head[1:]:
        console.print(Text(line))
    figures = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 2))
    figures.add_column(style="cyan")
    figures.add_column(justify="right")
    for word, amount in told.figures:
        figures.add_row(word, amount)
    console.print(figures)
    for title, rows in told.parts:
        if not rows:
            continue
        console.print(Text(f"\n{title}", style="bold"))
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        if any(when for when, _ in rows):
            table.add_column(style="dim", no_wrap=True)
        table.add_column(ratio=1)
        for when, sentence in rows:
            table.add_row(*([when] if len(table.columns) > 1 else []), Text(sentence))
        console.print(table)
