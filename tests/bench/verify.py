"""What was measured must have been right: outputs are read back and held against the load.

A copy must be a prefix of the load: its count tells which, and the sum of its pledges must be that prefix's. Of a matcher's ledger
every entry's number and hash is checked, that pledges were accepted for what was pledged, and that all of it is matched or waits.
Where somebody claims transactions, there must be some: their ends take offsets that hold no record.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from schemas.ledger import GENESIS, check_link
from services.bus import topics
from services.bus.consume.scan import Extent, TopicReader
from services.errors import PumasiError
from tests.bench.load import Load


class Wrong(PumasiError):
    """An output that isn't what it should be; nothing measured with it counts."""

    code = "bench_wrong"


@dataclass(frozen=True)
class Output:
    """An output that was found right.

    Attributes:
        offsets: of its records, ascending.
        transactions: whether there are offsets without a record, which ends of transactions leave.
        awards: of a ledger, how many.
    """

    offsets: Sequence[int]
    transactions: bool
    awards: int = 0


class _Amount(msgspec.Struct):
    amount: int = 0


class _Fact(msgspec.Struct):
    fact: str
    amount: int | None = None


class _Entry(msgspec.Struct):
    seq: int
    facts: list[_Fact]
    more: bool = False


async def copy(bootstrap: str, topic: str, load: Load) -> Output:
    """Read a copy back.

    Raises:
        Wrong: if it is no prefix of the load.
    """
    offsets, pledged = array("q"), 0
    decode = msgspec.json.Decoder(_Amount).decode
    async with TopicReader(bootstrap) as reader:
        end = (await reader.extents(topic))[0].end
        async for record in reader.records(topic, {0: Extent(0, end)}):
            offsets.append(record.offset)
            pledged += decode(record.value).amount
    count = len(offsets)
    if count > load.commands:
        raise Wrong(f"{count:,} records, of which only {load.commands:,} were to be copied")
    if pledged != load.sums[count]:
        raise Wrong(f"its {count:,} records hold amounts of {pledged}, not of {load.sums[count]}")
    return Output(offsets, end > count)


async def ledger(bootstrap: str, commands: int, pledged: int | None, partition: int = 0) -> Output:
    """Read a partition of the ledger back, once all its commands are answered.

    Args:
        bootstrap: Kafka's servers.
        commands: how many there were, each with one entry.
        pledged: minor units in all, all of it waiting or awarded; None: not looked at.
        partition: which.

    Raises:
        Wrong: if there is a gap, a broken link, or money that doesn't add up.
    """
    offsets, previous, money = array("q"), GENESIS, dict.fromkeys(("pledge_accepted", "awarded", "waiting"), 0)
    decode, awards, answers = msgspec.json.Decoder(_Entry).decode, 0, 0
    async with TopicReader(bootstrap) as reader:
        end = (await reader.extents(topics.LEDGER))[partition].end
        async for record in reader.records(topics.LEDGER, {partition: Extent(0, end)}):
            offsets.append(record.offset)
            entry = decode(record.value)
            previous = check_link(previous, record.value)
            if previous is None or entry.seq != len(offsets):
                raise Wrong(f"entry {len(offsets):,} doesn't follow on the one before")
            answers += not entry.more
            for fact in entry.facts:
                if fact.fact in money:
                    money[fact.fact] += fact.amount or 0
                    awards += fact.fact == "awarded"
    if answers != commands:
        raise Wrong(f"{answers:,} answers to {commands:,} commands")
    if pledged is not None and (money["pledge_accepted"] != pledged or money["awarded"] + money["waiting"] != pledged):
        raise Wrong(f"{pledged} was pledged; the ledger says {money}")
    return Output(offsets, end > len(offsets), awards)


async def audit(bootstrap: str, load: Load) -> None:
    """Hold every byte of partition 0: each command is decided anew.

    Raises:
        Wrong: if anything is other than it was decided then.
    """
    from services.matcher.audit import audit_partition

    result = await audit_partition(bootstrap, 0, 1)
    if result.findings or result.commands != load.commands:
        raise Wrong(f"the audit: {result.findings or result.commands}")
