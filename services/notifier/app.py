"""The notifier service: reads the ledger as a group, tells, and only then says how far it has come.

What was told is told at least once, always under one id. A partition's group offset is the place up to which all has been told and
recorded. On taking a partition the audience's memory is rebuilt by reading the ledger from its start: silently up to the group
offset, aloud from there. Where the consumer happens to stand is not trusted: a record that is not the very next entry makes the
memory be rebuilt, one that this process has told already is passed over, and a gap stops the partition.

A new group starts at the ledger's beginning: nothing stays untold. Where a group has no offset (Kafka forgets those of a group that
was away for a week), what stands on the notices topic already is not told again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from itertools import chain, groupby
from operator import attrgetter
from typing import Any

from schemas.notices import Tidings
from services.bus.consume.membership import Rebalance
from services.bus.consume.scan import TopicReader
from services.bus.consume.subscription import batches
from services.bus.consume.tail import read_last
from services.bus.envelope import Record
from services.bus.topics import LEDGER, NOTICES
from services.errors import LedgerTampered, PumasiError
from services.notifier.ledger import Reading
from services.notifier.teller import Teller
from services.settings import Settings

GROUP = "pumasi-notifier"
log = logging.getLogger("pumasi.notifier")

_POLL_MS = 100
_RECORDS_PER_POLL_MAX = 500
_POLL_INTERVAL_MAX_MS = 1_800_000  # a batch may wait for a receiver that is down; see webhook.Patience
_TOLD_TOGETHER_MAX = 64
_PAUSE_SECONDS = 1.0
_FINISH_SECONDS = 5.0
_BREATHE_EVERY = 200
_ALL = 1 << 62


class Stopping(Exception):
    """Told to stop while telling; what isn't recorded is told again after the next start."""


class Notifier:
    """All partitions of one process.

    Args:
        bootstrap: Kafka's servers.
        settings: timeouts.
        teller: who is called to tell.
        told: called with a short event name and its fields, for the screen.
    """

    def __init__(
        self, bootstrap: str, settings: Settings, teller: Teller, told: Callable[..., None] = lambda *_a, **_k: None
    ) -> None:
        self.bootstrap, self.teller, self.told = bootstrap, teller, told
        self.stopped: dict[int, LedgerTampered] = {}
        self.assigned = asyncio.Event()
        """Set once the group has given this process its share, be it nothing."""
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Failed if the service can't go on at all."""
        self._readings: dict[int, Reading] = {}
        self._told_before: set[str] | None = None
        self._stopping = asyncio.Event()
        self.broker, self.subscriber = batches(
            bootstrap,
            LEDGER,
            GROUP,
            self.on_entries,
            session_timeout_ms=settings.session_timeout_ms,
            poll_ms=_POLL_MS,
            records_max=_RECORDS_PER_POLL_MAX,
            poll_interval_max_ms=_POLL_INTERVAL_MAX_MS,
            rebalance_timeout_ms=settings.session_timeout_ms * 3,
            listener=Rebalance(lambda _revoked: None, self._assigned),
        )

    async def start(self) -> None:
        """Join the group.

        Raises:
            KafkaError: if no broker answers.
        """
        await self.broker.start()

    async def stop(self) -> None:
        """Finish telling what is at hand, within seconds, and leave the group."""
        self._stopping.set()
        await self.broker.stop()

    def _assigned(self, assigned: Iterable[Any]) -> None:
        """aiokafka swallows what is raised here, so nothing may be."""
        ours = sorted(place.partition for place in assigned)
        for partition in set(self._readings) - set(ours):
            del self._readings[partition]
        self.assigned.set()
        self.told("assigned", partitions=ours)

    async def on_entries(self, records: Any) -> None:
        """Tell what one poll brought (a sequence of records), partition by partition.

        Raises nothing, since FastStream would go on regardless. `Any`: FastStream makes a model of what is annotated.
        """
        for partition, part in groupby(records, attrgetter("partition")):
            of_partition = list(part)
            if partition in self.stopped or self._stopping.is_set():
                continue
            try:
                await self._hear(partition, of_partition)
            except LedgerTampered as error:
                self._alarm(partition, error)
            except Stopping:
                self._readings.pop(partition, None)
            except BrokenPipeError as error:  # nobody reads our screen any more
                self._readings.pop(partition, None)
                if not self.failed.done():
                    self.failed.set_exception(error)
            except Exception as error:  # noqa: BLE001  # whatever it is: forget, read again, go on
                await self._go_back(of_partition[0], error)

    async def _hear(self, partition: int, records: list[Record]) -> None:
        reading, missed = await self._reading(partition, records[0])
        tidings: list[Tidings] = []
        for record in chain(missed, records):
            if record.offset < reading.next_offset:
                continue  # told by us before the group lost count
            tidings += self._untold(reading.take(record))
            if len(tidings) >= _TOLD_TOGETHER_MAX:
                await self._tell(tidings)
                await self._commit(partition, reading.next_offset)
                tidings = []
        await self._tell(tidings)
        await self._commit(partition, reading.next_offset)
        self._readings[partition] = reading

    async def _reading(self, partition: int, record: Record) -> tuple[Reading, list[Record]]:
        """The reading that `record` follows or is part of, and the records before it that are still to be told."""
        reading = self._readings.pop(partition, None)  # put back once all is told
        if reading is not None and (record.offset < reading.next_offset or reading.precedes(record.value)):
            return reading, []
        reading, missed = Reading(partition), []
        committed = await self.subscriber.consumer.committed(self._place(partition))
        if committed is None:
            await self._look_up_told()
        if record.offset:
            async with TopicReader(self.bootstrap) as reader:
                async for former in reader.between(LEDGER, {partition: 0}, {partition: record.offset}):
                    if former.offset >= (committed or 0):
                        missed.append(former)
                        continue
                    reading.take(former, silent=True)
                    if reading.seq % _BREATHE_EVERY == 0:
                        await asyncio.sleep(0)
        self.told("taken", partition=partition, seq=reading.seq)
        return reading, missed

    async def _look_up_told(self) -> None:
        if self._told_before is None:
            found: set[str] = set()
            await read_last(self.bootstrap, NOTICES, GROUP, _ALL, lambda record: found.update(_ids(record)))
            self._told_before = found

    def _untold(self, tidings: list[Tidings]) -> list[Tidings]:
        return [one for one in tidings if one.id not in self._told_before] if self._told_before else tidings

    async def _tell(self, tidings: list[Tidings]) -> None:
        """Tell in bundles. Raises Stopping if the service stops and the channel does not finish within seconds."""
        for start in range(0, len(tidings), _TOLD_TOGETHER_MAX):
            telling = asyncio.create_task(self.teller.tell(tidings[start : start + _TOLD_TOGETHER_MAX]))
            stopping = asyncio.create_task(self._stopping.wait())
            try:
                await asyncio.wait({telling, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not telling.done():
                    await asyncio.wait({telling}, timeout=_FINISH_SECONDS)
                if not telling.done():
                    raise Stopping
                await telling
            finally:
                stopping.cancel()
                telling.cancel()

    def _place(self, partition: int) -> Any:
        """Raises LookupError if the group has given the partition to somebody else."""
        consumer = self.subscriber.consumer
        for place in consumer.assignment() if consumer else ():
            if place.partition == partition:
                return place
        raise LookupError(f"partition {partition} is no longer ours")

    async def _commit(self, partition: int, offset: int) -> None:
        """Say how far all has been told. If that fails the same notices go out again, under the same ids.

        Raises:
            LookupError: if the partition is no longer ours.
            KafkaError: if the group would not have it.
        """
        await self.subscriber.consumer.commit({self._place(partition): offset})

    async def _go_back(self, record: Record, error: Exception) -> None:
        """Forget the partition and have `record` brought again; what is told then begins at the group offset."""
        partition = record.partition
        self._readings.pop(partition, None)
        why = error.message if isinstance(error, PumasiError) else type(error).__name__
        log.warning("partition %d: %s; to be read again", partition, why)
        self.told("forgotten", partition=partition, why=why)
        try:
            self.subscriber.consumer.seek(self._place(partition), record.offset)
        except LookupError:
            return  # its new owner begins at the group offset
        try:
            await asyncio.wait_for(self._stopping.wait(), _PAUSE_SECONDS)
        except TimeoutError:
            pass

    def _alarm(self, partition: int, error: LedgerTampered) -> None:
        """Stop one partition, loudly; it stays ours, and nobody is told of it."""
        self.stopped[partition] = error
        self._readings.pop(partition, None)
        log.critical("partition %d STOPPED: %s", partition, error.message)
        self.told("stopped", partition=partition, code=error.code, message=error.message, hint=error.hint)


def _ids(record: Record) -> list[str]:
    return [value.decode("ascii", "replace") for name, value in record.headers if name == "ce_id" and value]
