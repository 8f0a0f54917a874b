"""`pumasi deadletters`: which records could not be read, why, and putting them back once the reason is gone."""

import asyncio
import re
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.times import parse, text_of
from services.bus import access, topics
from services.cli.shared import options
from services.cli.shared.bars import reading
from services.cli.shared.helps import Commands
from services.errors import UnknownId, UsageError
from services.visible import json_line

if TYPE_CHECKING:
    from services.bus.deadletters.box import Box, DeadLetter, Filter
    from services.bus.deadletters.letter import Letter
    from services.bus.deadletters.put_back import Result

_ABOUT = """Records that could not be read: list them, show one, put them back.

When a service can't read a record, it writes it to pumasi.deadletters.v1, without whatever could identify a person, and goes
on. A dead letter's id is the place of its record: `pumasi.commands.v1-0-41` is partition 0, offset 41 of that topic."""

_LIST_EXAMPLES = """**Examples**

- `pumasi deadletters list --not-replayed`: those not put back yet
- `pumasi deadletters list --source commands --since 2d`: what the matcher could not read in the last two days
- `pumasi deadletters list --code invalid_submission --limit 0 --json`: all of one kind, for a program
"""
_SHOW_EXAMPLES = """**Examples**

- `pumasi deadletters show pumasi.commands.v1-0-41`: why, what is kept of it, and what became of it
- `pumasi deadletters show pumasi.commands.v1-0-41 --json`: the same, with all of the value
"""
_REPLAY_EXAMPLES = """**Examples**

- `pumasi deadletters replay pumasi.commands.v1-0-41`: this one
- `pumasi deadletters replay --source commands --code unreadable --dry-run`: see what would be put back
- `pumasi deadletters replay --source commands --code unreadable`: put them back
"""


GROUP = Commands(_ABOUT)
Source = Annotated[
    str | None, typer.Option(metavar="TOPIC", help="Records of this topic; `commands` is short for pumasi.commands.v1.")
]
Partition = Annotated[int | None, typer.Option(min=0, metavar="N", help="Records of this partition of their topic.")]
Code = Annotated[str | None, typer.Option(metavar="CODE", help="Records of this reason, such as `unreadable`.")]
Since = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="Letters written at or after: RFC 3339, a date (UTC), or `30m`, `12h`, `2d` ago."
    ),
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Letters written before; as --since.")]
Fund = Annotated[str | None, typer.Option(metavar="F", help="Records of this fund, where that can be read.")]


@GROUP.command("list", epilog=_LIST_EXAMPLES)
def list_letters(
    source: Source = None,
    partition: Partition = None,
    code: Code = None,
    since: Since = None,
    until: Until = None,
    fund: Fund = None,
    not_replayed: Annotated[bool, typer.Option("--not-replayed", help="Only those that were not put back.")] = False,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="The latest N; 0: all.")] = 50,
    kafka: options.Kafka = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """List dead letters, oldest first: which record, since when, why, of which fund, and whether it was put back.

    "part withheld" marks a letter that lacks part of its record; it can't be put back. Exit status 0 whatever is found: the service
    that wrote a dead letter has dealt with it. A filter that can't match anything is a wrong option (2).
    """
    from services.cli.deadletters import screen

    wanted = _filter(source, partition, code, since, until, fund)
    bootstrap, box = _read(kafka, data, wanted, quiet=as_json)
    if not box.letters:
        asyncio.run(_refuse_what_nothing_can_match(bootstrap, wanted))
    found = [one for one in _by_time(box) if not (not_replayed and one.id in box.marks)]
    shown = found[-limit:] if limit else found
    if as_json:
        told = [as_dict(one, box) for one in shown]
        print(json_line({"letters": told, "matched": len(found), "shown": len(shown)}))
    else:
        screen.print_list(shown, box, len(found))


@GROUP.command("show", epilog=_SHOW_EXAMPLES)
def show_letter(
    name: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it, such as pumasi.commands.v1-0-41.")],
    kafka: options.Kafka = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Show a dead letter: why, its key, headers and value as far as they are kept, what was withheld, and what became of it.

    Exit status 1 if there is no such letter.
    """
    from services.cli.deadletters import screen

    place = _place(name)
    bootstrap, box = _read(kafka, data, sources=[place.partition], quiet=as_json)
    letter = box.letter(name)
    kept = asyncio.run(_content(bootstrap, letter))
    if as_json:
        print(json_line({**as_dict(letter, box), **_content_as_dict(kept)}))
    else:
        screen.print_letter(letter, kept, box)


@GROUP.command("replay", epilog=_REPLAY_EXAMPLES)
def replay_letters(
    names: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Which letters; or use filters.")] = None,
    source: Source = None,
    partition: Partition = None,
    code: Code = None,
    since: Since = None,
    until: Until = None,
    fund: Fund = None,
    every: Annotated[bool, typer.Option("--all", help="All that were not put back before.")] = False,
    again: Annotated[
        bool,
        typer.Option("--again", help="With filters: include those put back before that could not be read then either."),
    ] = False,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="With filters: the oldest N; 0: all.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    kafka: options.Kafka = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Put records back where they came from, byte for byte, each exactly once, however often this is run.

    A command goes to the end of its partition and gets an entry of its own: `duplicate` if it was applied in the meantime. What still
    can't be read becomes a new dead letter. Filters skip those, so that poison does not go round, and what was put back before. A
    letter that withholds part of its record can't be put back: its sender has to send it again. Exit status 1 if any was refused.
    """
    from services.cli.deadletters import screen

    filters = (source, partition, code, since, until, fund)
    if sum((bool(names), filters.count(None) < len(filters), every)) != 1:
        raise UsageError(
            "say which letters: by their ids, or by filters, or --all", hint="`pumasi deadletters list` shows them."
        )
    sources, wanted = [_place(name).partition for name in names] if names else None, _filter(*filters)
    bootstrap, box = _read(kafka, data, wanted, sources, quiet=as_json, replays=not dry_run)
    if not box.letters and not names:
        asyncio.run(_refuse_what_nothing_can_match(bootstrap, wanted))
    chosen, passed_over = _chosen(box, names, again)
    told = (lambda _result: None) if as_json else screen.result_printer()
    results = _decided(chosen[: limit or None], box, dry_run)
    for result in results:
        told(result)
    done = {result.letter.id for result in results}
    results += asyncio.run(_replay(bootstrap, [one for one in chosen[: limit or None] if one.id not in done], told))
    if as_json:
        print(json_line({**_results_as_dict(results), "passed_over": passed_over, "dry_run": dry_run}))
    else:
        screen.print_results(results, passed_over)
    if any(result.outcome.is_refusal for result in results):
        raise typer.Exit(1)


def as_dict(letter: "DeadLetter", box: "Box") -> dict[str, Any]:
    """A letter as `--json` prints it."""
    mark, again = box.marks.get(letter.id), box.trail(letter)
    return {
        "id": letter.id,
        "at": text_of(letter.at),
        "code": letter.code,
        "message": letter.message,
        "source": letter.source._asdict(),
        "dead_letter": letter.place._asdict(),
        "fund": letter.fund,
        "sender": letter.sender,
        "bytes": letter.size,
        "withheld": letter.withheld_parts,
        "replayable": letter.refusal is None,
        "replay_of": letter.replay_of,
        "replayed": {"at": text_of(mark.at), "to": mark.to._asdict(), "dead_again": again is not None}
        if mark
        else None,
    }


# ---- asking -----------------------------------------------------------------------------------------------------------


def _read(
    kafka: str | None,
    data: Any,
    wanted: "Filter | None" = None,
    sources: list[int] | None = None,
    *,
    quiet: bool,
    replays: bool = False,
) -> "tuple[str, Box]":
    """Where Kafka is, and what is asked of the topic."""
    from services.bus.consume.scan import TopicReader
    from services.bus.deadletters.box import read_box

    user = access.REPLAY if replays else access.OPERATOR
    bootstrap = options.bootstrap_of(options.load(kafka=kafka, data=data), user)

    async def ask(progress: Callable[[int, int], None]) -> "Box":
        async with TopicReader(bootstrap) as reader:
            return await read_box(reader, wanted, progress, sources)

    with reading(quiet, "dead letters") as progress:
        return bootstrap, asyncio.run(ask(progress))


async def _refuse_what_nothing_can_match(bootstrap: str, wanted: "Filter") -> None:
    """Distinguish a filter that nothing can match from one that nothing matches today; called only where nothing was found.

    Raises:
        UsageError: if it is no id of a fund; if there is no such partition; if no letter has the code, and none ever gets it.
    """
    from services.bus.attributes import is_id
    from services.bus.consume.scan import TopicReader
    from services.bus.deadletters.box import DOORS, read_box

    if wanted.fund is not None and not is_id(wanted.fund):
        raise UsageError(f"--fund: {wanted.fund!r} is no id of a fund", hint="It is 1 to 64 of A-Z a-z 0-9 . _ ~ -")
    async with TopicReader(bootstrap) as reader:
        if wanted.partition is not None:
            asked = [wanted.topic] if wanted.topic else DOORS
            last = max([len(await reader.extents(topic)) for topic in asked]) - 1
            if wanted.partition > last:
                raise UsageError(
                    f"--partition: there is no partition {wanted.partition}", hint=f"0 to {last} are there."
                )
        if wanted.code is not None and wanted.code not in _CODES:
            there = sorted({letter.code for letter in (await read_box(reader)).letters.values()})
            if wanted.code not in there:
                raise UsageError(
                    f"--code: no dead letter has the code {wanted.code!r}",
                    hint=f"There are: {', '.join(there)}." if there else "There is no dead letter at all.",
                )


_CODES = ("unreadable", "invalid_submission", "id_conflict", "internal")
"""The codes that services write; another code is known if a letter has it."""


async def _content(bootstrap: str, letter: "DeadLetter") -> "Letter":
    from services.bus.consume.scan import TopicReader
    from services.bus.deadletters.box import contents

    async with TopicReader(bootstrap) as reader:
        kept = await contents(reader, [letter])
    if letter.id not in kept:
        raise UnknownId(f"the dead letter {letter.id} is not kept any more", hint="One is kept for 90 days.")
    return kept[letter.id]


async def _replay(bootstrap: str, letters: "list[DeadLetter]", told: "Callable[[Result], None]") -> "list[Result]":
    from services.bus.deadletters.put_back import replay
    from services.bus.produce.transaction import hush_told_errors

    hush_told_errors(asyncio.get_running_loop())
    return await replay(bootstrap, letters, told)


def _by_time(box: "Box") -> "list[DeadLetter]":
    return sorted(box.letters.values(), key=lambda letter: (letter.at, letter.source))


def _chosen(box: "Box", names: list[str] | None, again: bool) -> "tuple[list[DeadLetter], int]":
    """The letters that are named; or those in the box that were not put back, and how many were skipped."""
    if names:
        return [box.letter(name) for name in dict.fromkeys(names)], 0
    fresh = [letter for letter in _by_time(box) if letter.id not in box.marks]
    first = [letter for letter in fresh if again or letter.replay_of is None]
    return first, len(fresh) - len(first)


def _decided(letters: "list[DeadLetter]", box: "Box", dry_run: bool) -> "list[Result]":
    """Outcomes that are certain without doing anything: of letters with a mark, and in a dry run of all."""
    from services.bus.deadletters.put_back import Outcome, Result

    results = []
    for letter in letters:
        if mark := box.marks.get(letter.id):
            results.append(Result(letter, Outcome.ALREADY_REPLAYED, mark.to))
        elif dry_run:
            results.append(Result(letter, Outcome(letter.refusal or Outcome.WOULD_REPLAY)))
    return results


def _place(name: str) -> Any:
    from services.bus.deadletters.letter import place_of

    place = place_of(name)
    if place is None:
        raise UsageError(
            f"{name!r} is no id of a dead letter", hint="It is <topic>-<partition>-<offset>: pumasi.commands.v1-0-41."
        )
    return place


def _filter(
    source: str | None, partition: int | None, code: str | None, since: str | None, until: str | None, fund: str | None
) -> "Filter":
    from services.bus.deadletters.box import Filter

    return Filter(_topic(source), partition, code, moment(since, "--since"), moment(until, "--until"), fund)


def _topic(name: str | None) -> str | None:
    if name is None:
        return None
    known = [topic.name for topic in topics.wanted_topics()]
    for topic in known:
        if name in (topic, topic.split(".")[1]):
            return topic
    raise UsageError(f"--source: {name!r} is no topic of Pumasi's", hint=f"One of: {', '.join(known)}")


_AGO = re.compile(r"([0-9]{1,6})([mhd])")
_MINUTES = {"m": 1, "h": 60, "d": 24 * 60}


def moment(text: str | None, option: str = "time") -> int | None:
    """Microseconds since 1970 of `2026-11-22T10:00:00Z`, `2026-11-22` (UTC) or `2d` (ago).

    Raises:
        UsageError: if it is none of them.
    """
    if text is None:
        return None
    if match := _AGO.fullmatch(text):
        return time.time_ns() // 1000 - int(match[1]) * _MINUTES[match[2]] * 60_000_000
    try:
        return parse(text if len(text) > len("2026-11-22") else f"{text}T00:00:00Z")
    except ValueError:
        raise UsageError(
            f"{option}: {text!r} is no time", hint="Such as 2026-11-22T10:00:00Z, 2026-11-22, 30m, 12h or 2d."
        ) from None


# ---- telling programs -------------------------------------------------------------------------------------------------


def _content_as_dict(kept: "Letter") -> dict[str, Any]:
    """Key, headers and value as text; a value that is no UTF-8 as base64 instead."""
    value: dict[str, Any] = {"value": None}
    if kept.value is not None:
        try:
            value = {"value": kept.value.decode()}
        except UnicodeDecodeError:
            value = {"value": None, "value_base64": b64encode(kept.value).decode()}
    headers = [[name, _text(text)] for name, text in kept.headers]
    return {"key": _text(kept.key), "headers": headers, **value}


def _text(given: bytes | None) -> str | None:
    return None if given is None else given.decode("utf-8", "replace")


def _results_as_dict(results: "list[Result]") -> dict[str, Any]:
    from services.bus.deadletters.put_back import Outcome
    from services.cli.deadletters.screen import ADVICE

    counts = Counter(result.outcome for result in results)
    told = [
        {
            "id": result.letter.id,
            "outcome": result.outcome.value,
            "to": result.to._asdict() if result.to else None,
            **({"hint": ADVICE[result.outcome]} if result.outcome.is_refusal else {}),
        }
        for result in results
    ]
    return {
        "letters": told,
        "counts": {outcome.value: counts[outcome] for outcome in Outcome},
        "ok": not any(result.outcome.is_refusal for result in results),
    }
