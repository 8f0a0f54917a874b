"""Telling as a notifier does, and what a story comes to, without Kafka."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from schemas.notices import Tidings
from services.notifier.teller import Teller
from services.notifier.untold import Backlog
from services.stories.figures import Figures
from services.stories.rehearsal import rehearse
from services.stories.scenario import Story


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
