"""The notifier's key is renewed on a real broker while everybody works: wherever it is killed nobody is lost; the old opens nothing."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox
from typer.testing import CliRunner

from services import keys, rotation
from services.bus import fingerprints, heartbeat
from services.bus.consume.scan import TopicReader
from services.bus.contacts import Contacts
from services.bus.embedded import EmbeddedKafka
from services.bus.heartbeat import heard
from services.bus.partition import partition_of
from services.bus.topics import CONTACTS
from services.cli import build
from services.console.readmodel.running import SERVICES, findings, processes
from services.errors import KeyNotFollowed, KeyOther, UsageError
from services.rotation import rotate_notifier
from services.settings import Settings
from tests.broker.test_intake import commands, pledge, post, read, running
from tests.broker.test_notifier import notifier
from tests.broker.told_ledger import Ledger, opening, pledged


def content(number: int) -> bytes:
    told = json.dumps({"address": f"mailto:p{number}@example.org", "language": "ko"}).encode()
    return told + b" " * (-len(told) % 256)


async def fill(bootstrap: str, key: PrivateKey, numbers: range) -> None:
    """Sealed contacts, as intake writes them."""
    box = SealedBox(key.public_key)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=20) as producer:
        sent = []
        for number in numbers:
            name = f"~s{number}"
            value = {"subject": name, "sealed_contact": base64.b64encode(box.encrypt(content(number))).decode()}
            headers = [("ce_id", b"e-%d" % number)]
            raw = json.dumps(value).encode()
            sent.append(
                await producer.send(CONTACTS, raw, name.encode(), partition=partition_of(name, 4), headers=headers)
            )
        await asyncio.gather(*sent)


def opened(value: bytes, key: PrivateKey) -> bytes | None:
    try:
        return SealedBox(key).decrypt(base64.b64decode(json.loads(value)["sealed_contact"]))
    except CryptoError:
        return None


async def living(bootstrap: str) -> dict[str, bytes]:
    latest = {record.key.decode(): record.value for record in await read(bootstrap, CONTACTS)}
    return {key: value for key, value in latest.items() if value is not None}


def is_settled(found: Mapping[str, bytes]) -> bool:
    return not any("/" in key for key in found)


async def until(bootstrap: str, holds: Callable[[dict[str, bytes]], bool] = is_settled) -> dict[str, bytes]:
    """What lives on the contacts topic, once it is as it should be: nothing is pending."""
    async with asyncio.timeout(60):
        while not holds(found := await living(bootstrap)):
            await asyncio.sleep(0.05)
    return found


async def assert_all_open(bootstrap: str, settings: Settings, former: PrivateKey, numbers: range) -> None:
    """Whoever was there is, sealed for the one key that is left, which isn't the former; nothing of the renewal stays."""
    found, key = await living(bootstrap), keys.notifier_private_key(settings)
    assert found.keys() == {f"~s{number}" for number in numbers}
    assert all(opened(found[f"~s{number}"], key) == content(number) for number in numbers)
    assert not any(opened(value, former) for value in found.values())
    assert key != former
    assert key.public_key == keys.public_key(settings, "notifier")
    assert not keys.is_renewed(settings)
    told = await fingerprints.known(bootstrap)
    assert told["notifier"] == keys.fingerprint(bytes(key.public_key))
    assert f"notifier{fingerprints.FORMER}" not in told
    kept = keys.directory(settings)
    encoded = base64.b64encode(bytes(former))
    assert not any(encoded in path.read_bytes() for path in kept.iterdir())


async def test_all_are_sealed_anew_and_the_former_key_is_gone(topics_reset: EmbeddedKafka, settings: Settings) -> None:
    bootstrap, former = topics_reset.bootstrap, keys.notifier_private_key(settings)
    await fill(bootstrap, former, range(2500))
    seen: list[tuple[str, int, int]] = []
    rotated = await rotate_notifier(bootstrap, settings, lambda *at: seen.append(at))
    assert (rotated.resealed, rotated.living, rotated.unopened) == (2500, 2500, 0)
    await assert_all_open(bootstrap, settings, former, range(2500))
    assert ("seal", 1000, 2500) in seen
    assert all(dict(record.headers)["ce_id"].startswith(b"e-") for record in await read(bootstrap, CONTACTS))
    again = keys.notifier_private_key(settings)
    await rotate_notifier(bootstrap, settings)
    await assert_all_open(bootstrap, settings, again, range(2500))


STEPS = {
    "before it is told": (fingerprints, "move"),
    "before intake seals": (keys, "seal_for"),
    "before anything is sealed": (Contacts, "replace"),
    "before intakes follow": (rotation, "group_of"),
    "before the former is destroyed": (keys, "succeed"),
}


class Killed(BaseException):
    """Instead of SIGKILL."""


@contextlib.contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, step: tuple[Any, str], done: bool) -> Iterator[None]:
    """What is done within is killed at a step: once that is done, or before it."""
    where, name = step
    real = getattr(where, name)

    def killed(*arguments: Any, **more: Any) -> Any:
        async def at_end(made: Any) -> None:
            await made
            raise Killed

        if done and asyncio.iscoroutine(made := real(*arguments, **more)):
            return at_end(made)
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(where, name, killed)
        yield


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("step", STEPS)
async def test_cut_short_at_any_step_it_is_finished_by_the_next(
    topics_reset: EmbeddedKafka, settings: Settings, monkeypatch: pytest.MonkeyPatch, step: str, done: bool
) -> None:
    bootstrap, former = topics_reset.bootstrap, keys.notifier_private_key(settings)
    await fill(bootstrap, former, range(30))
    with killed_at(monkeypatch, STEPS[step], done):
        await rotate_notifier(bootstrap, settings)
    ring = keys.private_keys(settings, "notifier")
    assert all(any(opened(value, key) for key in ring) for value in (await living(bootstrap)).values())
    told = await fingerprints.known(bootstrap)
    mine = keys.fingerprints(settings, "notifier")["notifier"]
    assert mine in (told.get("notifier", mine), told.get(f"notifier{fingerprints.FORMER}")), "it can be started"
    await rotate_notifier(bootstrap, settings)
    await assert_all_open(bootstrap, settings, former, range(30))


async def test_killed_amid_it_by_the_system_nobody_is_lost(topics_reset: EmbeddedKafka, settings: Settings) -> None:
    bootstrap, former = topics_reset.bootstrap, keys.notifier_private_key(settings)
    await fill(bootstrap, former, range(6000))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "services.cli", "keys", "rotate", "notifier", "--kafka", bootstrap, "--json",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with TopicReader(bootstrap) as reader:  # asks for ends alone: 6,000 are sealed within a second
        while sum(extent.end for extent in (await reader.extents(CONTACTS)).values()) < 6500:
            assert process.returncode is None
    os.kill(process.pid, signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL
    ring = keys.private_keys(settings, "notifier")
    assert len(ring) == 2
    half = await living(bootstrap)
    by = [sum(opened(value, key) is not None for value in half.values()) for key in ring]
    assert sum(by) == 6000
    assert min(by) > 0, "it was amid"
    result = await asyncio.to_thread(
        CliRunner().invoke, build(), ["keys", "rotate", "notifier", "--kafka", bootstrap, "--json"]
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["resealed"] == by[0], "what was done isn't done again"
    await assert_all_open(bootstrap, settings, former, range(6000))


async def test_what_comes_while_all_is_sealed_anew_is_not_covered_by_what_was_before(
    topics_reset: EmbeddedKafka, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One person's contact is renewed, and another's is forgotten, in the very moment before what was read is written again."""
    bootstrap, former, real = topics_reset.bootstrap, keys.notifier_private_key(settings), Contacts.replace
    await fill(bootstrap, former, range(3))
    came = False

    async def slowly(contacts: Contacts, values: dict[bytes, bytes | None]) -> None:
        nonlocal came
        if not came:
            came = True
            box = SealedBox(keys.public_key(settings, "notifier")).encrypt(content(1000))
            value = {"subject": "~s1", "sealed_contact": base64.b64encode(box).decode()}
            async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
                for name, raw in (("~s1", json.dumps(value).encode()), ("~s2", None)):
                    await producer.send_and_wait(CONTACTS, raw, name.encode(), partition=partition_of(name, 4))
        await real(contacts, values)

    monkeypatch.setattr(Contacts, "replace", slowly)
    await rotate_notifier(bootstrap, settings)
    found, key = await living(bootstrap), keys.notifier_private_key(settings)
    assert {name: opened(value, key) for name, value in found.items()} == {"~s0": content(0), "~s1": content(1000)}


async def test_everybody_works_on_meanwhile_and_an_id_that_comes_again_counts_once(
    topics_reset: EmbeddedKafka, settings: Settings
) -> None:
    bootstrap, former = topics_reset.bootstrap, keys.notifier_private_key(settings)
    await fill(bootstrap, former, range(1500))
    async with running(topics_reset, settings.data) as (_, http):
        sent: dict[int, str] = {}

        async def send() -> None:
            for number in range(10_000):
                contact = {"address": f"mailto:new{number}@example.org", "language": "zh"}
                while (answer := await post(http, pledge(number, donor=None, contact=contact))).status_code == 503:
                    assert answer.json()["code"] == "key_moved"
                assert answer.status_code == 202, answer.text
                sent[number] = answer.json()["accepted"][0]["receipt"]

        sending = asyncio.create_task(send())
        while len(sent) < 20:
            await asyncio.sleep(0.01)
        rotated = await rotate_notifier(bootstrap, settings)
        before = len(sent)
        while len(sent) < before + 20:
            await asyncio.sleep(0.01)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        key, found = keys.notifier_private_key(settings), await living(bootstrap)
        assert rotated.resealed >= 1500 + 20
        told = [opened(value, key) for value in found.values()]
        assert None not in told
        addresses = {json.loads(one)["address"] for one in told}
        assert addresses >= {f"mailto:new{number}@example.org" for number in sent}
        assert len([one for one in addresses if one.startswith("mailto:p")]) == 1500
        there = len(await commands(bootstrap, least=len(sent)))
        contact = {"address": "MAILTO:New3@example.org", "language": "zh"}
        again = await post(http, pledge(3, donor=None, contact=contact))
        assert again.json()["accepted"][0]["receipt"] == sent[3]
        assert len(await commands(bootstrap)) == there
    words = fingerprints.by_process(await heard(bootstrap))
    assert not any(told for process, told in words.items() if process.startswith("pumasi-intake-")), "it is done with"


async def test_an_intake_without_the_new_public_key_publishes_nothing_sealed_and_keeps_the_former_from_being_destroyed(
    topics_reset: EmbeddedKafka, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bootstrap, former = topics_reset.bootstrap, keys.notifier_private_key(settings)
    await fill(bootstrap, former, range(3))
    monkeypatch.setattr(rotation, "FOLLOWED_WITHIN_SECONDS", 1.0)
    elsewhere = tmp_path / "elsewhere-keys"
    shutil.copytree(keys.directory(settings), elsewhere)
    contact = {"address": "mailto:a@example.org"}
    async with running(topics_reset, tmp_path / "elsewhere", keys=elsewhere) as (_, http):
        assert (await post(http, pledge(1, donor=None, contact=contact))).status_code == 202
        with pytest.raises(KeyNotFollowed, match="1 intakes run, and 0 of them have the notifier's new key"):
            await rotate_notifier(bootstrap, settings)
        assert keys.notifier_private_key(settings) == former
        refused = await post(http, pledge(2, donor=None, contact=contact))
        assert (refused.status_code, refused.json()["code"]) == (503, "key_moved")
        assert (await http.get("/readyz")).json()["code"] == "key_moved"
        assert (await post(http, pledge(3))).status_code == 202, "what is not sealed is taken"
        shutil.copy2(keys.directory(settings) / "notifier.pub", elsewhere)
        await rotate_notifier(bootstrap, settings)
        assert (await post(http, pledge(2, donor=None, contact=contact))).status_code == 202
        key = keys.notifier_private_key(settings)
        assert all(opened(value, key) for value in (await living(bootstrap)).values())


async def test_a_notifier_that_runs_speaks_to_everybody_in_their_language_before_amid_and_after(
    topics_reset: EmbeddedKafka, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap, real = topics_reset.bootstrap, rotation.group_of
    former = keys.notifier_private_key(settings)
    await fill(bootstrap, former, range(1, 4))
    async with Ledger(bootstrap, "jilin") as ledger, notifier(bootstrap) as process:

        async def korean(*facts: Any, count: int) -> None:
            await ledger.write(*facts)
            to_donors = [line for line in await process.notices(count) if line["role"] == "donor"]
            assert to_donors
            assert all(re.search("[가-힣]", line["text"]) for line in to_donors)

        def from_donor(facts: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
            return [{**fact, "donor": f"~s{number}"} if "donor" in fact else fact for fact in facts]

        await ledger.write(opening("jilin", 1000))
        await process.notices(len(ledger.expected))
        await korean(from_donor(pledged(1, 100), 1), count=2)

        async def amid(*arguments: Any) -> Any:
            if amid_facts:
                await korean(from_donor(pledged(2, 10), 2), count=amid_facts.pop())
            return await real(*arguments)

        amid_facts = [2]
        monkeypatch.setattr(rotation, "group_of", amid)
        await rotate_notifier(bootstrap, settings)
        assert not amid_facts
        await korean(from_donor(pledged(3, 10), 3), count=2)
        status, errors = await process.stop()
        assert (status, "can't be opened" in errors) == (0, False), errors


async def test_a_notifier_that_starts_after_renewals_takes_nothing_of_before_for_an_alarm(
    topics_reset: EmbeddedKafka, settings: Settings
) -> None:
    bootstrap, stranger = topics_reset.bootstrap, PrivateKey.generate()
    await fill(bootstrap, keys.notifier_private_key(settings), range(40))
    for _ in range(2):
        await rotate_notifier(bootstrap, settings)
    async with notifier(bootstrap) as process:
        status, errors = await process.stop()
    assert (status, "can't be opened" in errors) == (0, False), errors
    await fill(bootstrap, stranger, range(7, 8))
    async with notifier(bootstrap) as process:
        status, errors = await process.stop()
    assert (status, errors.count("can't be opened")) == (0, 1), errors


async def test_once_it_is_renewed_nobody_is_said_to_use_another(
    topics_reset: EmbeddedKafka, settings: Settings
) -> None:
    bootstrap, nobody = topics_reset.bootstrap, dict.fromkeys(SERVICES, 0)

    async def told() -> dict[str, str]:
        """By service, the notifier's key that it says it uses."""
        return {one.service: one.keys["notifier"] for one, _ in await heartbeat.heard(bootstrap) if one.service}

    async with running(topics_reset, settings.data), notifier(bootstrap):
        async with asyncio.timeout(30):
            while (await told()).keys() != {"intake", "notifier"}:
                await asyncio.sleep(0.1)
        for _ in range(2):
            rotated = await rotate_notifier(bootstrap, settings)
            heard = await heartbeat.heard(bootstrap)
            survey = findings(processes(heard, time.time() * 1000), heard, nobody, dict.fromkeys(SERVICES, ""))
            assert [one.message for one in survey if one.code == "keys_differ"] == []
            assert await told() == {"intake": rotated.key, "notifier": rotated.key}


async def test_a_key_that_is_not_in_use_renews_nothing(topics_reset: EmbeddedKafka, settings: Settings) -> None:
    await fingerprints.tell(topics_reset.bootstrap, "keys", {"notifier": "0" * 16})
    with pytest.raises(KeyOther):
        await rotate_notifier(topics_reset.bootstrap, settings)
    with keys.renewing(settings), pytest.raises(UsageError, match="right now"):
        await rotate_notifier(topics_reset.bootstrap, settings)
