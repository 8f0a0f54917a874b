"""A ledger written as the matcher writes it, in transactions, and what must be told of it by the pure audience's word."""

import json
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas.ledger import GENESIS, entries
from schemas.notices import Tidings
from services.bus.envelope import entry_headers
from services.bus.partition import partition_of
from services.bus.topics import LEDGER
from services.notifier.audience import Audience

PARTITIONS = 4
Facts = list[dict[str, Any]]


class Ledger:
    """One fund's partition: writes entries in transactions, and knows what must be told of them."""

    def __init__(self, bootstrap: str, fund: str) -> None:
        self.bootstrap, self.fund, self.partition = bootstrap, fund, partition_of(fund, PARTITIONS)
        self.seq, self.hash, self.audience = 0, GENESIS, Audience(self.partition)
        self.expected: dict[str, Tidings] = {}
        self.at = "2026-11-22T10:00:00Z"

    async def __aenter__(self) -> "Ledger":
        self.producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, transactional_id=f"pumasi-matcher-{self.partition}", acks="all"
        )
        await self.producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.producer.stop()

    async def write(self, *of_commands: Facts) -> None:
        """Append one entry a command, all in one transaction."""
        async with self.producer.transaction():
            for facts in of_commands:
                await self._send(facts)

    async def write_and_abort(self, facts: Facts) -> None:
        kept = self.seq, self.hash
        await self.producer.begin_transaction()
        await self._send(facts, expected=False)
        await self.producer.abort_transaction()
        self.seq, self.hash = kept

    async def _send(self, facts: Facts, expected: bool = True) -> None:
        at = self.at
        cause = {"id": f"e-{self.seq}", "type": "pumasi.pledge.made", "offset": self.seq}
        for seq, value, digest in entries(self.seq + 1, self.hash, self.fund, at, cause, facts):
            await self.producer.send_and_wait(
                LEDGER, value, self.fund.encode(), self.partition, headers=entry_headers(self.partition, seq, at)
            )
            self.seq, self.hash = seq, digest
            if expected:
                self.expected |= {one.id: one for one in self.audience.hear(json.loads(value))}


def opening(fund: str, claim: int) -> Facts:
    return [
        {
            "fact": "fund_configured", "fund": fund, "currency": "CNY", "rule": "urgency-waterfill/1", "share": 10000,
            "weights": "equal", "ageing_days": 7, "deadline_hours": 72, "vouchers_required": 1,
        },
        {
            "fact": "case_submitted", "case": "c-1", "beneficiary": "b-1", "need": "medication", "route": "clinic",
            "goal": claim, "own_contribution": 0, "priority": "asap",
        },
        {"fact": "case_vouched", "case": "c-1", "voucher": "v-1"},
        {"fact": "case_opened", "case": "c-1", "claim": claim, "class": "asap"},
    ]  # fmt: skip


def pledged(number: int, amount: int = 100) -> Facts:
    pledge, why = f"p-{number}", {"class": "asap", "key": 0, "before": 0, "after": amount, "claim": 1}
    return [
        {
            "fact": "pledge_accepted", "pledge": pledge, "donor": f"d-{number}", "amount": amount, "face": amount,
            "currency": "CNY", "rate": "1",
        },
        {"fact": "awarded", "award": f"{pledge}/1", "pledge": pledge, "case": "c-1", "amount": amount, "why": why},
    ]  # fmt: skip


def paid(number: int, amount: int = 100) -> Facts:
    pledge = f"p-{number}"
    return [
        {"fact": "payment_received", "pledge": pledge, "payment": f"pay-{number}", "amount": amount, "face": amount},
        {"fact": "award_settled", "award": f"{pledge}/1", "amount": amount},
        {"fact": "pledge_settled", "pledge": pledge},
    ]


def delivered(amount: int) -> Facts:
    return [{"fact": "case_delivered", "case": "c-1", "delivery": f"del-{amount}", "amount": amount}]
