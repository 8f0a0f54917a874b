"""Which keys are in use, by their fingerprints, as services tell on `pumasi.services.v1`.

A new pseudonym key makes strangers of everybody, and contacts sealed for a key that is lost stay sealed. Nothing would fail: all would
be wrong in silence. So who has a key says which when it starts, and the next holds its own against what was said. The topic is
compacted by process. What `pumasi keys` says (and `up` on its behalf) counts above what a service says of the keys that it has.

While the notifier's key is being renewed two are in use: the new one, and `notifier.former`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from schemas.services import ServiceTold
from schemas.times import text_of
from services import __version__
from services.bus.client.producer import TROUBLE, Producer
from services.bus.consume.scan import TopicReader
from services.bus.envelope import Record, service_headers
from services.bus.security import connection
from services.bus.topics import SERVICES
from services.errors import KafkaUnreachable, KeyMissing, KeyOther

OURS: Final = "keys"
"""The process as which `pumasi keys` tells."""
FORMER: Final = ".former"
"""What follows a key's name where that of before still is in use."""
_SECONDS_MAX = 15.0
_AGAIN_SECONDS = 0.5


def told_in(record: Record) -> tuple[str, dict[str, str]]:
    """Who tells in a record, and of which keys."""
    process = (record.key or b"").decode("utf-8", "replace")
    try:
        return process, dict(json.loads(record.value or b"{}").get("keys") or {})
    except (ValueError, AttributeError, TypeError):
        return process, {}  # somebody's, of another version


async def by_process(bootstrap: str) -> dict[str, dict[str, str]]:
    """What each process told last of keys.

    Raises:
        KafkaUnreachable, TopicsMismatch: if it can't be read.
    """
    async with TopicReader(bootstrap) as reader:
        return dict([told_in(record) async for record in reader.records(SERVICES)])


async def known(bootstrap: str) -> dict[str, str]:
    """The fingerprint of each key of which one was told, by the key's name.

    Raises:
        KafkaUnreachable, TopicsMismatch: if it can't be read.
    """
    told = await by_process(bootstrap)
    ours = told.pop(OURS, {})
    return {name: one for of_process in (*told.values(), ours) for name, one in of_process.items()}


async def hold(bootstrap: str, process: str, keys: Mapping[str, str]) -> None:
    """See that our keys are those in use; of those of which nothing was told, tell.

    Args:
        bootstrap: Kafka, as somebody who may read and write the topic.
        process: who tells.
        keys: fingerprints, by the key's name.

    Raises:
        KeyOther: if one is not.
        KafkaUnreachable, TopicsMismatch: if it isn't known.
    """
    told = await known(bootstrap)
    if others := sorted(
        name for name, one in keys.items() if one not in (told.get(name, one), told.get(name + FORMER))
    ):
        raise KeyOther(
            f"not the keys in use at {bootstrap}: {', '.join(f'{name} is {keys[name]}, not {told[name]}' for name in others)}",
            hint="Put the former ones back into PUMASI_KEYS. If they are lost for good: pumasi keys make --lost",
        )
    if not keys.keys() <= told.keys():
        await tell(bootstrap, process, keys)


async def until_held(bootstrap: Callable[[], str], process: str, keys: Mapping[str, str]) -> None:
    """`hold`, however often it takes until Kafka answers; `bootstrap` says where it is.

    Raises:
        KeyOther, TopicsMismatch: as `hold`.
    """
    while True:
        try:
            return await hold(bootstrap(), process, keys)
        except KafkaUnreachable:
            await asyncio.sleep(_AGAIN_SECONDS)


def refuse_if_lost(bootstrap: str, told: Collection[str], missing: Collection[str]) -> None:
    """Raise KeyMissing if a key that is in use isn't there, so that none is made in its place.

    Args:
        bootstrap: where it was told of.
        told: names of keys that are in use.
        missing: names of files of keys that aren't there.
    """
    if lost := sorted(file for file in missing if file.partition(".")[0] in told):
        raise KeyMissing(
            f"keys that are in use at {bootstrap} aren't here: {', '.join(lost)}",
            hint="Put them back into PUMASI_KEYS from your backup. If they are lost for good: pumasi keys make --lost",
        )


async def tell(bootstrap: str, process: str, keys: Mapping[str, str]) -> None:
    """Tell which keys are in use from now on.

    Raises:
        KafkaUnreachable: if it may not have been told.
    """
    value = ServiceTold(process=process, version=__version__, keys=dict(keys)).model_dump_json().encode()
    await _write(bootstrap, [(process, value)])


async def move(bootstrap: str, keys: Mapping[str, str], gone: Sequence[str] = ()) -> None:
    """Tell that these keys are in use instead of others of their names; all others stay. Words of processes that are `gone` go.

    Raises:
        KafkaUnreachable: if it may not have been told.
    """
    staying = {name: one for name, one in (await known(bootstrap)).items() if name.removesuffix(FORMER) not in keys}
    value = ServiceTold(process=OURS, version=__version__, keys={**staying, **keys}).model_dump_json().encode()
    await _write(bootstrap, [(OURS, value), *((process, None) for process in gone)])


async def _write(bootstrap: str, words: Sequence[tuple[str, bytes | None]]) -> None:
    now = text_of(time.time_ns() // 1000)
    producer = Producer(**connection(bootstrap), client_id="pumasi-keys", enable_idempotence=True, acks="all")
    try:
        async with asyncio.timeout(_SECONDS_MAX):
            await producer.start()
            for process, value in words:
                await producer.send_and_wait(SERVICES, value, process.encode(), headers=service_headers(process, now))
    except TROUBLE as error:
        raise KafkaUnreachable(
            f"Kafka at {bootstrap} took no word of our keys ({type(error).__name__})", hint="Try again in a moment."
        ) from error
    finally:
        await producer.give_up()
