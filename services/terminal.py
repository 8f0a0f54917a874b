"""The one way to a terminal: a console on which no text from outside is markup, an emoji's name or a control character; and commands
stand as they are called here.

Colours of our own come with a `Text`, a `style`, or `marked`, which is to a line what parameters are to a query:

    console.print(marked("[bold]Kafka[/] answers at [green]{}[/]", bootstrap))
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Span, Text

from services.called import as_called, name
from services.visible import STEERS, visible

_ROOM = 10_000
"""Columns that no line of ours fills."""


class Terminal(Console):
    """A console for text from anywhere. Line feeds pass, so what has to stay on its line goes through `visible` or `marked` first.

    Rich takes the title of a `Panel` and the descriptions of a bar for markup whatever a console says: only words of ours go there.
    """

    def __init__(self, **how: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **how})

    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(as_called(visible(text, lines=True)), **how)

    def print_whole(self, text: Text) -> None:
        """Print a text in the width that there is, but each command on one line, however long: what is copied can be typed."""
        offsets, start = [], 0
        command = rf"`[^`\n]+`|(?<![\w./-]){re.escape(name())} [^`;,\n]+"
        for word in re.finditer(rf"\s*((?:{command}|\S)+)", text.plain):
            if start < word.start() and cell_len(text.plain[start : word.end()]) > self.width:
                offsets.append(start := word.start(1))  # noqa: PERF401  # the next depends on it
        for line in text.divide(offsets):
            line.rstrip()
            self.print(line, soft_wrap=True)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        if isinstance(renderable, Text):
            renderable = _replaced(renderable, STEERS, visible)
        return super().render(renderable, options)


def wide() -> Terminal:
    """A terminal; a pipe has all the room there is."""
    terminal = Terminal()
    if not terminal.is_terminal:
        terminal.width = _ROOM
    return terminal


def fits(shown: RenderableType, console: Console) -> bool:
    """Whether a table has room; where it hasn't, another layout is shown, since money and ids are never cut."""
    return console.measure(shown, options=console.options.update(max_width=_ROOM)).maximum <= console.width


def print_rows(console: Console, rows: Sequence[tuple[str, str]]) -> None:
    """Print sentences beside their times: folded into the width of a terminal, otherwise one line each."""
    timed = any(when for when, _ in rows)
    if not console.is_terminal:
        for when, sentence in rows:
            console.print(Text(visible(f"{when:<16}  {sentence}" if timed else sentence)), soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    if timed:
        table.add_column(style="dim", no_wrap=True)
    table.add_column(ratio=1, overflow="fold")  # Chinese has no blanks to wrap at, and must lose nothing
    for when, sentence in rows:
        table.add_row(*([when] if timed else []), Text(visible(sentence)))
    console.print(table)


def marked(line: str, *values: object) -> Text:
    """A line of ours in Rich's markup, its commands as they are called here. What stands for each `{}` is shown as it is, and stays on
    the line."""
    given = iter(values)
    return _replaced(
        Text.from_markup(as_called(line), emoji=False), re.compile(r"\{\}"), lambda _: visible(str(next(given)))
    )


def _replaced(text: Text, what: re.Pattern[str], by: Callable[[str], str]) -> Text:
    """A text with other words at the places of a pattern, in the styles of those places."""
    places = [place.span() for place in what.finditer(text.plain)]
    if not places:
        return text
    whole = text.blank_copy()
    for part in text.divide(offset for place in places for offset in place):
        if what.fullmatch(part.plain):
            words = by(part.plain)
            part = Text(words, part.style, spans=[Span(0, len(words), span.style) for span in part.spans])
        whole.append_text(part)
    return whole
