"""How fast the notifier tells: from a ledger that is there already, to the notices topic, with no webhook and no screen.

The clock runs over the last 60 % of the notices. Entries a second follow from how many entries the notices told of; entries that
tell nobody anything cost too, and are in it.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from services import keys, settings
from services.bus import topics
from services.bus.consume.scan import TopicReader
from services.bus.embedded import EmbeddedKafka
from services.notifier.app import GROUP
from tests.bench import verify
from tests.bench.curve import watch, window
from tests.bench.load import Load, fill
from tests.bench.peers import matcher_command
from tests.bench.running import Ended, Running, running
from tests.bench.throughput import WARM, Watcher

_SECONDS_MAX = 600.0
_STALL_SECONDS_MAX = 60.0
_QUIET_SECONDS = 3.0
_NEVER = 1e18


@dataclass(frozen=True)
class Notifier:
    """What was found.

    Attributes:
        entries: of the ledger.
        notices: told of them.
        rate: notices a second.
    """

    entries: int
    notices: int
    rate: float

    @property
    def entries_rate(self) -> float:
        """Entries a second."""
        return self.rate * self.entries / self.notices

    def as_json(self) -> dict[str, Any]:
        return {
            "entries": self.entries,
            "notices": self.notices,
            "notices_per_second": round(self.rate),
            "entries_per_second": round(self.entries_rate),
        }


async def notifier(load: Load, watcher: Watcher) -> Notifier:
    """Measure.

    Raises:
        Ended, Wrong: if the figure would be worth nothing.
    """
    with tempfile.TemporaryDirectory(prefix="pumasi-bench-") as name:
        directory = Path(name)
        watcher.doing("starting a broker")
        async with EmbeddedKafka(directory / "kafka", 0) as broker:
            await topics.ensure(broker.bootstrap, 1)
            watcher.doing(f"a matcher answers {load.commands:,} commands")
            await fill(broker.bootstrap, load)
            async with running(matcher_command(broker.bootstrap), directory / "matcher.log") as matcher:
                await _moved(broker.bootstrap, topics.LEDGER, load.commands, matcher, watcher)
            ledger = await verify.ledger(broker.bootstrap, load.commands, load.pledged())
            keys.make(settings.load(data=directory / "data"))
            command = [
                *(sys.executable, "-P", "-m", "services.cli", "notifier", "--quiet"),
                *("--kafka", broker.bootstrap, "--data", str(directory / "data")),
            ]
            watcher.doing("the notifier tells", ledger.awards)
            async with running(command, directory / "notifier.log", {"PUMASI_LOG_LEVEL": "WARNING"}) as process:
                curve = await _moved(broker.bootstrap, topics.NOTICES, 1, process, watcher)
                await _through(broker.bootstrap, ledger.offsets[-1])
            counts = [ends[0] for ends in curve.ends]
            await _once(broker.bootstrap, counts[-1])
    last = counts[-1]
    rate = window(curve.times, counts, 1, int(WARM * last), _NEVER, last).rate
    return Notifier(load.commands, last, rate)


async def _moved(bootstrap: str, topic: str, least: int, process: Running, watcher: Watcher) -> Any:
    """Watch a topic until it has so many records and rests."""
    curve = await watch(
        bootstrap, topic, 1, least, process.still, seconds_max=_SECONDS_MAX, stall_seconds_max=_STALL_SECONDS_MAX,
        quiet_seconds=_QUIET_SECONDS, told=watcher.reached,
    )  # fmt: skip
    if curve.ends[-1][0] < least:
        raise Ended(f"{topic} stood still at {curve.ends[-1][0]:,} of {least:,}: {process.last_words()}")
    return curve


async def _through(bootstrap: str, last: int) -> None:
    """The notifier says itself that it is through the whole ledger."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=GROUP, enable_auto_commit=False) as consumer:
        committed = await consumer.committed(TopicPartition(topics.LEDGER, 0))
    if (committed or 0) <= last:
        raise Ended(f"the notifier rested at offset {committed} of {last}")


async def _once(bootstrap: str, count: int) -> None:
    """Each notice has an id of its own."""
    ids: Counter[bytes] = Counter()
    async with TopicReader(bootstrap) as reader:
        async for record in reader.records(topics.NOTICES):
            ids[dict(record.headers)["ce_id"]] += 1
    if len(ids) != count:
        raise verify.Wrong(f"{count:,} notices, of which {count - len(ids):,} were told twice")
