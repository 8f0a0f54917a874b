"""A broker whose files are soon too old, for tests of what is to leave the disk; keys of a test's own, for those that renew them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from services import keys
from services.bus import topics
from services.bus.embedded import EmbeddedKafka
from services.settings import Settings, load

_SOON = {"segment.ms": "500", "file.delete.delay.ms": "0"}
_OFTEN = {"log.retention.check.interval.ms": 200, "log.initial.task.delay.ms": 0}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of an installation of the test's own, with keys."""
    monkeypatch.setenv("PUMASI_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PUMASI_KEYS", str(tmp_path / "keys"))
    settings = load()
    keys.make(settings)
    return settings


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
