"""Transactions that fail: memory is let go of, and the partition always gets on, however long commands take. Kafka is a stand-in."""

from __future__ import annotations

import asyncio
import gc
import math
import sys
import time
import weakref
from typing import Any

import pytest
from aiokafka.errors import InvalidProducerEpoch, RequestTimedOutError

from services import native
from services.cli.matcher import _settle
from services.errors import Fenced, KafkaUnreachable, Unanswerable
from services.matcher.checkpoint import recovery
from services.matcher.checkpoint.recovery import Recovered
from services.matcher.checkpoint.writing import Keeper
from services.matcher.ledger import answer
from services.matcher.ledger.answer import draft_answers
from services.matcher.ledger.draft import Draft
from services.matcher.ledger.journal import Journal
from services.matcher.ledger.replay import Replay
from services.matcher.partition import batch, processor
from services.matcher.partition.processor import Processor
from tests.properties.test_ways import opened, pledge, raw
from tests.records import CommandRecord

RECORDS = [
    one._replace(offset=n)
    for n, one in enumerate([*opened(), *(pledge(20 + n, {"pledge": f"p-{n}"}) for n in range(400))])
]


class Producer:
    """Takes batches; a transaction that is open for longer than `patience` seconds has been aborted when it is to end."""

    client, end_unanswered = None, False

    def __init__(self, ledger: list[int], patience: float, fails: str) -> None:
        self.ledger, self.patience, self.fails = ledger, patience, fails
        self.sent: list[int] = []
        self.began = 0.0

    async def begin_transaction(self) -> None:
        self.began = time.monotonic()

    async def send_batch(self, sent: Any, topic: str, partition: int) -> asyncio.Future:
        inner = asyncio.get_running_loop().create_future()
        self.sent.append(sent.record_count())
        if self.fails == "send":
            asyncio.get_running_loop().call_soon(inner.set_exception, RequestTimedOutError())
        else:
            inner.set_result(type("Placed", (), {"offset": -1, "topic": topic})())
        return asyncio.shield(inner)

    async def commit_transaction(self) -> None:
        ended = asyncio.get_running_loop().create_future()
        if self.fails == "commit":
            ended.set_exception(RequestTimedOutError())
            await ended
        if time.monotonic() - self.began > self.patience:
            raise InvalidProducerEpoch
        self.ledger.append(sum(self.sent))
        self.sent.clear()

    async def stop(self) -> None:
        """Nothing to stop."""


class Stub(Journal):
    """A journal of such producers."""

    ledger: list[int]
    fails = ""

    async def fence(self) -> None:
        await self.close()
        self._writer._producer = Producer(self.ledger, self.transaction_timeout_ms / 1000, self.fails)


def a_processor(monkeypatch: pytest.MonkeyPatch, seconds: float, fails: str = "") -> tuple[Processor, list[int]]:
    """A processor over a stand-in; and how many entries each of its transactions has appended."""
    made = Processor("nowhere", 0, 1, int(seconds * 1000))
    made.journal = Stub("nowhere", 0, int(seconds * 1000))
    ledger = made.journal.ledger = []
    made.journal.fails = fails

    async def recovered(_partition: int, _written: Any) -> Recovered:
        with recovery.collector_at_rest():
            replay, draft = Replay(0), Draft(0, 0, bytes(32), -1)
            draft_answers(replay.engine, RECORDS, 0, sum(ledger), 1, draft, sys.maxsize, math.inf)
            replay.seq, replay.hash, replay.watermark = draft.seq, draft.hash, draft.watermark
            await asyncio.sleep(0)
            return Recovered(replay, Keeper(), None, None, {})

    monkeypatch.setattr(processor, "recover", recovered)
    return made, ledger


@pytest.mark.parametrize("fails", ["send", "commit"])
async def test_what_a_failed_transaction_remembered_is_let_go_of_though_the_collector_spares_what_is_new(
    monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    at_work, _ledger = a_processor(monkeypatch, 60.0, fails)
    engines: list[weakref.ref] = []

    async def taken() -> None:
        await at_work.take()
        _settle()
        engines.append(weakref.ref(at_work.recovered.replay.engine))

    try:
        await taken()
        for _ in range(4):
            failed = None
            try:
                await at_work.answer(RECORDS)
            except KafkaUnreachable as error:
                failed = str(error)
            assert failed
            await taken()
        await asyncio.sleep(0.01)
        gc.collect()
        assert [engine() is not None for engine in engines] == [False] * 4 + [True]
    finally:
        gc.unfreeze()


async def until_answered(at_work: Processor, ledger: list[int]) -> int:
    """Answer everything, taking the partition anew after each failure; how many there were."""
    failures = 0
    while sum(ledger) < len(RECORDS):
        await at_work.take()
        try:
            await at_work.answer(RECORDS[at_work.next_offset :])
        except (Fenced, KafkaUnreachable):
            failures += 1
            assert failures < 10, f"{sum(ledger)} of {len(RECORDS)} answered"
    return failures


async def test_commands_that_take_long_together_are_answered_in_several_transactions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = answer.read_command

    def slow(*given: Any) -> Any:
        time.sleep(0.002)
        return read(*given)

    at_work, ledger = a_processor(monkeypatch, 0.4)
    monkeypatch.setattr(answer, "read_command", slow)
    assert await until_answered(at_work, ledger) == 0
    assert len(ledger) > 2


async def test_a_command_that_takes_longer_than_a_transaction_may_is_answered_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = answer.read_command

    def slow(record: CommandRecord, *given: Any) -> Any:
        if record.offset == 200:
            time.sleep(0.5)
        return read(record, *given)

    at_work, ledger = a_processor(monkeypatch, 0.4)
    monkeypatch.setattr(answer, "read_command", slow)
    assert await until_answered(at_work, ledger) <= 1


async def test_the_first_transaction_of_a_partition_is_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work, ledger = a_processor(monkeypatch, 60.0)
    monkeypatch.setattr(batch, "TURN_SECONDS", 0.0)
    await at_work.take()
    await at_work.answer(RECORDS)
    assert 0 < ledger[0] < len(RECORDS) == sum(ledger)
    assert len(ledger) == 2, "the second takes all the rest"


async def test_an_error_while_deciding_is_named_what_comes_before_it_is_answered_and_the_rest_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = answer.read_command

    def defect(record: CommandRecord, *given: Any) -> Any:
        if record.offset == 300:
            raise ZeroDivisionError(record.value)
        return read(record, *given)

    at_work, ledger = a_processor(monkeypatch, 60.0)
    monkeypatch.setattr(batch, "TURN_SECONDS", 0.0)
    monkeypatch.setattr(answer, "read_command", defect)
    await at_work.take()
    with pytest.raises(Unanswerable, match=r"command at offset 300: ZeroDivisionError in test_processor.py, line \d+$"):
        await at_work.answer(RECORDS)
    assert not at_work.ready
    assert sum(ledger) == [record.offset for record in RECORDS].index(300)


async def test_what_a_partition_remembers_is_let_go_of_when_it_goes_though_no_collector_looks_at_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_work, _ledger = a_processor(monkeypatch, 60.0)
    gc.disable()
    try:
        await at_work.take()
        await at_work.answer(raw(RECORDS) if native.in_use() else RECORDS)
        [fund] = at_work.recovered.replay.engine.funds.values()
        kept: list[Any] = [one for one in fund.pledges.values() if one.any_awards]
        kept += fund.cases.values()
        assert len(kept) > 50
        del fund
        await at_work.close()
        await asyncio.sleep(0)
        assert {sys.getrefcount(one) for one in kept} == {sys.getrefcount(one) for one in [object()]}, (
            "nobody else has them"
        )
    finally:
        gc.enable()
