"""The matcher service: desks, shared out by the consumer group, each with a partition of its own.

FastStream brings batches of raw records; the consumer group decides who has which partition. Neither is relied on for
correctness: a record that comes twice, late or to the wrong process is told by its offset or by fencing. A desk that fails is taken
anew with back-off, while its neighbours go on; one whose ledger does not hold stops with an alarm, and only that one.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from services.bus.batches import batches, heartbeat_ms
from services.bus.envelope import Record
from services.bus.group import Rebalance, leave_for_good
from services.bus.topics import COMMANDS
from services.errors import ConservationBreach, Fenced, KafkaUnreachable, LedgerTampered, PumasiError, TopicsMismatch
from services.matcher.desk import Desk, by_partition
from services.matcher.journal import hush_told_errors
from services.matcher.restoring import NONE_YET
from services.settings import Settings

GROUP = "pumasi-matcher"
log = logging.getLogger("pumasi.matcher")

_POLL_MS = 20
_RECORDS_PER_POLL_MAX = 8000
_BACKOFF_SECONDS = (0.1, 15.0)
_COMMIT_EVERY_SECONDS = 1.0


class Matcher:
    """All desks of one process.

    Args:
        bootstrap: Kafka's servers.
        settings: timeouts.
        told: called with a short event name and its fields, for the screen.
    """

    def __init__(self, bootstrap: str, settings: Settings, told: Callable[..., None] = lambda *_a, **_k: None) -> None:
        self.bootstrap, self.settings, self.told = bootstrap, settings, told
        self.desks: dict[int, Desk] = {}
        self.stopped: dict[int, PumasiError] = {}
        self._places: dict[int, Any] = {}
        self._takers: dict[int, asyncio.Task] = {}
        self._committed_at = 0.0
        self._heartbeat_ms = heartbeat_ms(settings.session_timeout_ms)
        self.broker, self.subscriber = batches(
            bootstrap,
            COMMANDS,
            GROUP,
            self.on_commands,
            session_timeout_ms=settings.session_timeout_ms,
            poll_ms=_POLL_MS,
            records_max=_RECORDS_PER_POLL_MAX,
            listener=Rebalance(self._revoked, self._assigned),
            group_instance_id=settings.instance,
        )

    async def start(self) -> None:
        """Join the group.

        Raises:
            KafkaError: if no broker answers.
        """
        hush_told_errors(asyncio.get_running_loop())
        await self.broker.start()

    @property
    def held(self) -> set[int]:
        """The partitions that the group gave to this process."""
        return set(self._places)

    async def stop(self) -> None:
        """Finish the transactions at hand, leave the group, let go of all partitions."""
        for taker in self._takers.values():
            taker.cancel()
        await asyncio.gather(*self._takers.values(), return_exceptions=True)
        if self.subscriber.consumer is not None:
            leave_for_good(self.subscriber.consumer)
        await self.broker.stop()
        for desk in self.desks.values():
            await desk.close()

    # What the consumer group tells. FastStream and aiokafka swallow what is raised here, so nothing may be.

    def _revoked(self, revoked: Iterable[Any]) -> None:
        """Let desks rest; whoever gets a partition next fences us, and we keep the memory in case it comes back."""
        for place in revoked:
            self._places.pop(place.partition, None)
            taker = self._takers.pop(place.partition, None)
            if taker is not None:
                taker.cancel()

    def _assigned(self, assigned: Iterable[Any]) -> None:
        """Hold each partition until its desk is ready, then let it run from its own watermark."""
        places = {place.partition: place for place in assigned}
        consumer = self.subscriber.consumer
        if places:
            consumer.pause(*places.values())
        self._places = places
        for partition, place in places.items():
            self._takers[partition] = asyncio.create_task(self._take(partition, place))
        for partition in set(self.desks) - set(places):
            self._takers[partition] = asyncio.create_task(self._let_go(partition))
        self.told("assigned", partitions=sorted(places))

    async def on_commands(self, records: Any) -> None:  # FastStream would build a Pydantic model of a narrower type
        """Answer one poll's records, each partition by its own desk, side by side."""
        await asyncio.gather(*(self._answer(p, part) for p, part in by_partition(records).items()))
        await self._commit_for_lag_tools()

    async def _answer(self, partition: int, records: Sequence[Record]) -> None:
        desk, place = self.desks.get(partition), self._places.get(partition)
        if desk is None or not desk.ready or place is None:
            return  # its taker will seek back to the watermark
        try:
            before = desk.next_offset
            follows = await desk.answer(records)
            if not follows and self._places.get(partition) is place:
                self.subscriber.consumer.seek(place, desk.next_offset)
            elif desk.next_offset != before:
                self.told("answered", partition=partition, commands=desk.next_offset - before, seq=desk.seq)
        except (ConservationBreach, LedgerTampered) as error:
            self._alarm(partition, error)
        except Exception as error:  # noqa: BLE001  # whatever it is: forget, and rebuild from the ledger
            self._log_failure(partition, error)
            place = self._places.get(partition)  # perhaps given to us anew meanwhile, to a desk that still seemed ready
            if place is not None and self._takers[partition].done():
                self.subscriber.consumer.pause(place)
                # Who was fenced may have been put out of the group without knowing yet: let the group tell first.
                least = self._heartbeat_ms / 1000 if isinstance(error, Fenced) else _BACKOFF_SECONDS[0]
                self._takers[partition] = asyncio.create_task(self._take(partition, place, least))

    async def _take(self, partition: int, place: Any, pause: float = 0.0) -> None:
        """Make a desk ready, however often it takes, and let its partition run; wait `pause` seconds first."""
        least, most = _BACKOFF_SECONDS
        while self._places.get(partition) is place and partition not in self.stopped:
            await asyncio.sleep(pause * random.uniform(1.0, 1.5))  # noqa: S311  # spreads retries, decides nothing
            pause = min(most, max(least, pause * 2))
            try:
                desk = self._desk(partition)
                if not desk.ready:
                    await desk.take()
                    self._tell_taken(desk)
                if self._places.get(partition) is place:
                    self.subscriber.consumer.seek(place, desk.next_offset)
                    self.subscriber.consumer.resume(place)
                return
            except (ConservationBreach, LedgerTampered) as error:
                self._alarm(partition, error)
                return
            except Exception as error:  # noqa: BLE001  # whatever it is: try again, with back-off
                self._log_failure(partition, error)

    def _tell_taken(self, desk: Desk) -> None:
        head, without = desk.recovered.head, desk.recovered.without
        if without and desk.seq and without != NONE_YET:
            log.warning("partition %d: no checkpoint was of use: %s; all entries were read", desk.partition, without)
        self.told(
            "taken",
            partition=desk.partition,
            seq=desk.seq,
            watermark=desk.next_offset - 1,
            checkpoint=head.seq if head else None,
            seconds=desk.recovered.seconds,
        )

    def _desk(self, partition: int) -> Desk:
        desk = self.desks.get(partition)
        if desk is None:
            cluster = self.subscriber.consumer._client.cluster
            partitions = len(cluster.partitions_for_topic(COMMANDS) or ())
            if not partitions:
                raise TopicsMismatch(f"{COMMANDS} is missing", hint="Make the topics with `pumasi topics --apply`.")
            desk = Desk(
                self.bootstrap,
                partition,
                partitions,
                self.settings.transaction_timeout_ms,
                self.settings.checkpoint_entries,
                self.settings.checkpoint_seconds,
            )
            self.desks[partition] = desk
        return desk

    async def _let_go(self, partition: int) -> None:
        desk = self.desks.pop(partition, None)
        if desk is not None:
            await desk.close()

    def _alarm(self, partition: int, error: PumasiError) -> None:
        """Stop one partition, loudly; it stays ours and at rest, so that nobody else writes on top."""
        self.stopped[partition] = error
        log.critical("partition %d STOPPED: %s: %s", partition, error.code, error.message)
        self.told("stopped", partition=partition, code=error.code, message=error.message, hint=error.hint)
        place = self._places.get(partition)
        if place is not None:
            self.subscriber.consumer.pause(place)

    def _log_failure(self, partition: int, error: Exception) -> None:
        expected = isinstance(error, Fenced | KafkaUnreachable)
        log.warning(
            "partition %d: %s; forgotten, to be rebuilt", partition, error, exc_info=None if expected else error
        )
        self.told("forgotten", partition=partition, why=str(error) if expected else type(error).__name__)

    async def _commit_for_lag_tools(self) -> None:
        """Tell the group how far we are. Nothing depends on it; a failure is no failure."""
        now = asyncio.get_running_loop().time()
        if now - self._committed_at < _COMMIT_EVERY_SECONDS:
            return
        self._committed_at = now
        offsets = {
            place: self.desks[p].next_offset
            for p, place in self._places.items()
            if p in self.desks and self.desks[p].ready
        }
        if offsets:
            try:
                await self.subscriber.consumer.commit(offsets)
            except Exception as error:  # noqa: BLE001  # a rebalance at this moment, a broker away
                log.debug("group offsets not written: %s", type(error).__name__)
