"""The audit: what a command makes is its answer and nothing else is; what waits for one is told, and is a finding once it was left."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.ledger import entries as written
from schemas.times import text_of
from services.bus.envelope import command_headers, entry_headers
from services.cli import audit as command
from services.errors import TopicUnreadable
from services.matcher.audit import Audit, PartitionAudit, hold
from tests.ledgers import PARTITIONS, Told

CAME_MS = 1_800_000_000_000


def season() -> Told:
    told = Told()
    told.case("c-1", 100_000)
    told.pledge("p-1", 60_000)
    told.pledge("p-2", 60_000)
    told.pay("p-1", 60_000)
    return told


def commands(told: Told, seconds_between: float = 0.0) -> list[Any]:
    return [
        SimpleNamespace(
            topic="pumasi.commands.v1", partition=told.partition, offset=command.offset, key=told.fund.encode(), value=value,
            headers=command_headers(command.type, command.id, "/tests", text_of(command.time)),
            timestamp=CAME_MS + int(command.offset * seconds_between * 1000),
        )
        for command, value in told.commands
    ]  # fmt: skip


def entries(told: Told) -> list[Any]:
    return [entry(told, *row) for row in told.entries]


def entry(told: Told, seq: int, at: str, value: bytes | None) -> Any:
    return SimpleNamespace(
        partition=told.partition, offset=seq, value=value, headers=entry_headers(told.partition, seq, at)
    )


async def given(records: Sequence[Any], then: Exception | None = None) -> AsyncIterator[list[Any]]:
    for start in range(0, len(records), 2):
        yield list(records[start : start + 2])
    if then is not None:
        raise then


async def one_by_one(records: Sequence[Any]) -> AsyncIterator[Any]:
    for record in records:
        yield record


async def audited(told: Told, there: Sequence[Any], ledger: Any, **closing: Any) -> PartitionAudit:
    audit = Audit(told.partition, PARTITIONS)
    await hold(audit, given(there) if isinstance(there, list) else there, given(ledger))
    if not audit.equal:
        await audit.follow(one_by_one(ledger))
    return audit.close(**closing)


async def test_a_sound_ledger_holds() -> None:
    told = season()
    found = await audited(told, commands(told), entries(told))
    assert (found.findings, found.commands, found.unanswered, found.unanswered_from) == ([], 5, 0, None)


async def test_it_tells_what_each_fund_comes_to() -> None:
    told = Told()
    told.case("c-1", 10_000)
    told.pledge("p-1", 6_000)
    told.pay("p-1", 5_000)
    told("case.delivered", case="c-1", delivery="h-1", amount=2_000)
    told.pledge("p-2", 5_000)
    told.pledge("p-3", 300)
    told("pledge.withdrawn", pledge="p-3")
    (books,) = (await audited(told, commands(told), entries(told))).books
    assert (books.fund, books.currency, books.promised, books.placed) == ("jilin", "CNY", 11_300, 10_000)
    assert (books.settled, books.delivered, books.waiting, books.released) == (5_000, 2_000, 1_000, 300)


def forged(told: Told, offset: int) -> Any:
    """An entry that somebody else has written, its number and its hash as they should be."""
    before = bytes.fromhex(json.loads(told.entries[offset - 1][2])["hash"])
    row = json.loads(told.entries[offset - 1][2])
    cause = {"id": "x", "type": "y", "offset": offset}
    [(_, value, _)] = written(offset + 1, before, told.fund, row["at"], cause, [])
    return entry(told, offset + 1, row["at"], value)


@pytest.mark.parametrize(
    "what", ["another answer", "no entry", "an answer to what was answered", "an answer to nothing"]
)
async def test_what_somebody_else_wrote_is_no_answer(what: str) -> None:
    told = season()
    theirs = {
        "another answer": forged(told, 3),
        "no entry": entry(told, 4, told.entries[3][1], b"{}"),
        "an answer to what was answered": entry(told, 4, told.entries[3][1], told.entries[2][2]),
        "an answer to nothing": forged(told, 3),
    }[what]
    if what == "an answer to nothing":
        theirs.value = theirs.value.replace(b'"offset":3', b'"offset":99')
    found = await audited(told, commands(told), [*entries(told)[:3], theirs])
    assert (found.commands, found.unanswered, found.unanswered_from) == (3, 2, 3)
    assert found.findings


async def test_what_is_not_as_decided_is_followed_by_itself_and_what_does_not_fit_together_is_told_too() -> None:
    told = season()
    before, row = bytes.fromhex(json.loads(told.entries[3][2])["hash"]), json.loads(told.entries[4][2])
    facts = [fact | ({"amount": 10**9} if fact["fact"] == "award_settled" else {}) for fact in row["facts"]]
    [(_, value, _)] = written(5, before, told.fund, row["at"], row["cause"], facts)
    found = await audited(told, commands(told), [*entries(told)[:4], entry(told, 5, row["at"], value)])
    assert len(found.findings) == 2
    assert found.findings[0].startswith("entry 5: not what the command at offset 4 makes")
    assert "entry 5: it does not conserve money: pledge p-1" in found.findings[1]


async def test_an_answer_that_is_missing_is_named_and_those_behind_it_are_held() -> None:
    told = season()
    kept = entries(told)
    kept[3].value = b"not an entry"
    found = await audited(told, commands(told), kept)
    assert (found.commands, found.unanswered, found.unanswered_from) == (4, 1, 3)
    assert "the answer to the command at offset 3 is missing, and later ones have theirs" in found.findings
    assert not [finding for finding in found.findings if "makes by the rule" in finding]


@pytest.mark.parametrize(
    ("between", "now", "left"),
    [
        (0.0, None, False),
        (20.0, None, False),
        (70.0, None, True),
        (0.0, 30.0, False),
        (0.0, 61.0, True),
        (20.0, 61.0 + 60.0, True),
    ],
    ids=[
        "stopped as a whole",
        "others within a minute",
        "others later",
        "a matcher, just now",
        "a matcher at rest",
        "both",
    ],
)
async def test_commands_may_wait_but_not_be_left(between: float, now: float | None, left: bool) -> None:
    """`between` commands and `now` in seconds, from the first that waits; `now` if a matcher runs."""
    told = season()
    there = commands(told, between)
    now_ms = None if now is None else there[3].timestamp + int(now * 1000)
    found = await audited(told, there, entries(told)[:3], now_ms=now_ms)
    assert (found.commands, found.unanswered, found.unanswered_from) == (3, 2, 3)
    assert found.unanswered_since == text_of(there[3].timestamp * 1000)
    told_of = f"2 commands have no answer, the first (offset 3) since {found.unanswered_since}"
    assert found.findings == ([told_of] if left else [])


async def test_commands_that_can_not_be_read_are_a_finding_and_explain_nothing_away() -> None:
    told = season()
    unreadable = TopicUnreadable(
        {told.partition: "partition 0 of pumasi.commands.v1 can't be read at offset 3: unknown codec 5"}
    )
    found = await audited(told, given(commands(told)[:3], unreadable), entries(told))
    assert found.findings == [unreadable.message]
    assert (found.commands, found.entries) == (3, 5)


def test_how_long_it_will_take_is_told_before_every_partition_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: dict[str, Any] = {}

    class Bars(nullcontext[Any]):
        def __enter__(self) -> Bars:
            return self

        def add_task(self, _what: str, total: int | None) -> int:
            shown["total"] = total
            return 0

        def update(self, _task: int, **more: int) -> None:
            shown.update(more)

    async def looked_up(_bootstrap: str) -> tuple[int, int, bool]:
        return 4, 1_000, False

    def audit_all(_bootstrap: str, _partitions: int, progress: Any, **_more: Any) -> list[PartitionAudit]:
        for partition, done in ((0, 100), (1, 50), (0, 250)):  # the others wait for a processor
            progress(partition, done, 250)
        return []

    monkeypatch.setattr("services.cli.audit.bars", lambda *_: Bars())
    monkeypatch.setattr("services.cli.audit._looked_up", looked_up)
    monkeypatch.setattr("services.matcher.audit.audit_all", audit_all)
    command._audit("nowhere", quiet=False)
    assert shown == {"total": 1_000, "completed": 300}
