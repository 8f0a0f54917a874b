"""Who runs: the processes by their heartbeats, whether each gets on, and whether they agree on their keys.

A process that is silent is dead, cut off or frozen, until another of its service has taken its heartbeat back; after a day it is
forgotten. Members of a consumer group without a heartbeat count as well: they are of a version without heartbeats.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from schemas.services import ServiceName
from services.bus.fingerprints import FORMER, in_use
from services.bus.heartbeat import BEGINNING, SILENT_SECONDS, Heard

SERVICES: Final = get_args(ServiceName)
FORGOTTEN_SECONDS: Final = 86_400.0
_PASSES: Final = {*BEGINNING, "not_answered"}
"""Codes that pass by themselves, or that a survey sees better than the process."""
_WORDS: Final = {
    "clock_off": "its machine's clock is off, so it takes nothing; set the clock",
    "stuck": "submissions on the topic don't get through; its log says why",
    "topic_unreadable": "something on a topic can't be read",
    "disk_fills": "a broker's disk is nearly full; with no room it ends, so make room or give it a larger disk",
    "not_told": "notices have waited for more than a minute, though others may be told; its metrics say how many, and since when",
    "webhook_down": "the webhook's receiver does not answer, so notices are given up",
    "ledger_tampered": "the ledger does not hold, so it has stopped here",
    "unknown_fact": "the ledger is newer than it is, so it has stopped here; upgrade",
    "unknown_rule": "the ledger is newer than it is, so it has stopped here; upgrade",
}


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be: a stable code, a line that says what and where, and one that says what to do."""

    code: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Process:
    """A process by its last heartbeat; `running` if that is recent.

    Attributes:
        since: when it started, RFC 3339.
        pid: its process id where it runs; None if its version does not tell.
        positions: by partition, the offset that it goes on from.
        amiss: codes of why it does not get on, with `partition`.
        went_wrong: the last thing that went wrong, over by now or not.
        keys: fingerprints of the keys that it uses.
    """

    process: str
    service: str
    running: bool
    told_seconds_ago: float
    since: str | None
    version: str
    positions: Mapping[str, int]
    amiss: list[dict[str, Any]]
    went_wrong: dict[str, Any] | None
    keys: Mapping[str, str]
    pid: int | None = None


def processes(heard: Iterable[Heard], now_ms: float) -> list[Process]:
    """The processes with a heartbeat, by service and name."""
    found = []
    for told, at_ms in heard:
        ago = max(0.0, (now_ms - at_ms) / 1000)
        if told.service is None or ago > FORGOTTEN_SECONDS:
            continue
        document = {"since": None, "went_wrong": None} | told.model_dump(mode="json", exclude_none=True)
        found.append(Process(**document, running=ago <= SILENT_SECONDS, told_seconds_ago=round(ago, 1)))
    return sorted(found, key=lambda one: (SERVICES.index(one.service), one.process))


def findings(
    found: Collection[Process], heard: Iterable[Heard], members: Mapping[str, int], waiting: Mapping[str, str]
) -> Iterator[Finding]:
    """What is amiss with the processes that were found, by what was heard on the topic.

    Args:
        members: of each service that has to run where others do, how many are in its consumer group, if it has one.
        waiting: for each service, what waits for it, in words; nothing if it is empty.
    """
    running = {one.service for one in found if one.running}
    there = {service: bool(number) or service in running for service, number in members.items()}
    for service in members:
        if not there[service] and ((left := waiting.get(service)) or any(there.values())):
            told = f"{left}, and no {service} runs" if left else f"no {service} runs"
            silent = next((one for one in found if one.service == service), None)
            start = f"Start one: `pumasi {service}`, or all there is with `pumasi up`."
            yield Finding(f"no_{service}", told, _ending(silent) if silent else start)
    for one in found:
        if not one.running:
            yield Finding(
                "service_silent",
                f"{one.process} has told nothing for {span(one.told_seconds_ago)}: it is dead, cut off or frozen",
                f"{_ending(one)} Once another {one.service} has run for a minute, it is not missed any more.",
            )
        else:
            for amiss in one.amiss:
                remarked = one.service == "matcher" and "partition" in amiss  # to its group, in more words
                if amiss["code"] not in _PASSES and not remarked:
                    where = f", partition {amiss['partition']}" if "partition" in amiss else ""
                    yield Finding(amiss["code"], f"{one.process}{where}: {_WORDS.get(amiss['code'], amiss['code'])}")
    yield from _keys(found, in_use(heard))


def _ending(silent: Process) -> str:
    """How to be rid of a process that may hang; in a container it is the first, and its number says nothing outside."""
    how = f": `kill -9 {silent.pid}`" if silent.pid and silent.pid > 1 else ""
    return (
        f"Kill {silent.process} where it runs, if it is still there{how}. What supervises it (`pumasi up`, systemd, "
        "Kubernetes) starts another; its log says more."
    )


def _keys(found: Iterable[Process], used: dict[str, str]) -> Iterator[Finding]:
    """Processes whose keys differ from those in use, or, where none is known to be in use, from the first process's.

    While a key is being renewed, two are in use.
    """
    for one in found:
        for name, fingerprint in one.keys.items() if one.running else ():
            if (wanted := used.setdefault(name, fingerprint)) != fingerprint != used.get(name + FORMER):
                yield Finding(
                    "keys_differ",
                    f"{one.process} uses another {name} key ({fingerprint}) than the one in use ({wanted})",
                    "Put the key in use into its PUMASI_KEYS, and start it again.",
                )


def span(seconds: float) -> str:
    """A length of time for people, in its largest whole unit."""
    for unit, length in (("day", 86_400), ("h", 3_600), ("min", 60)):
        if (number := int(seconds // length)) > 0:
            return f"{number} {unit}{'s' if unit == 'day' and number > 1 else ''}"
    return f"{int(seconds)} s"
