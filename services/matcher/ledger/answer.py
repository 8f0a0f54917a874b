"""An answer: what one record of the commands topic brings about, from its bytes to the bytes of its entries.

The draft writes what is made here, and the audit makes it again; so there is one way from command to ledger, and no other. What stands
in the chain is made first without its hash: that may be filled in while the next command is being decided.
"""

from __future__ import annotations

from msgspec import Struct

from schemas.commands import Command, Unreadable
from schemas.ledger import bodies, link
from schemas.times import text_of
from services.bus.envelope import Record, read_command
from services.matcher.engine.engine import Engine
from services.matcher.model.entities import FactDict

_NOTHING: FactDict = {"fact": "applied"}


class Answer(Struct, frozen=True):
    """One command's entries, but for their hashes.

    Attributes:
        command: as read; an `Unreadable` goes to dead letters as well.
        verdict: what it came to: the code of the rejection, `duplicate`, or another name of a fact, if it was applied.
        fund: the entries' key, or None.
        time: the entries' `at`, RFC 3339.
        bodies: the value of each entry without its `hash`, in order.
    """

    command: Command | Unreadable
    verdict: str
    fund: str | None
    time: str
    bodies: list[bytes]


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
    event = None if isinstance(command, Unreadable) else command.id
    cause = {"id": event, "type": command.type, "offset": record.offset}
    fund, time = decision.fund, text_of(decision.at)
    facts = decision.facts
    last = facts[-1] if facts else _NOTHING  # a refusal is the last fact, behind those of timers
    verdict = last["fact"]
    if verdict == "rejected":
        verdict = last["code"]
    return Answer(command, verdict, fund, time, bodies(seq + 1, fund, time, cause, facts))


def linked(made: Answer, previous: bytes) -> tuple[list[bytes], bytes]:
    """The values of an answer's entries with their hashes, and the last one's 32 hash bytes; `previous` are those before the first."""
    values = []
    for body in made.bodies:
        value, previous = link(previous, body)
        values.append(value)
    return values, previous
