"""How dead letters look on a terminal: one line each where there is room, else two; in a pipe always one."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from schemas.times import text_of
from services.bus.deadletters.box import Box, DeadLetter
from services.bus.deadletters.letter import REMOVED, Letter
from services.bus.deadletters.put_back import Outcome, Result
from services.called import as_called
from services.counted import counted
from services.terminal import fits, wide
from services.visible import visible

ADVICE = {
    Outcome.WITHHELD: "Part of the record is not in its letter: it may tell of a person. Ask its sender to send it again, put right.",
    Outcome.NOT_REPLAYABLE: "Only what lies on the commands and submissions topics can be put back, to a partition that is there.",
    Outcome.GONE: "Kafka has forgotten the letter meanwhile.",
}
"""What an operator can do about a refusal."""

_VALUE_SHOWN_MAX = 1000


def print_list(shown: Sequence[DeadLetter], box: Box, matched: int) -> None:
    """Print letters in the order given; `matched` is how many there are in all."""
    console = wide()
    if not shown:
        console.print("No dead letter is as asked." if matched == 0 else "None is shown.")
        return
    table = _lines(shown, box)
    if fits(table, console):
        _print_without_trailing_blanks(console, table)
    else:
        _print_in_pairs_of_lines(console, shown, box)
    if console.is_terminal:
        some = f" The latest {len(shown)} are shown; --limit 0 shows all." if matched > len(shown) else ""
        console.print(Text(f"\n{counted(matched, 'dead letter')}.{some}", "dim"))


def _lines(shown: Sequence[DeadLetter], box: Box) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("letter", "written (UTC)", "code", "sender", "fund", "why"):
        table.add_column(name, no_wrap=True)
    for letter in shown:
        whose = (visible(one or "–") for one in (letter.whose, letter.fund))
        table.add_row(letter.id, _minute(letter), _coloured(letter), *whose, _why(letter, box))
    return table


def _print_without_trailing_blanks(console: Console, shown: RenderableType) -> None:
    with console.capture() as capture:
        console.print(shown)
    for line in capture.get().splitlines():
        console.out(line.rstrip(), highlight=False)


def _print_in_pairs_of_lines(console: Console, shown: Sequence[DeadLetter], box: Box) -> None:
    """What identifies a letter, and under it why; no id is ever cut."""
    name, code = max(len(letter.id) for letter in shown), max(len(letter.code) for letter in shown)
    for letter in shown:
        head = [Text(f"{letter.id:<{name}}", "cyan"), Text(_minute(letter), "dim")]
        head.append(Text(f"{visible(letter.code):<{code}}", "yellow"))
        head += [Text(visible(one)) for one in (letter.whose, letter.fund) if one]
        console.print(Text("  ").join(head))
        console.print(Padding(_why(letter, box), (0, 0, 0, 4)))


def _why(letter: DeadLetter, box: Box) -> Text:
    told = [Text(visible(letter.message))]
    if letter.replay_of:
        told.append(Text(f"again, after {letter.replay_of}", "dim"))
    if mark := box.marks.get(letter.id):
        told.append(Text(f"put back as {mark.to}", "green"))
    elif letter.refusal:
        told.append(Text("part withheld" if letter.refusal == Outcome.WITHHELD else "can't be put back", "magenta"))
    return Text(" · ").join(told)


def _minute(letter: DeadLetter) -> str:
    return text_of(letter.at)[:16].replace("T", " ")


def _second(at: int) -> str:
    return text_of(at - at % 1_000_000).replace("T", " ").replace("Z", " UTC")


def _coloured(letter: DeadLetter) -> Text:
    return Text(visible(letter.code), "yellow")


# ---- one letter -------------------------------------------------------------------------------------------------------


def print_letter(letter: DeadLetter, kept: Letter, box: Box) -> None:
    """Print a letter with its content."""
    console = wide()
    console.print(Text.assemble((letter.id, "bold cyan"), "  ", _coloured(letter)), soft_wrap=True)
    _print_pairs(console, ((Text(word, "dim"), Text(visible(told))) for word, told in _about(letter, kept, box)))
    console.print(Text("headers", "bold") if kept.headers else Text("no headers", "dim"))
    _print_pairs(console, ((Text(visible(name)), _told(value)) for name, value in kept.headers))
    console.print(Text("value", "bold"))
    console.print(_value(kept.value), soft_wrap=not console.is_terminal)


def _print_pairs(console: Console, pairs: Iterable[tuple[Text, Text]]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold", ratio=1)
    for pair in pairs:
        table.add_row(*pair)
    if table.row_count:
        _print_without_trailing_blanks(console, Padding(table, (0, 0, 0, 2)))


def _told(value: bytes | None) -> Text:
    return Text("null", "dim") if value is None else Text(visible(value.decode("utf-8", "replace")))


def _about(letter: DeadLetter, kept: Letter, box: Box) -> Iterator[tuple[str, str]]:
    mark, again = box.marks.get(letter.id), box.trail(letter)
    yield "why", letter.message
    yield "record", f"{letter.source.topic}, partition {letter.source.partition}, offset {letter.source.offset}"
    yield "letter", f"{letter.place}, written {_second(letter.at)}"
    yield "sender", letter.whose or "–"
    yield "fund", letter.fund or "–"
    yield "key", "null" if kept.key is None else kept.key.decode("utf-8", "replace")
    yield "withheld", _withheld(letter, kept)
    if letter.replay_of:
        yield "comes from", f"{letter.replay_of}, which was put back"
    if mark:
        yield "put back", f"as {mark.to}, {_second(mark.at)}"
        if again:
            yield "", f"where it could not be read again ({again.code}: {again.message})"
    elif letter.refusal:
        yield "put back", "not yet, and can't be. " + ADVICE[Outcome(letter.refusal)]
    else:
        yield "put back", as_called(f"not yet; `pumasi deadletters replay {letter.id}` does it")


def _withheld(letter: DeadLetter, kept: Letter) -> str:
    if letter.withheld is None:
        return "unknown: the letter does not say"
    if not letter.withheld:
        return "nothing: the record is here as it came, byte by byte"
    removed = list(_removed(kept.value))
    return "part of " + " and ".join(letter.withheld) + (f" ({', '.join(removed)})" if removed else "")


def _removed(value: bytes | None) -> Iterator[str]:
    """Pointers (RFC 6901) to what is removed within a value."""

    def within(found: Any, place: str) -> Iterator[str]:
        if isinstance(found, dict):
            for name, inner in found.items():
                if name == REMOVED:
                    yield f"members that nobody knows at {place or 'the top'}"
                else:
                    yield from within(inner, f"{place}/{name}")
        elif isinstance(found, list):
            for number, inner in enumerate(found):
                yield from within(inner, f"{place}/{number}")
        elif found == REMOVED:
            yield place or "the whole"

    try:
        yield from within(json.loads(value or b"null"), "")
    except (ValueError, RecursionError):
        return


def _value(value: bytes | None) -> Text:
    if value is None:
        return Text("  null", "dim")
    text = value.decode("utf-8", "replace")
    if len(value) <= _VALUE_SHOWN_MAX:
        with suppress(ValueError, RecursionError):
            text = json.dumps(json.loads(value), indent=2, ensure_ascii=False)
    text = visible(text, lines=True)
    if len(text) > _VALUE_SHOWN_MAX:
        text = f"{text[:_VALUE_SHOWN_MAX]}\n… {len(value):,} bytes in all; --json has them"
    return Text("\n".join("  " + line for line in text.split("\n")) or "  (empty)")


# ---- putting back -----------------------------------------------------------------------------------------------------


_DONE = {
    Outcome.REPLAYED: ("✓", "green", "put back as {to}", "put back"),
    Outcome.WOULD_REPLAY: ("→", "cyan", "would be put back", "would be put back"),
    Outcome.ALREADY_REPLAYED: ("=", "dim", "was put back before, as {to}", "put back before"),
}
"""What is no refusal: its sign and colour, the words for one letter, and those for a number of them."""


def result_printer() -> Callable[[Result], None]:
    """Prints each result as soon as it is known: whoever interrupts has seen what is done."""
    console = wide()

    def show(result: Result) -> None:
        sign, colour, words, _ = _DONE.get(result.outcome, ("✗", "red", result.outcome.value, ""))
        line = Text.assemble((sign, colour), f" {result.letter.id}  ", (words.format(to=result.to), colour))
        console.print(line, soft_wrap=not console.is_terminal)

    return show


def print_results(results: Sequence[Result], passed_over: int) -> None:
    """Print the sums, and what can be done about refusals; `passed_over` had been put back once already."""
    console = wide()
    if passed_over:
        console.print(
            f"{counted(passed_over, 'dead letter')} of records that were put back once already: passed over; --again takes them in."
        )
    if not results:
        console.print("Nothing is to be put back: no dead letter is as asked, or all were put back before.")
        return
    counts = Counter(result.outcome for result in results)
    refused = sum(number for outcome, number in counts.items() if outcome.is_refusal)
    sums = [f"{counts[outcome]:,} {words}" for outcome, (*_, words) in _DONE.items() if counts[outcome]]
    sums += [f"{refused:,} refused"] if refused else []
    console.print(Text(f"\n{counted(len(results), 'dead letter')}: {', '.join(sums)}."))
    for outcome, advice in ADVICE.items():
        if counts[outcome]:
            console.print(Text.assemble((outcome.value, "red"), f": {advice}"))
