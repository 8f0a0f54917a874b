"""The senders: each brings its events through a door, in order, again and again until it hears yes, at either intake.

What is due goes in one batch; what waited while a door was shut goes in larger ones as soon as it opens, so the load stays what it was.
A conflict goes alone, since a batch that holds one is refused whole.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import httpx

from services.bus.partition import partition_of
from services.bus.produce.publisher import Outgoing, Publisher
from services.bus.topics import COMMANDS, SUBMISSIONS
from services.errors import KafkaUnreachable
from services.senders import Issued, signed
from tests.soak.load import Event, Load
from tests.soak.poison import poison
from tests.soak.sent import Sent, digest_of

BATCH_MAX = 200
_AHEAD_S = 1.0
_ROUND_S = 0.2
_PAUSE_S = 0.3
_ANSWER_S = 15.0
_AGAIN = {408, 429, 500, 502, 503, 504}
_CONTENT_TYPE = {"content-type": "application/cloudevents-batch+json"}


class Doors:
    """All senders of a soak.

    Args:
        load: what is sent.
        https: where the intakes listen; asked at every attempt, since one may be starting.
        kafka: where the broker answers.
        sender: who sends.
        sent: where it is written down.

    """

    def __init__(self, load: Load, https: Callable[[], Sequence[str]], kafka: str, sender: Issued, sent: Sent) -> None:
        self._load, self._https, self._sender, self._sent = load, https, sender, sent
        key = {"authorization": f"Bearer {sender.key}"}
        self._client = httpx.AsyncClient(headers=key, timeout=_ANSWER_S, trust_env=False)
        self._publisher = Publisher(lambda: kafka, [SUBMISSIONS, COMMANDS], "pumasi-soak", told=lambda _line: None)
        self._queues: list[deque[Event]] = [deque() for _ in range(load.senders)]
        self._at_hand: list[float | None] = [None] * load.senders  # when what is being sent was due
        self._ended = False
        self._began = 0.0

    async def open(self) -> None:
        """Send the opening, and return once it is acknowledged."""
        self._publisher.start()
        self._began = time.monotonic()
        for event in self._load.opening():
            self._queues[event.sender].append(event)
        self._ended = True
        await asyncio.gather(*map(self._send_all, range(len(self._queues))))

    async def run(self, stopping: asyncio.Event, goes_on: Callable[[], bool]) -> None:
        """Send everything at its time; return once all is acknowledged. `stopping` ends the load early; see `Load.events`."""
        self._began, self._ended = time.monotonic(), False
        senders = [asyncio.create_task(self._send_all(number)) for number in range(len(self._queues))]
        try:
            for event in self._load.events(goes_on):
                while event.due_s > self.elapsed_s + _AHEAD_S and not stopping.is_set():
                    await asyncio.sleep(_ROUND_S)
                if stopping.is_set():
                    break
                self._queues[event.sender].append(event)
            self._ended = True
            await asyncio.gather(*senders)
        finally:
            for sender in senders:
                sender.cancel()
            await asyncio.gather(*senders, return_exceptions=True)

    async def close(self) -> None:
        """Close the ways."""
        await self._client.aclose()
        await self._publisher.stop()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self._began

    @property
    def late_s(self) -> float:
        """How late the oldest event is that is still on its way, seconds; grows while a door is shut."""
        return self.elapsed_s - min((due for due in self._at_hand if due is not None), default=self.elapsed_s)

    async def _send_all(self, number: int) -> None:
        queue = self._queues[number]
        while True:
            due = self._due(queue)
            if not due:
                if self._ended and not queue:
                    return
                await asyncio.sleep(_ROUND_S)
                continue
            self._at_hand[number] = due[0].due_s
            for batch in batches(due):
                await self._until_heard(batch, number)
            self._at_hand[number] = None

    def _due(self, queue: deque[Event]) -> list[Event]:
        found: list[Event] = []
        while queue and len(found) < BATCH_MAX and queue[0].due_s <= self.elapsed_s:
            found.append(queue.popleft())
        return found

    async def _until_heard(self, batch: Sequence[Event], turn: int) -> None:
        if batch[0].sent_as == "poison":
            await self._publish([self._poison(event) for event in batch], batch)
            return
        for event in batch:
            self._sent.trying(event)
        if batch[0].door == "topic":
            await self._publish([self._submission(event) for event in batch], batch)
        else:
            await self._post(batch, turn)

    # ---- the HTTP door

    async def _post(self, batch: Sequence[Event], turn: int) -> None:
        body = json.dumps([cloud_event(event) for event in batch], ensure_ascii=False).encode()
        while True:
            status = await self._try_post(body, turn)
            if status == 202:
                for event in batch:
                    self._sent.taken(event)
                return
            if status in _AGAIN:
                turn += 1  # the next door may be open
                await asyncio.sleep(_PAUSE_S)
            elif len(batch) == 1:
                self._sent.refused(batch[0], status)
                return
            else:  # one of them is at fault: let each speak for itself
                for event in batch:
                    await self._post([event], turn)
                return

    async def _try_post(self, body: bytes, turn: int) -> int:
        """The status; 503 where nobody answered."""
        https = self._https()
        if not https:
            return 503
        try:
            url = f"{https[turn % len(https)]}/v1/events"
            answer = await self._client.post(url, content=body, headers=_CONTENT_TYPE)
        except httpx.TransportError:
            return 503
        return answer.status_code

    # ---- the topics

    async def _publish(self, records: Sequence[Outgoing], batch: Sequence[Event]) -> None:
        while True:
            try:
                await self._publisher.in_reach.wait()
                offsets = await self._publisher.publish(records)
                break
            except KafkaUnreachable:
                await asyncio.sleep(_PAUSE_S)
        for event, record, offset in zip(batch, records, offsets, strict=True):
            self._sent.taken(event, (record.partition, offset))

    def _submission(self, event: Event) -> Outgoing:
        """One partition for each fund, so that its order holds."""
        fund = event.data["fund"]
        body = json.dumps(cloud_event(event), ensure_ascii=False).encode()
        headers = signed(self._sender.sender.sender, self._sender.secret, event.id, body)
        return Outgoing(SUBMISSIONS, partition_of(fund, self._load.partitions), fund.encode(), body, headers)

    def _poison(self, event: Event) -> Outgoing:
        """Half of what goes to the submissions topic is signed: all else is refused before it is read."""
        key, value, headers = poison(event.data["topic"], event.type, event.data["fund"], event.id)
        if event.data["topic"] == "submissions" and value is not None and event.number % 2:
            headers = list(signed(self._sender.sender.sender, self._sender.secret, event.id, value))
        self._sent.trying_poison(event, digest_of(key, value, headers))
        topic = COMMANDS if event.data["topic"] == "commands" else SUBMISSIONS
        return Outgoing(topic, event.data["partition"], key, value, headers)


def batches(due: Sequence[Event]) -> Iterator[list[Event]]:
    """What goes together: events for one door, in order; poison with poison; each conflict alone."""
    for (_door, sent_as), together in groupby(due, key=_way):
        if sent_as == "conflict":
            yield from ([event] for event in together)
        else:
            yield list(together)


def _way(event: Event) -> tuple[str, str]:
    return event.door, event.sent_as if event.sent_as in ("conflict", "poison") else ""


def cloud_event(event: Event) -> dict[str, object]:
    """The event in its JSON form."""
    attributes = {"specversion": "1.0", "id": event.id, "source": event.source, "type": event.type}
    time_given = {} if event.time is None else {"time": event.time}
    return {**attributes, **time_given, "data": event.data}
