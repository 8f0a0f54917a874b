"""Plays a story through the public doors: `POST /v1/events` in batches, and the submissions topic, as its rows say.

Order is the story's: a batch keeps its own, batches follow one another, all topic rows of a story go to one partition, and after rows
through the topic the ledger must know them before the next goes by HTTP. So the commands are the same in every run, byte by byte. Time
is carried by the events (intake runs with PUMASI_TRUST_TIME=1); nothing waits for a clock.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import httpx

from schemas.times import text_of
from services.bus.partition import partition_of
from services.bus.produce.publisher import Outgoing, Publisher
from services.bus.topics import SUBMISSIONS
from services.errors import KafkaUnreachable, ServiceFailed
from services.senders import Issued, signed
from services.stories.followed import Followed
from services.stories.rehearsal import heard_after
from services.stories.scenario import Row, Story
from services.stories.screen import Screen
from services.stories.watch import Watch

BATCH_ROWS = 6
"""Rows sent at once: few, so that who looks on can follow."""
_AGAIN = {429, 502, 503, 504}
_TRIES = 60
_PAUSE_S = 0.5
_RECEIPT_PAUSE_S = 0.05
NOTICES_WITHIN_S = 30.0


class Player:
    """Sends rows; use as an async context manager.

    Of one row that comes by HTTP it may `follow` what becomes of it; `watch` has been told to keep its entry.
    """

    def __init__(
        self, http: str, bootstrap: str, sender: Issued, watch: Watch, screen: Screen, follow: Row | None = None
    ) -> None:
        self._sender, self._watch, self._screen, self._follow = sender, watch, screen, follow
        key = {"authorization": f"Bearer {sender.key}"}
        self._client = httpx.AsyncClient(base_url=http, headers=key, timeout=60.0, trust_env=False)
        self._publisher = Publisher(lambda: bootstrap, [SUBMISSIONS], "pumasi-demo")

    async def __aenter__(self) -> "Player":
        self._publisher.start()
        async with asyncio.timeout(30):
            await self._publisher.in_reach.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()
        await self._publisher.stop()

    async def play(self, story: Story, after: Callable[[int], Any] = lambda _rows: None) -> None:
        """Play a story to its end: when this returns the ledger knows every row. `after` is called with rows sent so far.

        Raises ServiceFailed if a door refuses a row or nothing moves any more.
        """
        sent, heard = 0, heard_after(story)
        for batch in batches(story.rows):
            if batch[0].told:
                await self._until_known(story.rows[:sent])
                if sent:
                    await self._until_heard(heard[sent - 1])
                self._screen.narrate(batch[0].at, " ".join(batch[0].told))
            if batch[0].door == "topic":
                await self._submit(story, batch)
                await self._until_known(batch)
            else:
                accepted = await self._post(story, batch)
                if self._follow in batch:
                    await self._tell_of(story, self._follow, accepted[batch.index(self._follow)]["receipt"])
            sent += len(batch)
            self._screen.refresh()
            after(sent)
        await self._until_known(story.rows)
        await self._until_heard(heard[-1])
        if story.epilogue:
            self._screen.narrate(story.ends, " ".join(story.epilogue))

    async def _until_known(self, rows: Sequence[Row]) -> None:
        missing = {row.id for row in rows} - self._watch.causes
        if missing:
            await self._watch.until(lambda: missing <= self._watch.causes, f"the ledger knows {min(missing)}")

    async def _until_heard(self, notices: Counter[str]) -> None:
        """Wait for as many notices, so that they are told where they belong. If they don't come, the figures will say so."""
        deadline = time.monotonic() + NOTICES_WITHIN_S

        def all_told() -> bool:
            told = all(len(self._watch.notices[fund]) >= number for fund, number in notices.items())
            return told or time.monotonic() > deadline

        await self._watch.until(all_told, "all notices are told")

    async def _tell_of(self, story: Story, row: Row, receipt: str) -> None:
        await self._until_known([row])
        for _ in range(_TRIES):  # receipts follow the ledger too, by themselves
            answer = await self._client.get(f"/v1/receipts/{receipt}")
            if answer.is_success and answer.json()["state"] != "accepted":
                break
            await asyncio.sleep(_RECEIPT_PAUSE_S)
        assert self._watch.kept is not None, "its entry is known"
        self._screen.followed(Followed(json.dumps(_cloud_event(story, row)), answer.text, self._watch.kept))

    async def _post(self, story: Story, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """What intake answered of each row."""
        body = json.dumps([_cloud_event(story, row) for row in rows]).encode()
        headers = {"content-type": "application/cloudevents-batch+json"}
        for _ in range(_TRIES):
            try:
                answer = await self._client.post("/v1/events", content=body, headers=headers)
            except httpx.TransportError:  # intake is being started again; a repeat is safe
                await asyncio.sleep(_PAUSE_S)
                continue
            if answer.status_code == httpx.codes.ACCEPTED:
                accepted: list[dict[str, Any]] = answer.json()["accepted"]
                return accepted
            if answer.status_code not in _AGAIN:
                raise ServiceFailed(
                    f"{story.name}, line {rows[0].line} ff.: intake answered {answer.status_code} {answer.text}"
                )
            await asyncio.sleep(_PAUSE_S)
        raise ServiceFailed(f"{story.name}, line {rows[0].line} ff.: intake did not take the rows in {_TRIES} tries")

    async def _submit(self, story: Story, rows: Sequence[Row]) -> None:
        partition = partition_of(story.name, self._publisher.partitions(SUBMISSIONS))
        records = [self._signed(story, row, partition) for row in rows]
        for _ in range(_TRIES):
            try:
                await self._publisher.publish(records)
            except KafkaUnreachable:
                await asyncio.sleep(_PAUSE_S)
            else:
                return
        raise ServiceFailed(f"{story.name}, line {rows[0].line} ff.: Kafka did not take the rows in {_TRIES} tries")

    def _signed(self, story: Story, row: Row, partition: int) -> Outgoing:
        body = json.dumps(_cloud_event(story, row)).encode()
        headers = signed(self._sender.sender.sender, self._sender.secret, row.id, body)
        return Outgoing(SUBMISSIONS, partition, story.name.encode(), body, headers)


def batches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows cut where the door changes, where something is told, and after a few."""
    number = 0

    def place(row: Row) -> tuple[str, int]:
        nonlocal number
        number += bool(row.told)
        return row.door, number

    for _, group in groupby(rows, place):
        found = list(group)
        yield from (found[start : start + BATCH_ROWS] for start in range(0, len(found), BATCH_ROWS))


def _cloud_event(story: Story, row: Row) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": row.id,
        "source": story.source,
        "type": row.type,
        "time": text_of(row.at),
        "datacontenttype": "application/json",
        "data": row.data,
    }
