"""Intake seals for the notifier's key that is in use, and publishes nothing that was sealed for another."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nacl.public import PrivateKey, SealedBox

from schemas.services import ServiceTold
from services import keys
from services.bus import fingerprints
from services.errors import KafkaUnreachable, KeyMoved
from services.intake.contacts import Sealer
from services.intake.opening import NotSealed, Opener
from services.intake.sealing import Sealing
from services.settings import Settings, load


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PUMASI_KEYS", str(tmp_path / "keys"))
    keys.make(load())
    return load()


class World:
    """An intake's sealing, the topic of services that it follows, and what it says there."""

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said: list[dict[str, str]] = []
        self.steps: list[str] = []
        self.opener = Opener(lambda: keys.private_keys(settings, "intake"))
        self.sealer = Sealer(
            b"k" * 32,
            keys.public_key(settings, "notifier"),
            self.opener,
            reporter_key=keys.public_key(settings, "reporter"),
        )
        self.sealing = Sealing(settings, self.sealer, self.opener, self._nothing)

        async def tell(_bootstrap: str, process: str, words: dict[str, str]) -> None:
            assert process.startswith("pumasi-intake-")
            self.steps.append("said")
            self.said.append(words)

        monkeypatch.setattr(fingerprints, "tell", tell)

    async def _nothing(self) -> None:
        pass

    async def _drain(self) -> None:
        self.steps.append("drained")

    def told(self, process: str = "keys", **words: str) -> None:
        keys = {name.replace("_", "."): one for name, one in words.items()}
        value = ServiceTold(process=process, version="0", keys=keys).wire()
        record: Any = SimpleNamespace(key=process.encode(), value=value)
        self.sealing.follow(record)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        await self.sealing.catch_up()
        task = asyncio.create_task(self.sealing.keep(lambda: "", self._drain))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until_said(self, count: int = 1) -> None:
        async with asyncio.timeout(10):
            while len(self.said) < count:
                await asyncio.sleep(0.01)


def fingerprint(key: PrivateKey) -> str:
    return keys.fingerprint(bytes(key.public_key))


async def test_nothing_sealed_is_published_before_it_is_known_which_key_is_in_use(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(settings, monkeypatch)
    with pytest.raises(KafkaUnreachable):
        world.sealing.hold(world.sealer.sealed_for)
    async with world.kept():
        world.sealing.hold(world.sealer.sealed_for)


async def test_a_new_key_is_taken_once_it_lies_there_and_that_is_said_once_all_before_is_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, former, new = World(settings, monkeypatch), keys.notifier_private_key(settings), PrivateKey.generate()
    async with world.kept():
        world.told(notifier=fingerprint(new), notifier_former=fingerprint(former))
        with pytest.raises(KeyMoved):
            world.sealing.hold({"notifier": fingerprint(former)})
        await asyncio.sleep(0.4)
        assert world.sealing.is_behind
        assert world.said == []
        keys.seal_for(settings, new.public_key)
        await world.until_said()
        assert world.said == [{"notifier": fingerprint(new)}]
        assert world.steps == ["drained", "said"]
        assert world.sealer.sealed_for["notifier"] == fingerprint(new)
        world.sealing.hold({"notifier": fingerprint(new)})
        with pytest.raises(KeyMoved):
            world.sealing.hold({"notifier": fingerprint(former)})


async def test_who_starts_amid_it_with_the_new_key_says_so_too(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = PrivateKey.generate()
    keys.seal_for(settings, new.public_key)
    world = World(settings, monkeypatch)
    world.told(notifier=fingerprint(new), notifier_former="0" * 16)
    async with world.kept():
        await world.until_said()
    at_rest = World(settings, monkeypatch)
    at_rest.told(notifier=fingerprint(new))
    async with at_rest.kept():
        await asyncio.sleep(0.1)
        assert at_rest.said == [], "nobody waits for it"


async def test_no_service_but_keys_moves_the_key(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    world, other = World(settings, monkeypatch), PrivateKey.generate()
    async with world.kept():
        world.told("matcher", notifier=fingerprint(other))
        world.sealing.hold(world.sealer.sealed_for)
        assert not world.sealing.is_behind


async def test_what_is_sealed_for_the_reporters_former_key_passes_while_that_is_in_use_as_well(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, former, new = World(settings, monkeypatch), keys.private_key(settings, "reporter"), PrivateKey.generate()
    before, after = {"reporter": fingerprint(former)}, {"reporter": fingerprint(new)}
    async with world.kept():
        world.told(reporter=fingerprint(new), reporter_former=fingerprint(former))
        world.sealing.hold(before)
        assert not world.sealing.is_behind, "it may still publish all that it seals"
        keys.seal_for(settings, new.public_key, "reporter")
        await world.until_said()
        assert world.said == [after]
        world.sealing.hold(after)
        with pytest.raises(KeyMoved):
            world.sealing.hold(before)


async def test_an_intake_that_lacks_the_reporters_new_key_publishes_nothing_for_one_that_is_in_use_no_more(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, new = World(settings, monkeypatch), PrivateKey.generate()
    async with world.kept():
        world.told(reporter=fingerprint(new))
        assert world.sealing.is_behind
        with pytest.raises(KeyMoved):
            world.sealing.hold(world.sealer.sealed_for)
        world.told(notifier=fingerprint(other := PrivateKey.generate()), notifier_former="0" * 16)
        keys.seal_for(settings, other.public_key)
        await world.until_said()
        assert world.said == [{"notifier": fingerprint(other)}], "one key that isn't here keeps no other waiting"


async def test_intakes_new_key_is_said_to_be_used_once_it_and_the_former_one_lie_there(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, former = World(settings, monkeypatch), keys.private_key(settings, "intake")
    async with world.kept():
        new = keys.successor(settings, "intake")
        world.told(intake=fingerprint(new), intake_former=fingerprint(former))
        keys.keep_former(settings, "intake")
        [name] = keys.former_names(settings, "intake")
        kept = (keys.directory(settings) / name).rename(keys.directory(settings) / "not-copied-yet")
        await asyncio.sleep(0.4)
        assert world.said == []
        keys.succeed(settings, "intake")
        await asyncio.sleep(0.4)
        assert world.said == [], "what is on its way for the former would not be opened after its next start"
        kept.rename(keys.directory(settings) / name)
        await world.until_said()
        assert world.said == [{"intake": fingerprint(new)}]
        boxes = [base64.b64encode(SealedBox(key.public_key).encrypt(b"x")).decode() for key in (former, new)]
        assert [world.opener.opened(box) for box in boxes] == [b"x", b"x"]
        keys.destroy_former(settings, "intake")
        world.told(intake=fingerprint(new))
        async with asyncio.timeout(10):
            while world.opener.has(fingerprint(former)):
                await asyncio.sleep(0.01)
        with pytest.raises(NotSealed):
            world.opener.opened(boxes[0])


def test_a_box_for_a_key_that_has_just_come_is_opened(settings: Settings) -> None:
    opener = Opener(lambda: keys.private_keys(settings, "intake"))
    new = keys.successor(settings, "intake")
    assert opener.opened(base64.b64encode(SealedBox(new.public_key).encrypt(b"x")).decode()) == b"x"
    (keys.directory(settings) / "intake.key").unlink()
    with pytest.raises(NotSealed):
        opener.opened(base64.b64encode(SealedBox(PrivateKey.generate().public_key).encrypt(b"x")).decode())
    assert opener.has(fingerprint(new)), "keys that can't be read any more are better than none"
