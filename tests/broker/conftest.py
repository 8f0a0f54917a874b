"""Files that are soon too old, for tests of what is to leave the disk; keys of a test's own, for those that renew them."""

from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from services import keys
from services.bus import topics
from services.bus.embedded import EmbeddedKafka
from services.settings import Settings, load

_SOON = {"segment.ms": "500", "file.delete.delay.ms": "0"}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of an installation of the test's own, with keys."""
    monkeypatch.setenv("PUMASI_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PUMASI_KEYS", str(tmp_path / "keys"))
    settings = load()
    keys.make(settings)
    return settings


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The topic of submissions is made so that Kafka begins a new file soon, and takes what is deleted off the disk at once."""
    wanted = topics.wanted_topics

    def smaller(*how: int) -> tuple[topics.Topic, ...]:
        one, *others = wanted(*how)
        return replace(one, config={**one.config, **_SOON}), *others

    monkeypatch.setattr(topics, "wanted_topics", smaller)


@pytest_asyncio.fixture(loop_scope="session")
async def quick(small_files: None, topics_reset: EmbeddedKafka) -> EmbeddedKafka:
    """The session's broker with fresh topics, `small_files` among them."""
    return topics_reset


@pytest_asyncio.fixture(loop_scope="session")
async def quick_alone(small_files: None, fresh_kafka: EmbeddedKafka) -> EmbeddedKafka:
    """The same on a broker of the test's own, where nobody else has left anything."""
    await topics.ensure(fresh_kafka.bootstrap)
    return fresh_kafka
