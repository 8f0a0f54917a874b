"""`pumasi explain`: why there, why not me, from the ledger."""

import asyncio
from difflib import get_close_matches
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.bus import access
from services.called import as_called
from services.cli.shared import options
from services.cli.shared.bars import reading
from services.terminal import Terminal, print_rows
from services.visible import json_line, visible

if TYPE_CHECKING:
    from services.console.explain.telling import Told


Language = Literal["en", "ko", "zh"]
Kind = Literal["case", "pledge", "award"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def _kind(text: str) -> Kind:
    if text in KINDS:
        return text
    if near := get_close_matches(text, KINDS, 1):
        raise typer.BadParameter(f"{visible(text)} is none of these; did you mean {near[0]}?")
    asked = ", or ".join(as_called(f"`pumasi explain {kind} {visible(quote(text))}`") for kind in KINDS)
    raise typer.BadParameter(f"say what it is: {asked}")


EXAMPLES = """**Examples**

- `pumasi explain pledge p-7`: where each part of it went, and why there
- `pumasi explain case c-1 --lang ko`: its story, and why it has no more yet, in Korean
- `pumasi explain award p-7/1 --exact`: what brought it there, and the arithmetic to repeat by hand
"""


def explain(
    kind: Annotated[Kind, typer.Argument(parser=_kind, metavar="case|pledge|award", help="What is asked about.")],
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
    exact: Annotated[
        bool, typer.Option("--exact", help="Of an award: the arithmetic too, in minor units, to repeat by hand.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Explain a case, pledge or award: what was placed, settled and delivered, when, and why there and not elsewhere.

    The answer comes from the ledger alone. Others appear in it as counts and sums only. Exit status 1 if the id is unknown, if the
    ledger is wrong, or if money went where the rule doesn't send it.
    """
    from services.console.explain.explain import explain as ask

    settings = options.load(kafka=kafka, data=data, language=lang)
    with reading(as_json) as progress:
        told = asyncio.run(
            ask(options.bootstrap_of(settings, access.OPERATOR), kind, name, fund, settings.language, progress)
        )
    if as_json:
        print(json_line(told.as_dict()))
    else:
        show(told, Terminal(), exact)
    if told.findings:
        raise typer.Exit(1)


def show(told: "Told", console: "Console", exact: bool = False) -> None:
    """Show an explanation, with the `exact` arithmetic if wanted; on anything but a terminal no line is wrapped."""
    console.print(Text(visible(told.head[0]), style="bold"), soft_wrap=not console.is_terminal)
    for line in told.head[1:]:
        console.print(Text(visible(line)), soft_wrap=not console.is_terminal)
    figures = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 2))
    figures.add_column(style="cyan", overflow="fold")
    figures.add_column(justify="right", overflow="fold")
    for word, amount in told.figures:
        figures.add_row(visible(word), visible(amount))
    console.print(figures)
    for title, rows in told.parts:
        if rows:
            console.print(Text(f"\n{title}", style="bold"))
            print_rows(console, rows)
    if exact and told.exact:
        console.print()
        print_rows(console, [("", line) for line in told.exact])
