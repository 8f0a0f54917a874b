"""Telling: through a channel, then on the notices topic, in that order, so that what is recorded has been tried.

The webhook is the channel if there is one, else the terminal; without either a notice is recorded as suppressed. Beside a webhook
the screen is only a view for the operator: words of thanks that came sealed are not for it, and go by webhook alone.

With the last notice to somebody, how to reach them is taken off the contacts topic (`departures`).

One person's tidings go out one after the other, in the ledger's order: the next once the one before is taken or given up. Those of
different people go out side by side.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from schemas.notices import Channel, Notice, Tidings, notice_headers
from schemas.times import text_of_datetime
from schemas.values import PHRASES
from services.bus.contacts import tombstone
from services.bus.partition import partition_of
from services.bus.produce.publisher import Outgoing, Publisher
from services.bus.topics import CONTACTS, NOTICES
from services.metrics import NOTICES_WAITING, TOLD, Metrics
from services.notifier.audience import Farewell, day_of
from services.notifier.channels.webhook import Delivery, Webhook
from services.notifier.languages import Languages
from services.notifier.phrases import in_words, sentence


class View(NamedTuple):
    """Who looks on.

    Attributes:
        coming: called with each notice before it is told.
        told: called with it once it is known what came of it, before that is recorded.
        is_channel: whether what is shown counts as told, where there is no webhook.
    """

    coming: Callable[[Notice], None]
    told: Callable[[Notice], None]
    is_channel: bool


class Teller:
    """Tells people, each in their language, and records the outcome."""

    def __init__(
        self,
        publisher: Publisher,
        webhook: Webhook | None,
        view: View,
        languages: Languages,
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics, self._waiting = metrics or Metrics("notifier"), 0
        self._metrics.reads(NOTICES_WAITING, lambda: self._waiting)
        self._publisher, self._webhook, self._view, self._languages = publisher, webhook, view, languages

    async def tell(self, tidings: Sequence[Tidings]) -> None:
        """Tell all, and return once every notice is recorded by every in-sync replica. While nothing can be recorded, nobody is told.

        Raises:
            KafkaUnreachable: if they could not be recorded; some people may have been told.
        """
        self._waiting += len(tidings)
        try:
            await self._tell(tidings)
        finally:
            self._waiting -= len(tidings)

    async def _tell(self, tidings: Sequence[Tidings]) -> None:
        await self._publisher.in_reach.wait()
        await self._languages.prepare(
            [*(one.to for one in tidings), *(one.thanks for one in tidings if one.thanks and one.thanks not in PHRASES)]
        )
        notices = [in_words(one, self._languages.of(one.to)) for one in tidings]
        for one in notices:
            self._view.coming(one)
        deliveries = await self._deliver_all(notices)
        told = [self._told(one, delivery) for one, delivery in zip(notices, deliveries, strict=True)]
        for one in told:
            self._view.told(one)
        partitions = self._publisher.partitions(NOTICES)
        records = [_record(one, partitions) for one in told]
        gone = [name for one in tidings if isinstance(one, Farewell) for name in (one.to, *one.texts)]
        if gone:
            contacts = self._publisher.partitions(CONTACTS)
            records += [tombstone(name.encode(), contacts) for name in gone]
        await self._publisher.publish(records)
        for one in told:
            self._metrics.count(TOLD, str(one.channel), str(one.outcome))

    async def _deliver_all(self, notices: Sequence[Notice]) -> list[Delivery]:
        of_person: defaultdict[str, list[int]] = defaultdict(list)
        for index, one in enumerate(notices):
            of_person[one.to].append(index)
        deliveries: dict[int, Delivery] = {}

        async def in_order(indexes: list[int]) -> None:
            for index in indexes:
                deliveries[index] = await self._deliver(notices[index])

        await asyncio.gather(*map(in_order, of_person.values()))
        return [deliveries[index] for index in range(len(notices))]

    async def _deliver(self, notice: Notice) -> Delivery:
        if self._webhook is not None:
            return await self._webhook.send(self._in_own_words(notice), self._languages.address(notice.to))
        return Delivery("delivered", 1) if self._view.is_channel else Delivery("suppressed", 0)

    def _in_own_words(self, notice: Notice) -> Notice:
        """The notice with words of thanks that came sealed, if it is of such: for the webhook alone."""
        words = self._languages.text(notice.thanks) if notice.thanks else None
        if not words or notice.language is None:
            return notice
        return notice.model_copy(update={"text": sentence(notice, notice.language, words)})

    def _told(self, notice: Notice, delivery: Delivery) -> Notice:
        shown: Channel = "terminal" if self._view.is_channel else "none"
        came_of_it = {
            "told_at": day_of(datetime.now(UTC)),
            "channel": "webhook" if self._webhook is not None else shown,
            "outcome": delivery.outcome,
            "attempts": delivery.attempts,
        }
        return notice.model_copy(update=came_of_it)


def _record(notice: Notice, partitions: int) -> Outgoing:
    headers = notice_headers(notice, text_of_datetime(notice.told_at or notice.at))
    return Outgoing(
        NOTICES,
        partition_of(notice.to, partitions),
        notice.to.encode(),
        notice.wire(),
        [(name, value.encode()) for name, value in headers.items()],
    )
