"""Ledgers for tests that read them: commands told in short, decided by the engine, written as the matcher writes them."""

import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas.commands import TICK, Command, read_data
from schemas.ledger import GENESIS, entries
from schemas.times import parse, text_of
from services.bus.envelope import command_headers, entry_headers
from services.bus.partition import partition_of
from services.bus.topics import COMMANDS as COMMANDS_TOPIC
from services.bus.topics import LEDGER, MAX_RECORD_BYTES
from services.console.readmodel.model import ReadModel, Watcher
from services.matcher.engine.engine import Engine

PARTITIONS = 4


class Told:
    """One partition's commands and what the engine made of them.

    Attributes:
        commands: `(command, data as JSON bytes)`.
        entries: `(seq, at, value)` as on the ledger topic.
    """

    def __init__(self, fund: str = "jilin", **policy: Any) -> None:
        self.fund = fund
        self.partition = partition_of(fund, PARTITIONS)
        self.engine = Engine()
        self.commands: list[tuple[Command, bytes]] = []
        self.entries: list[tuple[int, str, bytes]] = []
        self._hash = GENESIS
        self.now = parse("2026-11-22T10:00:00Z")
        self("fund.configured", currency="CNY", vouchers_required=0, **policy)

    def __call__(self, kind: str, at: str | None = None, **data: Any) -> list[dict[str, Any]]:
        """Tell a command, a second after the one before or at `at`; the facts it brought."""
        self.now = parse(at) if at else self.now + 1_000_000
        name = f"pumasi.{kind}"
        value = json.dumps({} if name == TICK else {"fund": self.fund, **data}).encode()
        offset = len(self.commands)
        command = Command(name, f"e-{offset}", self.now, read_data(name, value), offset)
        self.commands.append((command, value))
        decision = self.engine.execute(command)
        cause = {"id": command.id, "type": command.type, "offset": offset}
        moment = text_of(decision.at)
        for seq, entry, digest in entries(
            len(self.entries) + 1, self._hash, decision.fund, moment, cause, decision.facts
        ):
            self.entries.append((seq, moment, entry))
            self._hash = digest
        return decision.facts

    def case(self, case: str, goal: int = 1_000_000, priority: str = "asap", **more: Any) -> None:
        """Submit a case, opened at once."""
        told = {"beneficiary": f"b-{case}", "need": "treatment", "route": "clinic", **more}
        self("case.submitted", case=case, goal=goal, priority=priority, **told)

    def pledge(self, pledge: str, amount: int, **more: Any) -> list[dict[str, Any]]:
        """Make a pledge."""
        told = {"donor": f"d-{pledge}", "currency": "CNY", **more}
        return self("pledge.made", pledge=pledge, amount=amount, **told)

    def pay(self, pledge: str, amount: int) -> None:
        """Pay on a pledge."""
        self("payment.received", pledge=pledge, payment=f"y-{len(self.commands)}", amount=amount)

    def read(self, before: Watcher | None = None) -> ReadModel:
        """A read model of it all."""
        model = ReadModel(before)
        for _, _, value in self.entries:
            model.feed(self.partition, json.loads(value))
        return model


async def publish(bootstrap: str, *tellings: Told, commands: bool = True) -> None:
    """Write commands and, in one transaction a partition, entries; then an aborted transaction that must never show."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for told in tellings if commands else ():
            for command, value in told.commands:
                headers = command_headers(command.type, command.id, "/tests", text_of(command.time))
                await producer.send_and_wait(
                    COMMANDS_TOPIC, value, told.fund.encode(), partition=told.partition, headers=headers
                )
    for told in tellings:
        await _append(bootstrap, told, told.entries)
        ghost = [(seq, at, value.replace(b'"seq":', b'"sec":')) for seq, at, value in told.entries[-2:]]
        with suppress(_Abort):
            await _append(bootstrap, told, ghost, abort=True)


class _Abort(Exception):
    pass


async def _append(bootstrap: str, told: Told, rows: Iterable[tuple[int, str, bytes]], abort: bool = False) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        transactional_id=f"tests-{told.partition}",
        max_request_size=2 * MAX_RECORD_BYTES,
    )
    await producer.start()
    try:
        async with producer.transaction():
            for seq, at, value in rows:
                await producer.send_and_wait(
                    LEDGER,
                    value,
                    told.fund.encode(),
                    partition=told.partition,
                    headers=entry_headers(told.partition, seq, at),
                )
            if abort:
                raise _Abort
    finally:
        await producer.stop()
