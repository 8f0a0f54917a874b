"""Which keys are in use, by their fingerprints, as services tell on `pumasi.services.v1`.

A new pseudonym key makes strangers of everybody, and contacts sealed for a key that is lost stay sealed. Nothing would fail:
everything would be silently wrong. So each process says at its start which keys it has, and the next compares its own with that.
The topic is compacted by process. What `pumasi keys` says (and `up` on its behalf) takes precedence over what a service says of
its keys. Heartbeats also say which keys each process uses; they decide nothing, `status` compares them.

While the notifier's key is being renewed two are in use: the new one, and `notifier.former`. What can't be read, or may not have been
told, is KafkaUnreachable or TopicsMismatch everywhere here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from schemas.command import is_ahead
from schemas.services import ServiceTold
from schemas.times import text_of
from services import __version__
from services.bus import heartbeat
from services.bus.envelope import Record, service_headers
from services.bus.produce.publisher import Outgoing, publishing
from services.bus.security import Bootstrap
from services.bus.topics import SERVICES
from services.errors import ClockOff, KafkaUnreachable, KeyMissing, KeyOther
from services.keys import NEXT

OURS: Final = "keys"
"""The process as which `pumasi keys` tells."""
FORMER: Final = ".former"
"""What follows a key's name while the former key is still in use."""
KEPT: Final = "PUMASI_KEYS"
"""Where keys lie, if it is not said."""
_AGAIN_SECONDS = 0.5
_PATIENCE_SECONDS, _DEADLINE_SECONDS = 10.0, 5.0
"""How long Kafka may take to be reached, then to take a word: whoever waits for it may be at a terminal."""


def told_in(record: Record) -> tuple[str, dict[str, str]]:
    """Which process a record is from, and which keys it says are in use; a heartbeat says none."""
    told = heartbeat.read(record)
    keys = dict(told.keys) if told is not None and told.service is None else {}
    return (record.key or b"").decode("utf-8", "replace"), keys


def by_process(heard: Iterable[heartbeat.Heard]) -> dict[str, dict[str, str]]:
    """What each process last said about the keys in use; heartbeats left out."""
    return {told.process: dict(told.keys) for told, _ in heard if told.service is None}


async def known(bootstrap: str) -> dict[str, str]:
    """The fingerprints that were announced, by the key's name."""
    return in_use(await heartbeat.heard(bootstrap))


def in_use(heard: Iterable[heartbeat.Heard]) -> dict[str, str]:
    """The same from what was read already; a running service's own keys are left out: they may be the wrong ones."""
    told = by_process(heard)
    ours = told.pop(OURS, {})
    return {name: one for of_process in (*told.values(), ours) for name, one in of_process.items()}


async def refuse_if_behind(bootstrap: str, now: int) -> None:
    """Raise ClockOff if something was written later than `now`, microseconds since 1970, by more than clocks may differ."""
    latest = max([one.at_ms * 1000 for one in await heartbeat.heard(bootstrap)], default=0)
    if is_ahead(latest, now):
        raise ClockOff(
            f"this machine's clock says {text_of(now)}, and services told of themselves at {text_of(latest)}",
            hint="Set the clock right: the key's name says from when on it serves.",
        )


async def hold(bootstrap: str, process: str, keys: Mapping[str, str], kept: object = KEPT) -> None:
    """Check that our keys are those in use; announce those of which nothing was said.

    Args:
        bootstrap: Kafka, as somebody who may read and write the topic.
        process: which one announces them.
        keys: fingerprints, by the key's name.

    Raises:
        KeyOther: if one is not.
        KeyMissing: if others have a pseudonym key that isn't here.
    """
    told = await known(bootstrap)
    if "pseudonym" in keys:  # whoever makes words for people needs all keys that they were made with
        refuse_if_lost(
            bootstrap, told, [f"{name}.key" for name in told if name.startswith(NEXT) and name not in keys], kept
        )
    if others := sorted(
        name for name, one in keys.items() if one not in (told.get(name, one), told.get(name + FORMER))
    ):
        raise KeyOther(
            f"not the keys in use at {bootstrap}: {', '.join(f'{name} is {keys[name]}, not {told[name]}' for name in others)}",
            hint=f"Put the former ones back into {kept}. If they are lost for good: pumasi keys make --lost",
        )
    if not keys.keys() <= told.keys():
        await tell(bootstrap, process, keys)


async def until_held(bootstrap: Bootstrap, process: str, keys: Mapping[str, str], kept: object = KEPT) -> None:
    """`hold`, however often it takes until Kafka answers; `bootstrap` says where it is. Raises the rest as it does."""
    while True:
        try:
            return await hold(bootstrap(), process, keys, kept)
        except KafkaUnreachable:
            await asyncio.sleep(_AGAIN_SECONDS)


def in_use_of(told: Collection[str], missing: Collection[str]) -> list[str]:
    """Of files of keys that aren't there, those of keys that are in use: `told` by name."""
    return sorted(file for file in missing if file.partition(".")[0] in told)


def refuse_if_lost(bootstrap: str, told: Collection[str], missing: Collection[str], kept: object = KEPT) -> None:
    """Raise KeyMissing if a key that is in use isn't there, so that none is made in its place.

    Args:
        told: names of keys that are in use.
        missing: names of files of keys that aren't there.
    """
    if lost := in_use_of(told, missing):
        raise KeyMissing(
            f"keys that are in use at {bootstrap} aren't here: {', '.join(lost)}",
            hint=f"Put them back into {kept} from your backup. If they are lost for good: pumasi keys make --lost",
        )


async def tell(bootstrap: str, process: str, keys: Mapping[str, str]) -> None:
    """Announce which keys are in use from now on."""
    value = ServiceTold(process=process, version=__version__, keys=dict(keys)).wire()
    await _write(bootstrap, [(process, value)])


async def move(bootstrap: str, keys: Mapping[str, str], gone: Sequence[str] = ()) -> None:
    """Announce that these keys replace others of their names; all others stay. What processes in `gone` said is deleted."""
    staying = {name: one for name, one in (await known(bootstrap)).items() if name.removesuffix(FORMER) not in keys}
    value = ServiceTold(process=OURS, version=__version__, keys={**staying, **keys}).wire()
    await _write(bootstrap, [(OURS, value), *((process, None) for process in gone)])


async def _write(bootstrap: str, words: Sequence[tuple[str, bytes | None]]) -> None:
    now = text_of(time.time_ns() // 1000)
    told = [Outgoing(SERVICES, 0, name.encode(), value, service_headers(name, now)) for name, value in words]
    async with publishing(bootstrap, SERVICES, "pumasi-keys", _DEADLINE_SECONDS, _PATIENCE_SECONDS) as publisher:
        await publisher.publish(told)
