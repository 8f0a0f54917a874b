"""Telling as a notifier does, and what a story comes to, without Kafka."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from schemas.notices import Notice, Tidings
from services.notifier.channels.webhook import Delivery
from services.notifier.teller import Teller
from services.notifier.untold import Backlog
from services.stories.figures import Figures
from services.stories.rehearsal import rehearse
from services.stories.scenario import Story


class Receiver:
    """What a channel is to `Teller`: the one place of the tests that follows if that changes.

    It says nothing of a notice for `slow`, or whose id begins so, until `answers` is set: by the test, or once so many came as
    `answers_after`. `came` is what it has answered, in that order, `most` how many it held at a time.
    """

    def __init__(self, slow: str | None = None, answers_after: int = 0) -> None:
        self.came: list[Notice] = []
        self.addresses: list[str | None] = []
        self.held = self.most = 0
        self.answers, self._slow, self._answers_after = asyncio.Event(), slow, answers_after

    @property
    def ids(self) -> list[str]:
        """Of what it has answered."""
        return [notice.id for notice in self.came]

    async def send(self, notice: Notice, address: str | None = None, _trace: bytes | None = None) -> Delivery:
        """Take a notice."""
        self.held += 1
        self.most = max(self.most, self.held)
        if self._slow is not None and (notice.to == self._slow or notice.id.startswith(self._slow)):
            await self.answers.wait()
        self.came.append(notice)
        self.addresses.append(address)
        if len(self.came) == self._answers_after:
            self.answers.set()
        await asyncio.sleep(0)
        self.held -= 1
        return Delivery("delivered", 1)


async def tell(teller: Teller, tidings: Sequence[Tidings]) -> None:
    """Tell all; returns once every notice is recorded and acknowledged. Raises what telling fails with."""
    outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def commit(_offset: int) -> None:
        outcome.set_result(None)

    backlog = Backlog(teller, 0, commit, outcome.set_exception)
    try:
        await backlog.add(tidings, 1)
        await asyncio.wait_for(outcome, 10)
    finally:
        await backlog.end()


def rehearsed_figures(story: Story, ticks: bool = False) -> tuple[Figures, Counter[str]]:
    """The figures at a story's end, and the notices for each fund."""
    figures, notices = Figures(), Counter[str]()
    for told in rehearse(story, ticks):
        figures.take(told.entry)
        notices.update(tidings.fund for tidings in told.tidings)
    return figures, notices
