"""`pumasi matcher`: one matcher process, which shares the partitions with all others of its group."""

import asyncio
import gc
import json
from typing import TYPE_CHECKING, Any

import typer

from services import logs, traces
from services.bus import access, topics
from services.cli.shared import options
from services.cli.shared.results import ready_line
from services.cli.shared.stopping import stop_on_signals
from services.counted import counted
from services.errors import KafkaUnreachable
from services.matcher.partition.process_memory import LargePages, give_freed_memory_back, keep_freed_memory
from services.news import (
    Answered,
    Assigned,
    Ended,
    Forgotten,
    MatcherNews,
    StandsStill,
    Stopped,
    Taken,
    Waiting,
    document,
)
from services.visible import visible

if TYPE_CHECKING:
    from services.matcher.app import Matcher


EXAMPLES = """**Examples**

- `pumasi matcher`: on the broker running on `.pumasi`
- `PUMASI_KAFKA=k1:9092,k2:9092 pumasi matcher`: on a cluster; as many processes as there are partitions can share the work
- `PUMASI_HEALTH_PORT=9100 pumasi matcher`: with `/livez`, `/readyz` and `/metrics` on that port of 127.0.0.1
- `pumasi matcher --json`: prints `{"ready": "matcher", …}` once its partitions are recovered, then a line for each event
"""


def matcher(kafka: options.Kafka = None, data: options.Data = None, as_json: options.Json = False) -> None:
    """Match pledges to cases: read commands and write the ledger, exactly once, until Ctrl-C or SIGTERM.

    For each partition it takes over, a matcher fences the former owner, rebuilds its memory from the ledger, then goes on. If a
    partition's ledger turns out to be wrong, that partition stops with an alarm, the others go on, and the exit status is 1.
    """
    gc.set_threshold(200_000, 20, 100)  # it is told when, see `_settle`
    settings = options.load(kafka=kafka, data=data)
    logs.begin(settings)
    traces.begin(settings, "pumasi-matcher")
    try:
        import uvloop
    except ImportError:
        stopped = asyncio.run(_run(settings, as_json))
    else:
        stopped = uvloop.run(_run(settings, as_json))
    if stopped:
        raise typer.Exit(1)


async def _run(settings: "options.Settings", as_json: bool) -> bool:
    from services.bus.heartbeat import Heartbeat
    from services.health import Health
    from services.matcher.app import Matcher
    from services.metrics import Metrics

    screen = _Screen(as_json)
    stopping = stop_on_signals(settings, access.MATCHER)
    bootstrap = options.bootstrap_of(settings, access.MATCHER)
    if not await _wait_for_topics(bootstrap, stopping, screen):
        return False

    pages = LargePages()

    def told(news: MatcherNews) -> None:
        match news:
            case Taken():
                _settle()
                give_freed_memory_back()
                keep_freed_memory()
                pages.keep_up()
            case Answered():
                if _settle(_YOUNG_OBJECTS):
                    pages.keep_up()
            case Forgotten(partition=partition, code=code):
                heartbeat.went_wrong(code, partition)
        screen.tell(news)

    metrics = Metrics("matcher")
    service = Matcher(bootstrap, settings, told, metrics)
    heartbeat = Heartbeat(lambda: bootstrap, "matcher", settings.instance, service.condition, metrics=metrics)
    health = Health(metrics, service.amiss, settings)
    screen.service, screen.health = service, health.url
    async with heartbeat, health.serving():
        await service.start()
        try:
            await stopping
        finally:
            await service.stop()
    screen.tell(Ended(len(service.alarms)))
    return bool(service.alarms)


_YOUNG_OBJECTS = 50_000


def _settle(young_objects: int = 0) -> bool:
    """Exempt all that is remembered by now from garbage collection: it lives until the partition goes, and is then untied by hand.

    A matcher's memory is almost all live (pledges, awards); looking through it for garbage at Python's usual pace takes a third of the
    time. So what is new is looked through once, and never again; by default at once, else only where so many objects are young.
    Returns whether it was done.
    """
    if gc.get_count()[0] < young_objects:
        return False
    gc.collect(0)
    gc.freeze()
    return True


async def _wait_for_topics(bootstrap: str, stopping: "asyncio.Future[Any]", screen: "_Screen") -> bool:
    """True once Kafka answers and has what the matcher needs; False if told to stop meanwhile. Raises TopicsMismatch."""
    needed = (topics.COMMANDS, topics.LEDGER, topics.CHECKPOINTS, topics.DEADLETTERS)
    while not stopping.done():
        try:
            topics.require(await topics.check(bootstrap), needed, bootstrap)
        except KafkaUnreachable as error:
            screen.tell(Waiting(error.message))
            await asyncio.wait({stopping}, timeout=1.0)
            continue
        return True
    return False


_WORTH_TELLING_SECONDS = 1.0


class _Screen:
    """What is shown to a person or, with --json, to a program."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.service: Matcher | None = None
        self.health: str | None = None
        self._ready = False
        self._waiting = False

    def tell(self, news: MatcherNews) -> None:
        """Show news; repeated complaints once."""
        if isinstance(news, Waiting):
            if self._waiting:
                return
            self._waiting = True
        if line := sentence(news):
            self._show(document(news), line)
        if isinstance(news, Assigned | Taken | Stopped) and not self._ready and self.service is not None:
            self._look_whether_ready(self.service)

    def _look_whether_ready(self, service: "Matcher") -> None:
        """Whether each partition is at work, or has stopped with an alarm: nothing waits for that one."""
        if all(tenure.processor.ready or tenure.stopped for tenure in service.tenures.values()):
            self._ready = True
            partitions = sorted(service.held - set(service.stopped))
            line = f"Ready. Matching on {counted(len(partitions), 'partition')}; Ctrl-C stops."
            self._show(ready_line("matcher", self.health, partitions=partitions), line)

    def _show(self, document: dict[str, Any], line: str) -> None:
        if self.as_json:
            print(json.dumps(document), flush=True)
        else:
            logs.say(line, **{"event": "ready", **document})


def sentence(news: MatcherNews) -> str | None:
    """A matcher's news in words, fit for a terminal; None for what comes too often to be shown."""
    match news:
        case Waiting(why):
            return f"Waiting for Kafka: {visible(why)}"
        case Assigned(partitions):
            return f"The group gave this matcher {counted(len(partitions), 'partition')}: {partitions}"
        case Taken(partition, seq, watermark, checkpoint, seconds):
            taken = sum((seconds or {}).values())
            within = f" in {taken:.1f} s" if taken >= _WORTH_TELLING_SECONDS else ""
            rebuilt = f"rebuilt from {_rebuilt_from(seq, checkpoint)}{within}"
            return f"Partition {partition}: fenced and {rebuilt}, next command at offset {watermark + 1}"
        case Answered():
            return None
        case Forgotten(partition, why, pause_s):
            forgotten = f"Its memory is forgotten, to be rebuilt from the ledger in {pause_s:.1f} s."
            return f"Partition {partition}: {visible(why)}. {forgotten}"
        case StandsStill(partition, offset, why):
            still = f"Nothing from offset {offset} on is answered; it is tried again and again."
            return f"PARTITION {partition} STANDS STILL: {visible(why)}\n  {still}"
        case Stopped(partition, code, message, hint):
            stopped = f"PARTITION {partition} STOPPED ({visible(code)}): {visible(message)}"
            return f"{stopped}\n  {visible(hint)}" if hint else stopped
        case Ended(0):
            return "Stopped cleanly; nothing was left half done."
        case Ended(alarms):
            return f"Stopped; {counted(alarms, 'partition')} had an alarm, see above."


def _rebuilt_from(seq: int, checkpoint: int | None) -> str:
    entries = seq - (checkpoint or 0)
    told = f"{entries} {'entry' if entries == 1 else 'entries'}"
    return f"the checkpoint at entry {checkpoint} and {told} since" if checkpoint else told
