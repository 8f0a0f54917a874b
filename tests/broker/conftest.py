"""A broker whose files are soon too old, for tests of what is to leave the disk."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from services.bus import topics
from services.bus.embedded import EmbeddedKafka

_SOON = {"segment.ms": "500", "file.delete.delay.ms": "0"}
_OFTEN = {"log.retention.check.interval.ms": 200, "log.initial.task.delay.ms": 0}


@pytest_asyncio.fixture(loop_scope="session")
async def quick(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EmbeddedKafka]:
    """A broker that looks for what it may delete all the time, and begins new files soon."""
    wanted = topics.wanted_topics

    def quicker(*how: int) -> tuple[topics.Topic, ...]:
        one, *others = wanted(*how)
        return replace(one, config={**one.config, **_SOON}), *others

    monkeypatch.setattr(topics, "wanted_topics", quicker)
    async with EmbeddedKafka(data_dir, 0, more=_OFTEN) as broker:
        await topics.ensure(broker.bootstrap)
        yield broker
