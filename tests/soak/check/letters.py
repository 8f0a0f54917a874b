"""Dead letters: one for each record that can't be read, none for any other, with KIP-1034's headers and nothing of a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from tests.soak.check.findings import Findings
from tests.soak.check.records import COMMANDS, SUBMISSIONS, Raw

_PREFIX = "__streams.errors."
_CODES = {
    COMMANDS: {"unreadable"},
    SUBMISSIONS: {"unreadable", "malformed", "invalid_submission", "id_conflict", "unsigned"},
}


class Place(NamedTuple):
    """Where a record lies that a letter speaks of."""

    topic: str
    partition: int
    offset: int


def places_of(records: Iterable[Raw], findings: Findings) -> Counter[tuple[str, int, int]]:
    """How many letters each record has; what a letter says of it is looked at."""
    found: Counter[tuple[str, int, int]] = Counter()
    for record in records:
        where = f"dead letters {record.partition}, offset {record.offset}"
        told = {
            name: record.header(_PREFIX + name) for name in ("exception", "message", "topic", "partition", "offset")
        }
        try:
            place = Place(told["topic"] or "", int(told["partition"] or ""), int(told["offset"] or ""))
        except ValueError:
            findings.add("wrong_letter", where, "its headers name no record")
            continue
        if told["exception"] not in _CODES.get(place.topic, set()) or not told["message"]:
            findings.add("wrong_letter", where, f"its code {told['exception']} is none for {place.topic}")
        if record.header("pumasi.withheld") is None:
            findings.add("wrong_letter", where, "it does not say what is withheld")
        found[place] += 1
        if found[place] > 1:
            findings.add(
                "doubled_letter", where, f"{place.topic} {place.partition}, offset {place.offset} has one already"
            )
    return found


def hold(letters: Counter[tuple[str, int, int]], unreadable: set[tuple[int, int]], findings: Findings) -> None:
    """Hold the letters of the commands topic against its records that can't be read.

    Args:
        letters: how many each record has.
        unreadable: partitions and offsets of these.

    """
    told = {(partition, offset) for topic, partition, offset in letters if topic == COMMANDS}
    for partition, offset in sorted(unreadable - told):
        findings.add(
            "lost_letter", f"commands {partition}, offset {offset}", "it can't be read, and has no dead letter"
        )
    for partition, offset in sorted(told - unreadable):
        findings.add("invented_letter", f"commands {partition}, offset {offset}", "it has a dead letter, and was read")
