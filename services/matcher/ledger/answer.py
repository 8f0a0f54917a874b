"""An answer: what one record of the commands topic brings about, from its bytes to the bytes of its entries.

The desk writes what is made here, and the audit makes it again; so there is one way from command to ledger, and no other.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.commands import Command, Unreadable
from schemas.ledger import entries
from schemas.times import text_of
from services.bus.envelope import Record, read_command
from services.matcher.engine.engine import Decision, Engine


class Answer(NamedTuple):
    """One command's entries.

    Attributes:
        command: as read, if it was; an `Unreadable` goes to dead letters as well.
        fund: the entries' key, or None.
        time: the entries' `at`, RFC 3339.
        values: number and value of each entry, in order.
        hash: the 32 hash bytes of the last.
    """

    command: Command | Unreadable | None
    fund: str | None
    time: str
    values: list[tuple[int, bytes]]
    hash: bytes


def answer(engine: Engine, record: Record, partitions: int, seq: int, previous: bytes) -> Answer:
    """Decide a record and put the decision into entries.

    Args:
        engine: the partition's engine; it is one command further afterwards.
        record: the next record of the partition.
        partitions: how many partitions the topic has.
        seq: the number of the last entry so far.
        previous: its 32 hash bytes.

    Raises:
        ConservationBreach: a defect in the engine, which must then be thrown away.
    """
    command = read_command(record, partitions)
    event = None if isinstance(command, Unreadable) else command.id
    made = entered(engine.execute(command), event, command.type, record.offset, seq, previous)
    return made._replace(command=command)


def entered(decision: Decision, event: str | None, kind: str | None, offset: int, seq: int, previous: bytes) -> Answer:
    """Put a decision into entries.

    Args:
        decision: the engine's.
        event, kind, offset: its command's `ce_id` and `ce_type`, None if unknown, and offset.
        seq, previous: number and 32 hash bytes of the last entry so far.
    """
    fund, at, facts = decision
    cause = {"id": event, "type": kind, "offset": offset}
    time = text_of(at)
    values = []
    for number, value, digest in entries(seq + 1, previous, fund, time, cause, facts):
        values.append((number, value))
        previous = digest
    return Answer(None, fund, time, values, previous)
