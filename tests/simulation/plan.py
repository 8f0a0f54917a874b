"""What a seed decides before anything runs: the commands, the sizes, the tempers of clock and network, and the faults.

A plan is data, so a failing one can be cut down: fewer commands, fewer faults, and it is run again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

AT = {
    "EndTxn": 6, "Produce": 5, "AddPartitions": 3, "InitProducerId": 4, "Fetch": 3, "ListOffsets": 3, "JoinGroup": 1, "SyncGroup": 1,
    "Heartbeat": 1, "DescribeProducers": 1, "WriteTxnMarkers": 1, "OffsetCommit": 0.5, "FindCoordinator": 0.5, "Metadata": 0.5,
    "Connect": 0.5, "any": 4,
}  # fmt: skip
"""At which request a fault may come, and how often that is drawn."""
WHAT = {
    "request lost": 3, "request late": 3, "request overtaken": 6, "request slow": 3, "reply lost": 5, "request swallowed": 0.5,
    "reply swallowed": 0.5, "refused": 3,
    "killed before": 3, "killed after": 4, "killed at reply": 3, "paused": 5, "stopped": 1,
    "broker killed": 2, "broker killed after": 3, "timed out": 1.5, "markers slow": 2, "markers skipped": 3,
    "put out of the group": 5, "cut off": 2, "compacted": 4,
}  # fmt: skip
"""What may go wrong, and how often that is drawn."""
_SECONDS = (0.01, 0.1, 0.5, 2.0, 4.0, 8.0, 20.0)
_OVERTAKING_MAX = 8
_ANSWER_BYTES_MAX = 150_000
"""Of what goes into one transaction; a season's last commands may leap over years."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        at: the kind of request at which it happens, or `any`.
        wait: how many such requests pass before, counted from the fault before this one.
        what: what goes wrong.
        seconds: how long it lasts, or how late something comes, if that applies.
        requests: how many requests overtake a late one, if that applies.
    """

    at: str
    wait: int
    what: str
    seconds: float
    requests: int


@dataclass(frozen=True)
class Sizes:
    """What is made small, so that much happens to little: each a constant or a setting of the real code.

    Attributes:
        batch_commands, batch_bytes: `batch.BATCH_COMMANDS_MAX` and `transaction.BATCH_BYTES`.
        records_at_once: `processor.RECORDS_AT_ONCE`, of a checkpoint that is not whole yet.
        entry_facts: facts in an entry, instead of the ledger's 512 KiB, so that answers are split.
        portion, bundle, value_bytes, changed: `checkpoint.PORTION`, `BUNDLE`, `VALUE_BYTES_MAX`, `CHANGED_MAX`.
        checkpoint_entries, checkpoint_seconds: the settings of these names.
    """

    batch_commands: int
    batch_bytes: int
    records_at_once: int
    entry_facts: int
    portion: int
    bundle: int
    value_bytes: int
    changed: int
    checkpoint_entries: int
    checkpoint_seconds: float


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
        seed: all chance comes from it.
        commands: how many at least; with faults still to come, there are more.
        partitions, processes: how many.
        named: whether matchers have names (`PUMASI_INSTANCE`), and so their partitions back at once.
        sizes: see there.
        session_ms, transaction_ms: timeouts.
        latency_seconds, marker_seconds, replica_seconds: at most.
        chunk: commands that are written at once, at most.
        pause_seconds: between two chunks, at most.
        faults: in order.
    """

    seed: int
    commands: int
    partitions: int
    processes: int
    named: bool
    sizes: Sizes
    session_ms: int
    transaction_ms: int
    latency_seconds: float
    marker_seconds: float
    replica_seconds: float
    chunk: int
    pause_seconds: float
    faults: tuple[Fault, ...]

    def random(self, what: str) -> Random:
        """A stream of chance of its own for each purpose, so that a change in one leaves the others alone."""
        return Random(f"{self.seed}/{what}")


BROKER_AWAY = (
    Fault("Produce", 2, "killed after", 0.1, 1),
    Fault("InitProducerId", 0, "request slow", 0.01, 1),
    Fault("ListOffsets", 1, "request slow", 0.01, 1),
    Fault("Fetch", 0, "broker killed", 12.0, 1),
) * 4
"""Again and again whoever takes a partition finds the broker dead in the midst of its recovery, for longer than a recovery waits."""
FENCED_LATE = (
    Fault("Produce", 2, "put out of the group", 0.5, 1),
    Fault("InitProducerId", 0, "request slow", 2.0, 1),
) * 6
"""Again and again a partition goes to another while its owner is at work, and is shut out late."""
CAMPAIGNS = (BROKER_AWAY, FENCED_LATE)
_CAMPAIGNS_PART = 0.08
"""Of all plans, those that follow a campaign: what it leads to would come by chance too rarely."""


def plan_of(seed: int) -> Plan:
    """The plan of a seed."""
    r = Random(f"{seed}/plan")
    number = r.choice([0, 2, 3, 4, 6, 8, 12, 16])
    plan = Plan(
        seed=seed,
        commands=r.choice([6, 10, 16, 24]),
        partitions=r.choice([1, 1, 2]),
        processes=r.choice([2, 2, 3]),
        named=r.random() < 0.3,
        sizes=_sizes(r),
        session_ms=r.choice([6000, 6000, 12_000]),
        transaction_ms=r.choice([10_000, 20_000, 60_000]),
        latency_seconds=r.choice([0.001, 0.005, 0.05]),
        marker_seconds=r.choice([0.002, 0.02, 0.1]),
        replica_seconds=r.choice([0.0005, 0.005, 0.1]),
        chunk=r.choice([1, 3, 6, 12]),
        pause_seconds=r.choice([0.05, 0.5, 2.0]),
        faults=r.choice(CAMPAIGNS) if r.random() < _CAMPAIGNS_PART else tuple(_fault(r) for _ in range(number)),
    )
    return plan if _fits(plan) else replace(plan, sizes=replace(plan.sizes, batch_bytes=1 << 20))


_PART_OF_TIMEOUT = 0.5  # faults take their time, too


def _fits(plan: Plan) -> bool:
    """Whether a large answer, cut into so small batches, gets well through while its transaction may last: they are sent one by one."""
    batches = _ANSWER_BYTES_MAX / plan.sizes.batch_bytes
    return batches * (2 * plan.latency_seconds + plan.replica_seconds) < plan.transaction_ms / 1000 * _PART_OF_TIMEOUT


def _sizes(r: Random) -> Sizes:
    return Sizes(
        batch_commands=r.choice([1, 2, 3, 5, 2000]),
        batch_bytes=r.choice([300, 1200, 1 << 20]),
        records_at_once=r.choice([1, 4, 50_000]),
        entry_facts=r.choice([1, 2, 3, 256]),
        portion=r.choice([1, 3, 500]),
        bundle=r.choice([1, 2, 1000]),
        value_bytes=r.choice([50, 200, 512 * 1024]),
        changed=r.choice([2, 1_000_000, 1_000_000]),
        checkpoint_entries=r.choice([1, 1, 3, 6, 12, 50_000]),
        checkpoint_seconds=r.choice([0.5, 5.0, 300.0]),
    )


def _fault(r: Random) -> Fault:
    at = r.choices(list(AT), list(AT.values()))[0]
    wait = r.choice([0, 0, 1, 2, 4, 9]) * (4 if at == "any" else 1)
    what = r.choices(list(WHAT), list(WHAT.values()))[0]
    return Fault(at, wait, what, r.choice(_SECONDS), r.randint(1, _OVERTAKING_MAX))
