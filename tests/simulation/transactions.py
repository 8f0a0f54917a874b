"""The transaction coordinator: who may write under a transactional id, and how a transaction of several partitions ends as one.

As Kafka 4.3 treats aiokafka's requests (InitProducerId v0, AddPartitionsToTxn v0, EndTxn v0): "transactions v1", in which one epoch
serves many transactions. An end is decided here, and answered, before the partitions know of it; markers reach each of them in their
own time, and until all have theirs the id takes no other transaction and no other owner.

What is decided stands in the coordinator's own log, so it survives a broker's death; which markers have been written does not, so
they are written again. Or not: a partition without a leader at that moment is taken for deleted, and does without (KAFKA-20734).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from tests.simulation.batches import marker
from tests.simulation.clock import VirtualLoop
from tests.simulation.log import Log

OK = 0
NOT_ENOUGH_REPLICAS, INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE, INVALID_MAPPING, CONCURRENT, NOT_FOUND = (
    19,
    47,
    48,
    49,
    51,
    105,
)

Place = tuple[str, int]


class State(Enum):
    """Of a transaction."""

    EMPTY = "Empty"
    ONGOING = "Ongoing"
    PREPARE_COMMIT = "PrepareCommit"
    PREPARE_ABORT = "PrepareAbort"
    COMMITTED = "CompleteCommit"
    ABORTED = "CompleteAbort"


SETTLING = (State.PREPARE_COMMIT, State.PREPARE_ABORT)


class Transaction:
    """One transactional id.

    Attributes:
        id, producer: its names; the producer's is what stands in batches.
        epoch: the newest; whoever has an older one is shut out.
        partitions: where it may write, and has to be ended.
        began: when it was opened, seconds of virtual time.
    """

    def __init__(self, name: str, producer: int, timeout_ms: int) -> None:
        self.id, self.producer, self.timeout_ms = name, producer, timeout_ms
        self.epoch = -1
        self.state = State.EMPTY
        self.partitions: dict[Place, None] = {}
        self.began = 0.0


class Coordinator:
    """All transactional ids.

    Args:
        loop: the clock.
        logs: all partitions.
        write: writes a marker to a log in its own time, then calls back.
        skipped: of a transaction's partitions, those that are taken for deleted when it is to be ended.
        told: for stories.

    Attributes:
        early_fence: a variant: InitProducerId is answered before the former transaction is settled.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        logs: dict[Place, Log],
        write: Callable[[Log, Callable[[], None], Callable[[], None]], None],
        skipped: Callable[[list[Place]], set[Place]],
        told: Callable[[str], None],
    ) -> None:
        self._loop, self._logs, self._write, self._skipped, self._told = loop, logs, write, skipped, told
        self.early_fence = False
        self.transactions: dict[str, Transaction] = {}

    def init(self, name: str, timeout_ms: int) -> tuple[int, int, int]:
        """InitProducerId: the error code, the producer's id, its new epoch."""
        held = self.transactions.get(name)
        if held is None:
            held = self.transactions[name] = Transaction(name, 1000 + len(self.transactions), timeout_ms)
        if held.state in SETTLING:
            return (CONCURRENT, -1, -1) if not self.early_fence else self._bumped(held)
        held.timeout_ms = timeout_ms
        if held.state is State.ONGOING:
            held.epoch += 1
            self._told(f"{name}: epoch {held.epoch}, and its open transaction is to be aborted")
            self._settle(held, State.PREPARE_ABORT)
            return (CONCURRENT, -1, -1) if not self.early_fence else (OK, held.producer, held.epoch)
        held.state = State.EMPTY
        return self._bumped(held)

    def _bumped(self, held: Transaction) -> tuple[int, int, int]:
        held.epoch += 1
        self._told(f"{held.id}: epoch {held.epoch}")
        return OK, held.producer, held.epoch

    def describe(self, name: str) -> tuple[int, str, int, int]:
        """DescribeTransactions: the error code, the state, the producer's id, its epoch."""
        held = self.transactions.get(name)
        return (NOT_FOUND, "", -1, -1) if held is None else (OK, held.state.value, held.producer, held.epoch)

    def add(self, name: str, producer: int, epoch: int, places: list[Place]) -> int:
        """AddPartitionsToTxn: the error code for all of them."""
        held = self.transactions.get(name)
        if held is None or held.producer != producer:
            return INVALID_MAPPING
        if held.epoch != epoch:
            return INVALID_PRODUCER_EPOCH
        if held.state in SETTLING:
            return CONCURRENT
        if held.state is not State.ONGOING:
            held.state, held.began, held.partitions = State.ONGOING, self._loop.time(), {}
            self._loop.later(held.timeout_ms / 1000, self._overdue, held)
        held.partitions.update(dict.fromkeys(places))
        return OK

    def end(self, name: str, producer: int, epoch: int, *, commits: bool) -> int:
        """EndTxn: the error code."""
        held = self.transactions.get(name)
        if held is None or held.producer != producer:
            return INVALID_MAPPING
        if held.epoch != epoch:
            return INVALID_PRODUCER_EPOCH
        settling, ended = (State.PREPARE_COMMIT, State.COMMITTED) if commits else (State.PREPARE_ABORT, State.ABORTED)
        if held.state is State.ONGOING:
            self._settle(held, settling)
            return OK
        if held.state is settling:
            return CONCURRENT
        return OK if held.state is ended else INVALID_TXN_STATE

    def verify(self, name: str | None, producer: int, epoch: int, place: Place) -> int:
        """What a leader asks before it lets a transaction begin in its partition (KIP-890)."""
        held = self.transactions.get(name or "")
        if held is None or held.producer != producer:
            return INVALID_MAPPING
        if held.epoch != epoch:
            return INVALID_PRODUCER_EPOCH
        if held.state in SETTLING:
            return (
                NOT_ENOUGH_REPLICAS  # what "concurrent transactions" is called to older producers, who then try again
            )
        return OK if held.state is State.ONGOING and place in held.partitions else INVALID_TXN_STATE

    def expire(self, held: Transaction) -> None:
        """A transaction took too long: its epoch is over, what it wrote is aborted."""
        held.epoch += 1
        self._told(f"{held.id}: took too long; aborted, its epoch is over")
        self._settle(held, State.PREPARE_ABORT)

    def _overdue(self, held: Transaction) -> None:
        if held.state is State.ONGOING and self._loop.time() >= held.began + held.timeout_ms / 1000:
            self.expire(held)

    def restart(self) -> None:
        """The broker died and is back: which markers are written is not known, so all are, once more."""
        for held in self.transactions.values():
            if held.state in SETTLING:
                self._settle(held, held.state)

    def _settle(self, held: Transaction, state: State) -> None:
        """Decide a transaction's end, and see to it that every partition hears of it."""
        held.state = state
        skipped = self._skipped(list(held.partitions))
        if skipped:
            self._told(f"{held.id}: no marker for {sorted(skipped)}")
            for place in skipped:
                log = self._logs[place]
                log.owed[held.producer, log.open.get(held.producer)] = state is State.PREPARE_COMMIT
        missing = set(held.partitions) - skipped
        commits = state is State.PREPARE_COMMIT
        if not missing:
            self._complete(held, missing, state)
        for place in [each for each in held.partitions if each not in skipped]:
            log = self._logs[place]

            def written(place: Place = place) -> None:
                missing.discard(place)
                self._complete(held, missing, state)

            def write(log: Log = log, epoch: int = held.epoch) -> None:
                log.append(marker(held.producer, epoch, commits=commits))

            self._write(log, write, written)

    def _complete(self, held: Transaction, missing: set[Place], state: State) -> None:
        if not missing and held.state is state:
            held.state = State.COMMITTED if state is State.PREPARE_COMMIT else State.ABORTED
            held.partitions = {}
