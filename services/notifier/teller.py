"""Telling: through a channel, then on the notices topic, in that order, so that what is recorded has been tried.

The webhook is the channel if there is one, else the terminal; without either a notice is recorded as suppressed. Beside a webhook
the screen is only a view for the operator: words of thanks that came sealed are not for it, and go by webhook alone.

With the last notice to somebody, how to reach them is taken off the contacts topic (`departures`): but for what came with a command
after that, since we may be late, and they take part again.

Whose notice waits for which other: see `untold`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from schemas.notices import Channel, Notice, Tidings, notice_headers
from schemas.times import text_of_datetime
from schemas.values import PHRASES
from services.bus.contacts import partition_of_key, tombstone
from services.bus.envelope import TRACE
from services.bus.partition import partition_of
from services.bus.produce.publisher import Outgoing, Publisher
from services.bus.topics import CONTACTS, NOTICES
from services.errors import KafkaUnreachable
from services.metrics import TOLD, Metrics
from services.notifier.audience import Farewell, day_of
from services.notifier.channels.webhook import Delivery, Webhook
from services.notifier.languages import Languages
from services.notifier.phrases import in_words, sentence
from services.traces import following

log = logging.getLogger("pumasi.notifier")


Told = tuple[Tidings, Notice, bytes | None]
"""What somebody was to hear, what came of it, and the `traceparent` of its entry."""


class View(NamedTuple):
    """Who looks on.

    Attributes:
        coming: called with each notice before it is told.
        told: called with it once it is known what came of it, before that is recorded.
        is_channel: whether what is shown counts as told, where there is no webhook.
    """

    coming: Callable[[Notice], object] = lambda _notice: None
    told: Callable[[Notice], object] = lambda _notice: None
    is_channel: bool = True


class Teller:
    """Tells people, each in their language, and records the outcome. In which order, and what waits for what, is for `untold`."""

    def __init__(
        self,
        publisher: Publisher,
        webhook: Webhook | None,
        view: View,
        languages: Languages,
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics or Metrics("notifier")
        self._publisher, self._webhook, self._view, self._languages = publisher, webhook, view, languages

    def line(self, tidings: Tidings) -> str:
        """Those of one line are told one after the other. Where no receiver can be slow all stand in one, in the ledger's order."""
        return tidings.to if self._webhook is not None else ""

    async def in_words(self, tidings: Sequence[Tidings]) -> list[Notice]:
        """What each is to hear, in their language."""
        await self._languages.prepare(
            [*(one.to for one in tidings), *(one.thanks for one in tidings if one.thanks and one.thanks not in PHRASES)]
        )
        notices = [in_words(one, self._languages.of(one.to)) for one in tidings]
        for one in notices:
            self._view.coming(one)
        return notices

    async def deliver(self, notice: Notice, trace: bytes | None = None) -> Notice:
        """Tell one person; returns the notice with what came of it. While nothing can be recorded, nobody is told.

        Args:
            trace: the `traceparent` of its entry, if that has one.
        """
        await self._publisher.in_reach.wait()
        with following(trace, f"tell {notice.kind}", "CLIENT", pumasi__notice__role=notice.role) as step:
            delivery = await self._delivered(notice, step.traceparent or trace)
            step.tell(pumasi__notice__outcome=delivery.outcome, pumasi__notice__attempts=delivery.attempts)
        told = self._told(notice, delivery)
        self._view.told(told)
        return told

    async def record(self, told: Sequence[Told]) -> None:
        """Have every in-sync replica record what came of tidings, however long that takes."""
        while True:
            await self._publisher.in_reach.wait()
            try:
                # First: once a farewell is recorded, nobody comes back to it.
                await self._publisher.publish(await self._gone(told))
                partitions = self._publisher.partitions(NOTICES)
                await self._publisher.publish([_record(notice, partitions, trace) for _, notice, trace in told])
                break
            except KafkaUnreachable as error:
                log.warning(
                    "%(why)s; %(notices)d notices are told and to be recorded",
                    {"event": "told_not_recorded", "why": error.message, "notices": len(told)},
                )
        for _, one, _trace in told:
            self._metrics.count(TOLD, str(one.channel), str(one.outcome))

    async def _gone(self, told: Sequence[Told]) -> list[Outgoing]:
        farewells = [one for one, _, _ in told if isinstance(one, Farewell)]
        if farewells:
            await self._languages.read_all()
        partitions = self._publisher.partitions(CONTACTS)
        return [
            tombstone(name.encode(), partition_of_key(name.encode(), partitions), command=one.command)
            for one in farewells
            for name in (one.to, *one.texts)
            if not self._languages.is_since(name, one.command)
        ]

    async def _delivered(self, notice: Notice, trace: bytes | None) -> Delivery:
        if self._webhook is not None:
            return await self._webhook.send(self._in_own_words(notice), self._languages.address(notice.to), trace)
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


def _record(notice: Notice, partitions: int, trace: bytes | None) -> Outgoing:
    headers = notice_headers(notice, text_of_datetime(notice.told_at or notice.at))
    return Outgoing(
        NOTICES,
        partition_of(notice.to, partitions),
        notice.to.encode(),
        notice.wire(),
        [*((name, value.encode()) for name, value in headers.items()), *([] if trace is None else [(TRACE, trace)])],
    )
