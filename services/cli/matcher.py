"""`pumasi matcher`: one matcher process, which shares the partitions with all others of its group."""

import asyncio
import gc
import json
import sys
from typing import TYPE_CHECKING, Any

import typer

from services import logs, native
from services.cli.shared import options
from services.cli.shared.stopping import stop_on_signals
from services.matcher.partition.process_memory import give_freed_memory_back, keep_freed_memory
from services.visible import visible

if TYPE_CHECKING:
    from services.matcher.app import Matcher
    from services.settings import Settings


def register(app: typer.Typer) -> None:
    app.command("matcher", epilog=_EXAMPLES)(matcher)


_EXAMPLES = """**Examples**

- `pumasi matcher`: on the broker running on `.pumasi`
- `PUMASI_KAFKA=k1:9092,k2:9092 pumasi matcher`: on a cluster; as many processes as there are partitions can share the work
- `pumasi matcher --json`: prints `{"ready": "matcher", …}` once its partitions are recovered, then a line for each event
"""


def matcher(kafka: options.Kafka = None, data: options.Data = None, as_json: options.Json = False) -> None:
    """Match pledges to cases: read commands and write the ledger, exactly once, until Ctrl-C or SIGTERM.

    For each partition it takes over, a matcher fences the former owner, rebuilds its memory from the ledger, then goes on. If a
    partition's ledger turns out to be wrong, that partition stops with an alarm, the others go on, and the exit status is 1.
    """
    from services.settings import load

    gc.set_threshold(200_000, 20, 100)  # it is told when, see `_settle`
    if native.in_use():
        from services.matcher.fast.lane import spare_the_collector

        spare_the_collector(True)
    settings = load(kafka=kafka, data=data)
    logs.set_up(settings.log_level)
    try:
        import uvloop
    except ImportError:
        stopped = asyncio.run(_run(settings, as_json))
    else:
        stopped = uvloop.run(_run(settings, as_json))
    if stopped:
        raise typer.Exit(1)


async def _run(settings: "Settings", as_json: bool) -> bool:
    from services.matcher.app import Matcher

    screen = _Screen(as_json)
    stopping = stop_on_signals()
    bootstrap = options.bootstrap_of(settings)
    if not await _wait_for_topics(bootstrap, stopping, screen):
        return False

    def told(event: str, **fields: Any) -> None:
        if event == "taken":
            _settle()
            give_freed_memory_back()
            keep_freed_memory()
        elif event == "answered":
            _settle(_YOUNG_OBJECTS)
        screen.tell(event, **fields)

    service = Matcher(bootstrap, settings, told)
    screen.service = service
    await service.start()
    try:
        await stopping
    finally:
        await service.stop()
    screen.tell("ended", alarms=len(service.alarms))
    return bool(service.alarms)


_YOUNG_OBJECTS = 50_000


def _settle(young_objects: int = 0) -> None:
    """Spare the garbage collector all that is remembered by now: it lives until the partition goes, and is then untied by hand.

    A matcher's memory is almost all live (pledges, awards); looking through it for garbage at Python's usual pace takes a third of the
    time. So what is new is looked through once, and never again.

    Args:
        young_objects: only if so many are new.
    """
    if gc.get_count()[0] >= young_objects:
        gc.collect(0)
        gc.freeze()


async def _wait_for_topics(bootstrap: str, stopping: "asyncio.Future[None]", screen: "_Screen") -> bool:
    """True once Kafka answers and has what the matcher needs; False if told to stop meanwhile. Raises TopicsMismatch."""
    from services.bus import topics
    from services.errors import KafkaUnreachable

    needed = (topics.COMMANDS, topics.LEDGER, topics.CHECKPOINTS, topics.DEADLETTERS)
    while not stopping.done():
        try:
            topics.require(await topics.check(bootstrap), needed, bootstrap)
        except KafkaUnreachable as error:
            screen.tell("waiting", why=error.message)
            await asyncio.wait({stopping}, timeout=1.0)
            continue
        return True
    return False


_WORTH_TELLING_SECONDS = 1.0


class _Screen:
    """What a person, or with --json a program, is shown."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.service: Matcher | None = None
        self._ready = False
        self._waiting = False

    def tell(self, event: str, **fields: Any) -> None:
        """Show an event; repeated complaints once."""
        if event == "waiting":
            if self._waiting:
                return
            self._waiting = True
        if self.as_json:
            self._json(event, fields)
        else:
            self._text(event, fields)
        if event in ("assigned", "taken", "stopped") and not self._ready and self._all_taken():
            self._ready = True
            partitions = sorted(self.service.held - set(self.service.stopped))
            self._json("ready", {"ready": "matcher", "partitions": partitions}) if self.as_json else self._text(
                "ready", {"partitions": partitions}
            )

    def _all_taken(self) -> bool:
        """Whether each partition is at work, or has stopped with an alarm: that one is nothing to wait for."""
        tenures = self.service.tenures.values() if self.service is not None else ()
        return self.service is not None and all(tenure.desk.ready or tenure.stopped for tenure in tenures)

    def _json(self, event: str, fields: dict[str, Any]) -> None:
        if event != "answered":
            print(json.dumps(fields if event == "ready" else {"event": event, **fields}), flush=True)

    def _text(self, event: str, fields: dict[str, Any]) -> None:
        if line := sentence(event, fields):
            print(line, file=sys.stderr, flush=True)


def sentence(event: str, fields: dict[str, Any]) -> str | None:
    """An event of a matcher in words, fit for a terminal; None for one that needs none."""
    shown = {name: visible(value) if isinstance(value, str) else value for name, value in fields.items()}
    return _LINES[event](**shown) if event in _LINES else None


def _plural(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _rebuilt_from(seq: int, checkpoint: int | None) -> str:
    entries = seq - (checkpoint or 0)
    counted = f"{entries} {'entry' if entries == 1 else 'entries'}"
    return f"the checkpoint at entry {checkpoint} and {counted} since" if checkpoint else counted


def _within(seconds: dict[str, float] | None) -> str:
    taken = sum(seconds.values()) if seconds else 0.0
    return f" in {taken:.1f} s" if taken >= _WORTH_TELLING_SECONDS else ""


_LINES = {
    "waiting": lambda why: f"Waiting for Kafka: {why}",
    "assigned": lambda partitions: f"The group gave this matcher {_plural(len(partitions), 'partition')}: {partitions}",
    "taken": lambda partition, seq, watermark, checkpoint=None, seconds=None: (
        f"Partition {partition}: fenced and rebuilt from {_rebuilt_from(seq, checkpoint)}{_within(seconds)}, "
        f"next command at offset {watermark + 1}"
    ),
    "ready": lambda partitions: f"Ready. Matching on {_plural(len(partitions), 'partition')}; Ctrl-C stops.",
    "forgotten": lambda partition, why, pause_s=None: (
        f"Partition {partition}: {why}. Its memory is forgotten, to be rebuilt from the ledger"
        f"{'' if pause_s is None else f' in {pause_s:.1f} s'}."
    ),
    "stopped": lambda partition, code, message, hint: (
        f"PARTITION {partition} STOPPED ({code}): {message}" + (f"\n  {hint}" if hint else "")
    ),
    "stands_still": lambda partition, offset, why: (
        f"PARTITION {partition} STANDS STILL: {why}\n  Nothing from offset {offset} on is answered; it is tried again and again."
    ),
    "ended": lambda alarms=0: (
        "Stopped cleanly; nothing was left half done."
        if not alarms
        else f"Stopped; {_plural(alarms, 'partition')} had an alarm, see above."
    ),
}
