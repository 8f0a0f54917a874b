"""What all tests share: a real broker, started once and only if a test asks for it.

    kafka          the session's broker (EmbeddedKafka), with whatever earlier tests left on it
    topics_reset   the same broker, with Pumasi's topics deleted and made anew: 4 partitions, empty
    fresh_kafka    a broker of the test's own (3 s), to stop or kill at will; it has no topics yet
    new_kafka      the class behind it, for tests that start several on one directory
    guarded_kafka  lets whatever the test starts ask for passwords; the others are open

Any test that uses one of them is marked `broker`. All tests run in one event loop, so clients may outlive a test.
"""

import os
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import pytest_asyncio

from services import called, keys
from services.bus import topics
from services.bus.embedded import EmbeddedKafka, classes
from services.bus.embedded import broker as embedded
from services.bus.embedded.jars import ensure_jars_apart
from services.settings import load

sys.dont_write_bytecode = False  # some machines are told so; but here each module is read by some hundred processes
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

_DELETES_SOON = {
    "log.retention.check.interval.ms": 200,
    "log.initial.task.delay.ms": 0,
    "log.segment.delete.delay.ms": 500,
    "log.cleaner.backoff.ms": 200,
}
"""Told to each broker that a fixture starts: what it may delete it deletes soon, and compacts soon."""

BROKER_FIXTURES = {"kafka", "topics_reset", "fresh_kafka", "new_kafka", "guarded_kafka"}

LONG = {
    "test_alerts_fire.py": ("alerts_fire_for_a_fault",),
    "test_answered.py": ("come_go_and_are_killed", "another_has_acknowledged", "put_out_of_the_group"),
    "test_bench.py": ("foreign_libraries", "measured_beside_peers", "four_processes"),
    "test_checkpoints.py": (
        "that_are_not_committed", "half_of_a_zombies", "goes_on_from_the_checkpoint", "amid_an_answer", "damaged_checkpoint",
        "fits_and_lies", "another_lifes", "made_again", "older_versions_records", "several_transactions", "takes_too_long",
        "named_matcher",
    ),
    "test_demo.py": ("stopped_leaves_nothing",),
    "test_deployed.py": ("compose_describes",),
    "test_embedded.py": ("parent_that_was_killed", "another_program_took", "just_restarting"),
    "test_elastic.py": ("longer_than_the_session", "stands_still", "join_die_sleep", "two_versions"),
    "test_image.py": ("",),
    "test_native.py": ("every_promise",),
    "test_replay.py": (
        "crash_in_the_middle", "behind_another", "killed_or_stopped", "two_operators", "was_asleep", "has_learned", "go_round",
    ),
    "test_simulation.py": ("two_thousand", "safeguard_removed"),
    "test_cluster.py": ("",),
    "test_situations.py": ("stopped_partitions", "defective", "lost_", "leaked"),
    "test_soak.py": ("no_fault", "three_brokers", "ctrl_c"),
    "test_supervisor.py": ("kill_9_of_up", "kill_9_of_its_broker", "while_the_services_start"),
}  # fmt: skip
"""Tests that take long and vary what shorter ones show, by file and part of their names: run by `--long`,
`--only-long`, or when named by a path."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also the tests that take long, as before anything lands")
    parser.addoption(
        "--only-long", action="store_true", help="the tests that take long, and no others but those of properties"
    )


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # the controller's options, and its environment, are its workers' too
        config.option.long |= config.args_source is pytest.Config.ArgsSource.ARGS or config.option.only_long
        os.environ.setdefault("HYPOTHESIS_PROFILE", "long" if config.option.long else "default")
        if config.getoption("dist") != "no":
            if not config.option.collectonly:
                classes.make()
            if config.get_verbosity() < 1:
                config.pluginmanager.register(Files(config))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """All tests are run by several processes, each with a broker. A path is run by one.

    They are two more than cores, as most tests wait; and one more where long tests run, some of which strike what carries a load.
    """
    if config.args_source is pytest.Config.ArgsSource.ARGS:
        return 0
    return len(os.sched_getaffinity(0)) + (1 if config.option.long or config.option.only_long else 2)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if BROKER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("broker")
    if config.option.only_long or not config.option.long:
        long = {item for item in items if any(part in item.name for part in LONG.get(item.path.name, ()))}
        tried_more = {item for item in items if item.path.parent.name == "properties"}
        left_out = set(items) - long - tried_more if config.option.only_long else long
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: _FOLDERS.get(item.path.parent.name, len(_FOLDERS)))


_FOLDERS = {"simulation": 0, "scenarios": 1, "broker": 2, "properties": 3, "protocol": 4}
"""The order in which folders are run: those whose single tests take longest first, so that all processes end together."""


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say how far a long wait goes, before it begins."""
    if config.getoption("dist") == "no":
        return None
    return (
        "a line a file, with the time its tests took; all of them take seven or eight minutes on two cores; -k WORD or a path runs a "
        "part, -v shows each test's name, --long runs those too that take long (tests/README.md)"
    )


class Files:
    """What several processes do at a time, told as one would: a line a file, once all its tests have run."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._left: Counter[str] = Counter()
        self._seconds: Counter[str] = Counter()
        self._letters: defaultdict[str, str] = defaultdict(str)

    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self._left = Counter(file_of(one) for one in ids)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> Iterator[None]:
        category, letter, word = yield
        self._letters[file_of(report.nodeid)] += letter
        return category, "", word

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file = file_of(report.nodeid)
        self._seconds[file] += report.duration
        self._left[file] -= report.when == "teardown"
        if not self._left[file] and report.when == "teardown":
            self._config.get_terminal_writer().line(f"{file} {self._letters[file]} {self._seconds[file]:.1f}s")


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """The developer's own PUMASI_* variables must not steer a test; and brokers start from classes that lie ready.

    Unless a test is about it, Kafka and the doors are open, and one set of keys serves all tests.
    """
    with pytest.MonkeyPatch.context() as environment:
        for name in list(os.environ):
            if name.startswith("PUMASI_"):
                environment.delenv(name)
        environment.setattr(embedded, "ensure_jars_apart", lambda _progress: _jars())
        environment.setenv("PUMASI_OPEN", "1")
        with tempfile.TemporaryDirectory(prefix="pumasi-test-keys-") as kept:
            environment.setenv("PUMASI_KEYS", kept)
            keys.make(load())
            yield


@cache
def _jars() -> list[Path]:
    """Kafka's jars, verified once a session and not for each broker that is started here."""
    return ensure_jars_apart()


@pytest.fixture(autouse=True)
def _nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command was given goes no further than a test: one process calls many."""
    monkeypatch.setattr(called, "_given", {})


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """An empty directory for a broker; removed at once, since a broker's files are many."""
    with tempfile.TemporaryDirectory(prefix="pumasi-test-", ignore_cleanup_errors=True) as name:
        data = Path(name) / "data"  # keys may come beside it
        data.mkdir()
        yield data


@pytest.fixture
def guarded_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    """For whatever is started here, Kafka asks for passwords, and keys lie beside the data, as they do unless told otherwise."""
    monkeypatch.delenv("PUMASI_OPEN")
    monkeypatch.delenv("PUMASI_KEYS")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka() -> AsyncIterator[EmbeddedKafka]:
    """The session's broker on free ports; `kafka.bootstrap` is where it answers."""
    with tempfile.TemporaryDirectory(prefix="pumasi-test-", ignore_cleanup_errors=True) as name:
        async with EmbeddedKafka(Path(name), 0, more=_DELETES_SOON) as broker:
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
        made.append(EmbeddedKafka(data, port, more=_DELETES_SOON))
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
