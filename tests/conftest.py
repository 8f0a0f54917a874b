"""What all tests share: a real broker, started once and only if a test asks for it.

    kafka          the session's broker (EmbeddedKafka), with whatever earlier tests left on it
    topics_reset   the same broker, with Pumasi's topics deleted and made anew: 4 partitions, empty
    fresh_kafka    a broker of the test's own (3 s), to stop or kill at will; it has no topics yet
    new_kafka      the class behind it, for tests that start several on one directory

Any test that uses one of them is marked `broker`. All tests run in one event loop, so clients may outlive a test.
"""

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.bus import topics
from services.bus.embedded import EmbeddedKafka

LONG_FROM_FILES = 30
BROKER_FIXTURES = {"kafka", "topics_reset", "fresh_kafka", "new_kafka"}


LONG = {
    "test_bench.py": ("foreign_libraries",),
    "test_checkpoints.py": (
        "that_are_not_committed", "half_of_a_zombies", "goes_on_from_the_checkpoint", "amid_an_answer", "damaged_checkpoint",
        "fits_and_lies", "another_lifes", "made_again", "older_versions_records", "several_transactions", "takes_too_long",
        "named_matcher",
    ),
    "test_elastic.py": ("longer_than_the_session", "stands_still", "join_die_sleep", "two_versions"),
    "test_replay.py": (
        "crash_in_the_middle", "behind_another", "killed_or_stopped", "two_operators", "was_asleep", "has_learned", "go_round",
    ),
    "test_soak.py": ("no_fault", "ctrl_c"),
}  # fmt: skip
"""Tests that take long and vary what shorter ones show, by file and part of their names: run by `--long`, or when named by a path."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also the tests that take long: twice the time in all")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if BROKER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("broker")
    if not config.getoption("--long") and config.args_source is not pytest.Config.ArgsSource.ARGS:
        left_out = [item for item in items if any(part in item.name for part in LONG.get(item.path.name, ()))]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def pytest_report_collectionfinish(items: list[pytest.Item]) -> list[str]:
    """Say how far a long wait goes, before it begins."""
    files = len({item.path for item in items})
    broker = sum(item.get_closest_marker("broker") is not None for item in items)
    lines = [
        f"{files} files, a line each with the time its tests took; {broker} tests ask a real broker and take seconds each"
    ]
    if files >= LONG_FROM_FILES:
        lines.append(
            "all of them take some ten minutes on two cores; -k WORD or a path runs a part, -v shows each test's name, --long runs "
            "those too that take long"
        )
    return lines


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """The developer's own PUMASI_* variables must not steer a test."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PUMASI_")}
    yield
    os.environ.update(kept)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """An empty directory for a broker; removed at once, since a broker's files are many."""
    with tempfile.TemporaryDirectory(prefix="pumasi-test-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka() -> AsyncIterator[EmbeddedKafka]:
    """The session's broker on free ports; `kafka.bootstrap` is where it answers."""
    with tempfile.TemporaryDirectory(prefix="pumasi-test-", ignore_cleanup_errors=True) as name:
        async with EmbeddedKafka(Path(name), 0) as broker:
            yield broker


@pytest_asyncio.fixture(loop_scope="session")
async def topics_reset(kafka: EmbeddedKafka) -> EmbeddedKafka:
    """The session's broker with fresh, empty topics. Close your clients of the former ones first."""
    await topics.remove(kafka.bootstrap)
    await topics.ensure(kafka.bootstrap)
    return kafka


@pytest_asyncio.fixture(loop_scope="session")
async def new_kafka(data_dir: Path) -> AsyncIterator[Callable[..., EmbeddedKafka]]:
    """Makes brokers on `data_dir` (or `data=`), any free port; whatever still runs at the end is stopped."""
    made: list[EmbeddedKafka] = []

    def make(data: Path = data_dir, port: int | None = 0) -> EmbeddedKafka:
        made.append(EmbeddedKafka(data, port))
        return made[-1]

    yield make
    for broker in made:
        await broker.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def fresh_kafka(new_kafka: Callable[..., EmbeddedKafka]) -> EmbeddedKafka:
    """A started broker of the test's own, without topics."""
    broker = new_kafka()
    await broker.start()
    return broker
