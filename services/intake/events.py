"""The topic door: submissions from `pumasi.submissions.v1`, by FastStream's batch subscription.

FastStream acknowledges first and loses what its parser can't read, unless told otherwise; so the parser here hands raw records on, and
offsets are committed only when every command and every dead letter of the batch is acknowledged. Kafka's troubles and a clock that is
off are waited out, never skipped, and so are our own, with an alarm: the handler does not return until the batch is through. A crash
in between brings the batch again: what has its command already is only acknowledged (`submissions`), and a dead letter is written
once, whoever comes by its record again.

An event that came before and is undecided is waited for, as long as it takes, and so are the records behind it: Kafka's own order. Each
partition waits by itself; one that takes longer than a moment is paused, and the others go on. When the group shares out anew, what is
being published is finished first, the rest is left to whoever gets the partition.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from faststream.kafka import KafkaBroker

from services.backoff import Backoff
from services.bus.client.fetching import Stuck
from services.bus.consume.membership import Rebalance
from services.bus.consume.subscription import batches
from services.bus.deadletters.letter import UNKNOWN, Letter, dead_letter
from services.bus.deadletters.letterbox import Letterbox
from services.bus.envelope import Record
from services.bus.produce.publisher import TROUBLE, Publisher
from services.bus.topics import COMMANDS, DEADLETTERS, SUBMISSIONS
from services.errors import ClockOff, Conflict, Finding, InvalidSubmission, KafkaUnreachable, PumasiError
from services.intake.admission import Admitted, admit
from services.intake.cloudevents import read_record
from services.intake.contacts import Sealer
from services.intake.findings import UNKNOWN_FIELD
from services.intake.receipts import Place
from services.intake.sequencer import Desk
from services.intake.submissions import Submissions
from services.intake.turns import Turns

GROUP = "pumasi-intake"
Refused = tuple[Record, str, Letter]
"""A record, the code of what is wrong with it, and its dead letter."""
log = logging.getLogger("pumasi.intake")

_POLL_MS = 50
_RECORDS_PER_POLL_MAX = 1000
_BACKOFF_SECONDS = (0.2, 5.0)
TRIES_MAX = 5
"""How often a batch may fail while Kafka is in reach before there is an alarm."""
_SAID_AGAIN_SECONDS = 300.0
_HAND_OVER_SECONDS_MAX = 10.0
_STOP_SECONDS = 5.0
_MOMENT_SECONDS = 0.5


class _Leaving(Exception):
    """The partitions are not ours any more, or soon won't be."""


class TopicDoor:
    """The consumer of submissions.

    Args:
        bootstrap: says where Kafka is; may raise KafkaUnreachable.
        desk: publishes commands.
        publisher: tells when Kafka is in reach, and how many partitions there are.
        sealer: as the HTTP door has it.
        session_timeout_ms: silence after which the group gives our partitions to another.
    """

    def __init__(
        self,
        bootstrap: Callable[[], str],
        desk: Desk,
        publisher: Publisher,
        sealer: Sealer,
        session_timeout_ms: int,
    ) -> None:
        self._bootstrap, self._desk, self._publisher, self._sealer = bootstrap, desk, publisher, sealer
        self._session_timeout_ms = session_timeout_ms
        self._broker: KafkaBroker | None = None
        self._subscriber: Any = None
        self._boxes: dict[int, Letterbox] = {}
        self._submissions = Submissions(bootstrap)
        self._leaving = asyncio.Event()
        self._at_work: dict[int, asyncio.Task[None]] = {}
        self._said_at: float | None = None
        self.stuck: set[int] = set()
        """Partitions whose records fail again and again though Kafka is in reach."""

    async def start(self) -> None:
        """Join the group, however often it takes; cancel to give up."""
        backoff = Backoff(*_BACKOFF_SECONDS)
        while True:
            try:
                await self._publisher.in_reach.wait()
                self._broker = self._subscribed(self._bootstrap())
                await self._broker.start()
                return
            except (KafkaUnreachable, *TROUBLE) as error:
                log.warning("the topic door can't open yet (%s); trying again", type(error).__name__)
                await self.stop()
            await asyncio.sleep(backoff.failed())

    @property
    def unreadable(self) -> list[Stuck]:
        """The partitions that can't be read on: nobody can answer what can't be read, so they stand still, loudly."""
        consumer = self._subscriber.consumer if self._subscriber is not None else None
        return consumer.stuck if consumer is not None else []

    async def stop(self) -> None:
        """Leave the group. A batch at hand that is not through yet comes again."""
        await self._leave(_STOP_SECONDS)
        broker, self._broker = self._broker, None
        if broker is not None:
            await broker.stop()
        for box in self._boxes.values():
            await box.close()

    def _subscribed(self, bootstrap: str) -> KafkaBroker:
        broker, self._subscriber = batches(
            bootstrap,
            SUBMISSIONS,
            GROUP,
            self._on_batch,
            session_timeout_ms=self._session_timeout_ms,
            poll_ms=_POLL_MS,
            records_max=_RECORDS_PER_POLL_MAX,
            stop_seconds=_STOP_SECONDS,
            listener=Rebalance(self._on_revoked, self._on_assigned),
        )
        return broker

    async def _on_revoked(self, _partitions: Any) -> None:
        """Let what is being published land, so that whoever has the partitions next sees it on the topic."""
        await self._leave(_HAND_OVER_SECONDS_MAX)

    async def _leave(self, seconds: float) -> None:
        self._leaving.set()
        works = list(self._at_work.values())
        if works:
            await asyncio.wait(works, timeout=seconds)
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)

    def _on_assigned(self, _partitions: Any) -> None:
        self._submissions.forget()
        self.stuck.clear()
        self._leaving.clear()

    async def _on_batch(self, records: Any) -> None:
        """Bring the records of one poll through (`Any`: FastStream makes a model of what is annotated). Nothing may be raised here."""
        parts = [list(part) for _, part in groupby(records, attrgetter("partition"))]
        works = {part[0].partition: asyncio.create_task(self._through(part)) for part in parts}
        self._at_work |= works
        await asyncio.wait(works.values(), timeout=_MOMENT_SECONDS)
        self._subscriber.consumer.pause(*self._places(*self._at_work))

    async def _through(self, records: Sequence[Record]) -> None:
        """Bring the records of a partition through, then acknowledge them."""
        partition, consumer = records[0].partition, self._subscriber.consumer
        try:
            await self._until_through(records)
            await consumer.commit(dict.fromkeys(self._places(partition), records[-1].offset + 1))
        except _Leaving:
            pass  # whoever gets the partition, and be it we, begins where was acknowledged
        except TROUBLE as error:  # another has the partition by now, and will see them again
            log.warning("submissions could not be acknowledged (%s)", type(error).__name__)
        finally:
            self._at_work.pop(partition, None)
            consumer.resume(*self._places(partition))

    def _places(self, *partitions: int) -> list[Any]:
        """Those of our partitions that are still ours."""
        return [place for place in self._subscriber.consumer.assignment() if place.partition in partitions]

    async def _until_through(self, records: Sequence[Record]) -> None:
        """Try until all is written. Whatever fails, the batch is tried again; but never for ever without an alarm."""
        backoff, tries, partition = Backoff(*_BACKOFF_SECONDS), 0, records[0].partition
        while True:
            if self._leaving.is_set():
                raise _Leaving
            await self._publisher.in_reach.wait()
            try:
                await self._bring(records)
                self.stuck.discard(partition)
                return
            except _Leaving:
                raise
            except ClockOff:
                pass  # the clock tells its own alarm
            except Exception as error:  # noqa: BLE001  # no submission may be lost over a defect of ours
                if self._publisher.in_reach.is_set():  # that Kafka is away is told elsewhere
                    tries += 1
                    self._complain(records[0], tries, error)
            self._submissions.forget(partition)  # what was not confirmed may have arrived
            await asyncio.sleep(backoff.failed())

    def _complain(self, first: Record, tries: int, error: Exception) -> None:
        if tries >= TRIES_MAX:
            self.stuck.add(first.partition)
        kinds = " after ".join(type(one).__name__ for one in (error, error.__cause__) if one is not None)
        log.log(
            logging.CRITICAL if tries >= TRIES_MAX else logging.WARNING,
            "submissions from partition %d, offset %d on do not get through: %d tries (%s)",
            first.partition, first.offset, tries, kinds,
        )  # fmt: skip

    async def _bring(self, records: Sequence[Record]) -> None:
        """Commands in the order of their records; what can't be one goes to dead letters."""
        good: list[tuple[Record, Admitted]] = []
        letters: list[Refused] = []
        turns = Turns()
        for record in records:
            await turns.breathe()
            try:
                admitted = admit(read_record(record), self._sealer, clear_contact=False)
                good.append((record, admitted._replace(submission=str(Place(record.partition, record.offset)))))
            except PumasiError as error:
                letters.append(self._letter(record, error.code, told_on_topic(error)))
            except MemoryError:  # of ours, not of the record: the same record can be read another time
                raise
            except Exception as error:  # noqa: BLE001  # a bug of ours must not stop the neighbours
                log.error("a submission could not be checked (%s)", type(error).__name__)
                letters.append(self._letter(record, "internal", f"could not be checked ({type(error).__name__})"))
        await self._refuse(letters)
        if good:
            fresh = await self._submissions.fresh(good, self._publisher.partitions(COMMANDS))
            await self._refuse(await self._let_pass(fresh))

    async def _let_pass(self, good: Sequence[tuple[Record, Admitted]]) -> list[Refused]:
        """All but those in conflict. A conflict refuses a batch whole: from there on they go one by one, to find those at fault."""
        letters, left, together = [], good, len(good)
        while left:
            if self._leaving.is_set():
                raise _Leaving
            try:
                taken = await self._desk.take_decided([admitted for _, admitted in left[:together]])
            except Conflict as error:
                if together > 1:
                    together = 1
                    continue
                letters.append(self._letter(left[0][0], error.code, error.message))
                taken = 1
            if not taken:
                self._waits(left[0][0])
            left = left[taken:]
        return letters

    def _waits(self, record: Record) -> None:
        """Say, once and then rarely, that a record waits."""
        now = asyncio.get_running_loop().time()
        if self._said_at is None or now >= self._said_at + _SAID_AGAIN_SECONDS:
            self._said_at = now
            log.warning(
                "submissions wait for the matcher: partition %d, offset %d came before and is not decided yet",
                record.partition, record.offset,
            )  # fmt: skip

    async def _refuse(self, letters: Sequence[Refused]) -> None:
        if letters and await self._put(letters):
            codes = Counter(code for _, code, _ in letters)
            told = ", ".join(f"{number} {code}" for code, number in sorted(codes.items()))
            log.warning("%d submissions went to dead letters: %s", len(letters), told)

    @staticmethod
    def _letter(record: Record, code: str, why: str) -> Refused:
        return record, code, dead_letter(record, code, why)

    async def _put(self, letters: Sequence[Refused]) -> int:
        """Write the letters that are not written yet; how many these were."""
        written = 0
        for partition in sorted({record.partition for record, _, _ in letters}):
            here = {record.offset: letter for record, _, letter in letters if record.partition == partition}
            written += await self._box(partition).put(here)
        return written

    def _box(self, partition: int) -> Letterbox:
        if partition not in self._boxes:
            place = partition % self._publisher.partitions(DEADLETTERS)
            name = f"{GROUP}-letters-{partition}"
            self._boxes[partition] = Letterbox(self._bootstrap, SUBMISSIONS, partition, place, name)
        return self._boxes[partition]


def told_on_topic(error: PumasiError) -> str:
    """What a dead letter says of an error: where and which, but no name that the sender made up."""
    if not isinstance(error, InvalidSubmission):
        return error.message
    told = dict.fromkeys(f"{_neutral(finding)}: {finding['code']}" for finding in error.findings)
    return "; ".join(told)[:2000]


def _neutral(finding: Finding) -> str:
    """A finding's pointer; the member's own name, where the contract doesn't know it, is `?`."""
    pointer = finding["pointer"]
    return f"{pointer.rpartition('/')[0]}/{UNKNOWN}" if finding["code"] == UNKNOWN_FIELD else pointer
