"""An answer: what one record of the commands topic brings about, from its bytes to the bytes of its entries.

A record is read, then decided, then written: `draft_answers` does so for the matcher; `answer` makes the same by the ledger's own
definition, for whoever holds entries against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic, time_ns

from msgspec import Struct

from schemas.command import Command
from schemas.commands import Unreadable
from schemas.forms import Fact
from schemas.ledger import bodies, link
from schemas.times import text_of
from services.bus.envelope import Record, read_command
from services.matcher.engine.engine import Engine
from services.matcher.ledger.draft import Draft


class Answer(Struct, frozen=True):
    """One command's entries, but for their hashes.

    Attributes:
        command: as read; an `Unreadable` goes to dead letters as well.
        fund: the entries' key, or None.
        time: the entries' `at`, RFC 3339.
        bodies: the value of each entry without its `hash`, in order.
        trace: the `traceparent` that its entries carry.
    """

    command: Command | Unreadable
    fund: str | None
    time: str
    bodies: list[bytes]
    trace: bytes | None = None


def answer(engine: Engine, record: Record, partitions: int, seq: int) -> Answer:
    """Decide a record and put the decision into entries.

    Args:
        engine: the partition's engine; it is one command further afterwards.
        record: the next record of the partition.
        partitions: how many partitions the topic has.
        seq: the number of the last entry so far.

    Raises:
        ConservationBreach: a defect in the engine, which must then be thrown away.
    """
    command = read_command(record, partitions)
    decision = engine.execute(command)
    event, trace = (None, None) if isinstance(command, Unreadable) else (command.id, command.trace)
    cause = {"id": event, "type": command.type, "offset": record.offset}
    fund, time = decision.fund, text_of(decision.at)
    return Answer(command, fund, time, bodies(seq + 1, fund, time, cause, decision.facts), trace)


def draft_answers(
    engine: Engine,
    records: Sequence[Record],
    start: int,
    end: int,
    partitions: int,
    draft: Draft,
    full: int,
    over: float,
) -> int:
    """Decide records from `start` on, `end` at most, and draft their entries.

    Args:
        engine, partitions: as for `answer`.
        draft: takes the answers, and notes what each came to.
        full: it ends once the draft holds so many bytes …
        over: … or `time.monotonic()` is past this; at least one record is decided.

    Returns:
        The place of the first that is not answered yet.

    Raises:
        ConservationBreach: as `answer`; the draft holds what comes before the record at fault.
    """
    place, traced, verdicts = start, draft.traced, draft.verdicts
    while place < end:
        record = records[place]
        began_ns = 0 if traced is None else time_ns()
        command = read_command(record, partitions)
        fund, at, facts = engine.decide(command)
        if type(command) is Unreadable:
            kind = command.type
            draft.unreadable.append((record, command.detail))
            draft.add(None, at, None, kind, command.offset, facts)
        else:
            sound = command
            kind = sound.type
            draft.add(fund, at, sound.id, kind, sound.offset, facts, sound.trace)
            if traced is not None and sound.trace is not None:
                traced.append((began_ns, sound, sound.trace))
        verdict, of_kind = _verdict(facts), verdicts.get(kind)
        if of_kind is None:
            of_kind = verdicts[kind] = {}
        of_kind[verdict] = of_kind.get(verdict, 0) + 1
        place += 1
        if draft.bytes >= full or monotonic() > over:
            break
    return place


def _verdict(facts: list[Fact]) -> str:
    """What a command came to: `applied`, `duplicate`, or the code of its rejection, which is the last fact, behind those of timers."""
    last = facts[-1] if facts else None
    if not isinstance(last, dict) or last["fact"] not in ("duplicate", "rejected"):
        return "applied"
    return last["code"] if last["fact"] == "rejected" else "duplicate"


def linked(made: Answer, previous: bytes) -> tuple[list[bytes], bytes]:
    """The values of an answer's entries with their hashes, and the last one's 32 hash bytes; `previous` are those before the first."""
    values = []
    for body in made.bodies:
        value, previous = link(previous, body)
        values.append(value)
    return values, previous
