"""The load: cases opened, then pledges, as intake would have written them; all from one seed.

Pledges are lognormal around CNY 100 with a share of CNY 100 (about two and a half awards each), goals heavy-tailed, the four
classes even. Ids have the form and length of those that intake derives. More is asked for than is pledged, so that no pledge has to
wait. One partition holds one fund; several have as many, each with a load of its own.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, count, islice
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer

from services.bus import topics
from services.bus.attributes import is_id
from services.bus.envelope import command_headers
from services.bus.partition import partition_of

FUND = "bench"
SHARE = 10_000
"""Minor units: CNY 100."""
_AT = "2026-11-22T10:00:00Z"
_BATCH_BYTES = 1 << 20
_PRIORITIES = ("routine", "urgent", "asap", "stat")

Row = tuple[str, str, dict[str, Any], str]
"""`ce_type`, `ce_id`, data and `ce_time` of a command."""


@dataclass(frozen=True)
class Load:
    """What each partition holds: so many cases, then so many pledges."""

    cases: int
    pledges: int
    seed: int = 1

    @property
    def title(self) -> str:
        """What it is, in words."""
        return f"{self.pledges:,} plain pledges over {self.cases:,} open cases"

    @property
    def measured(self) -> int:
        """The commands that are measured."""
        return self.pledges

    @property
    def before(self) -> int:
        """Commands before the first pledge: the fund's own, and its cases."""
        return 1 + self.cases

    @property
    def commands(self) -> int:
        """All commands of a partition."""
        return self.before + self.pledges

    def rows(self, partition: int = 0) -> Iterator[Row]:
        """Each command of a partition in order, without its fund."""
        draw = random.Random(f"{self.seed}/{partition}")  # a load, not a secret
        yield "pumasi.fund.configured", event_id(draw), {"currency": "CNY", "share": SHARE, "vouchers_required": 0}, _AT
        scale = max(300_000, 8_000 * self.pledges // self.cases)
        for _ in range(self.cases):
            goal = int(min(draw.paretovariate(1.3), 1000) * scale)
            case = {"case": own_id(draw, "c"), "beneficiary": own_id(draw, "b"), "need": "treatment", "route": "clinic"}
            yield (
                "pumasi.case.submitted",
                event_id(draw),
                case | {"goal": goal, "priority": draw.choice(_PRIORITIES)},
                _AT,
            )
        yield from pledges(draw, self.pledges)

    @cached_property
    def sums(self) -> list[int]:
        """`sums[n]`: of the amounts in the first n commands of partition 0."""
        return self.sums_of(0)

    def sums_of(self, partition: int) -> list[int]:
        """The same of any partition."""
        return [0, *accumulate(data.get("amount", 0) for _kind, _event, data, _at in self.rows(partition))]

    def pledged(self, partition: int = 0) -> int | None:
        """What was pledged in all, minor units."""
        return self.sums_of(partition)[-1]


def pledges(draw: random.Random, count: int) -> Iterator[Row]:
    """So many pledges, each by a donor of its own."""
    for _ in range(count):
        pledge = {"pledge": own_id(draw, "p"), "donor": own_id(draw, "d"), "amount": amount(draw), "currency": "CNY"}
        yield "pumasi.pledge.made", event_id(draw), pledge, _AT


def amount(draw: random.Random) -> int:
    """A pledge's amount, minor units: lognormal around CNY 100."""
    return max(1, int(draw.lognormvariate(9.2, 1)))


def funds(partitions: int) -> list[str]:
    """A fund for each partition, by the number of the partition that it lies in."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < partitions:
        name = f"{FUND}-{number}" if number else FUND
        found.setdefault(partition_of(name, partitions), name)
        number += 1
    return [found[partition] for partition in range(partitions)]


def record(fund: str, row: Row) -> dict[str, Any]:
    """A command as a record to produce: key, value, headers."""
    kind, event, data, at = row
    value = msgspec.json.encode({"fund": fund, **data})
    return {"key": fund.encode(), "value": value, "headers": command_headers(kind, event, "/forms/bench", at)}


async def fill(bootstrap: str, load: Load, partitions: int = 1, *, begin: int = 0, until: int | None = None) -> None:
    """Put the load on the commands topic; record n of a partition has offset n.

    Args:
        bootstrap: Kafka's servers.
        load: of each partition.
        partitions: how many.
        begin, until: only these records of each partition, if what is before is there already.
    """
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=_BATCH_BYTES)
    await producer.start()
    try:
        for partition, fund in enumerate(funds(partitions)):
            batch = producer.create_batch()
            for row in islice(load.rows(partition), begin, until):
                fields = {"timestamp": None, **record(fund, row)}
                if batch.append(**fields) is None:
                    await (await producer.send_batch(batch, topics.COMMANDS, partition=partition))
                    batch = producer.create_batch()
                    batch.append(**fields)
            await (await producer.send_batch(batch, topics.COMMANDS, partition=partition))
    finally:
        await producer.stop()


def own_id(draw: random.Random, kind: str) -> str:
    return f"{kind}-{base64.b32encode(draw.randbytes(15)).decode().lower()}"


def event_id(draw: random.Random) -> str:
    return next(filter(is_id, (f"{draw.getrandbits(128):032x}" for _ in count())))  # what holds a number, intake hashes
