"""Intake's key and the reporter's are renewed on a real broker while intake works: wherever it is killed, nothing is closed."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox
from typer.testing import CliRunner

from schemas.senders import Sender
from services import keys, rotation, succession
from services.bus import fingerprints, heartbeat
from services.bus.embedded import EmbeddedKafka
from services.bus.heartbeat import heard
from services.bus.replacing import Replacing
from services.bus.senders import put_sender, senders
from services.bus.topics import SENDERS, SUBMISSIONS
from services.cli import build
from services.errors import KeyNotFollowed, KeyOther, UsageError
from services.senders import issue, renewed
from services.settings import Settings
from tests.broker.test_intake import commands, event, post, running
from tests.broker.test_rotation import killed_at

WHOSE = ("intake", "reporter")


def fingerprint(key: PrivateKey) -> str:
    return keys.fingerprint(key.public_key)


def opens(ring: list[PrivateKey], box: str) -> bytes | None:
    for key in ring:
        try:
            return SealedBox(key).decrypt(base64.b64decode(box))
        except CryptoError:
            continue
    return None


def case(number: int) -> dict[str, Any]:
    return event(
        "case.submitted", number, fund="jilin", case=f"c-{number}", beneficiary=f"b-{number}", need="test", route="home",
        goal=500, priority="routine", access={"province": "CN-JL", "status": "unregistered"},
    )  # fmt: skip


def sealed_pledge(number: int, key: PublicKey) -> dict[str, Any]:
    contact = json.dumps({"address": f"mailto:p{number}@example.org", "language": "ko"}).encode()
    box = base64.b64encode(SealedBox(key).encrypt(contact)).decode()
    return event(
        "pledge.made", number, fund="jilin", pledge=f"p-{number}", amount=5, currency="CNY", sealed_contact=box
    )


async def assert_renewed(bootstrap: str, settings: Settings, whose: str, *former: PrivateKey) -> None:
    """There is a new key, which is in use, the former ones are kept, and nothing of the renewal stays."""
    ring = keys.private_keys(settings, whose)
    assert ring[0] not in former
    assert set(ring[1:]) >= set(former)
    assert keys.fingerprints(settings, whose) == {whose: fingerprint(ring[0])}
    assert not keys.is_renewed(settings, whose)
    told = await fingerprints.known(bootstrap)
    assert told[whose] == fingerprint(ring[0])
    assert whose + fingerprints.FORMER not in told
    for name, sender in (await senders(bootstrap)).items():
        for key in sender.keys if whose == "intake" else ():
            assert opens(ring[:1], key.secret), name


async def fill(bootstrap: str, settings: Settings) -> dict[str, list[bytes]]:
    """Senders with one key, two, and none; their secrets."""
    intake = keys.public_key(settings, "intake")
    one, two = issue("one", ["cases"], None, intake), issue("two", ["cases"], None, intake)
    gone = Sender(sender="gone", scopes=["cases"], funds=None, keys=[])
    for sender in (one.sender, renewed(two.sender, intake).sender, gone):
        await put_sender(bootstrap, sender)
    return await secrets(bootstrap, keys.private_keys(settings, "intake"))


async def secrets(bootstrap: str, ring: list[PrivateKey]) -> dict[str, list[bytes]]:
    found = (await senders(bootstrap)).items()
    return {name: [secret for key in one.keys if (secret := opens(ring, key.secret))] for name, one in found}


async def test_senders_secrets_are_sealed_for_intakes_new_key_and_are_the_same(
    topics_reset: EmbeddedKafka, settings: Settings
) -> None:
    bootstrap, former = topics_reset.bootstrap, keys.private_key(settings, "intake")
    before = await fill(bootstrap, settings)
    told = await succession.renew(bootstrap, settings, "intake")
    assert (told.resealed, told.unopened, told.kept) == (2, 0, [f"intake-{fingerprint(former)}.key"])
    await assert_renewed(bootstrap, settings, "intake", former)
    assert await secrets(bootstrap, keys.private_keys(settings, "intake")[:1]) == before
    assert [len(one) for one in before.values()] == [1, 2, 0]
    assert await succession.revoke(bootstrap, settings, "intake") == told.kept
    assert keys.private_keys(settings, "intake") == [keys.private_key(settings, "intake")]


STEPS = {
    "before a copy is kept": (keys, "keep_former"),
    "before there is a new one": (keys, "successor"),
    "before it is told": (fingerprints, "move"),
    "before it takes the place": (keys, "succeed"),
    "before senders seal for it": (keys, "seal_for"),
    "before intakes follow": (rotation, "group_of"),
    "before secrets are sealed": (Replacing, "replace"),
    "before it is done": (succession, "until_used"),
}


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("step", STEPS)
async def test_cut_short_at_any_step_everything_opens_and_the_next_finishes_it(
    topics_reset: EmbeddedKafka, settings: Settings, monkeypatch: pytest.MonkeyPatch, step: str, done: bool
) -> None:
    bootstrap, former = topics_reset.bootstrap, keys.private_key(settings, "intake")
    before = await fill(bootstrap, settings)
    with killed_at(monkeypatch, STEPS[step], done):
        await succession.renew(bootstrap, settings, "intake")
    assert former in keys.private_keys(settings, "intake"), "what is on its way is opened"
    assert await secrets(bootstrap, keys.private_keys(settings, "intake")) == before
    await fingerprints.hold(bootstrap, "intake", keys.fingerprints(settings))  # it can be started
    await succession.renew(bootstrap, settings, "intake")
    await assert_renewed(bootstrap, settings, "intake", former)
    assert await secrets(bootstrap, keys.private_keys(settings, "intake")[:1]) == before


async def test_intake_opens_by_both_while_it_runs_until_the_former_is_revoked(
    topics_reset: EmbeddedKafka, settings: Settings
) -> None:
    bootstrap, former = topics_reset.bootstrap, keys.public_key(settings, "intake")
    async with running(topics_reset, settings.data) as (_, http):
        assert (await post(http, sealed_pledge(1, former))).status_code == 202
        told = await succession.renew(bootstrap, settings, "intake")
        for number, key in ((2, former), (3, keys.public_key(settings, "intake"))):
            assert (await post(http, sealed_pledge(number, key))).status_code == 202
        heard = [one.keys["intake"] for one, _ in await heartbeat.heard(bootstrap) if one.service == "intake"]
        assert heard == [told.key]
        assert await succession.revoke(bootstrap, settings, "intake") == told.kept
        async with asyncio.timeout(10):
            while (answer := await post(http, sealed_pledge(4, former))).status_code == 202:
                await asyncio.sleep(0.05)
        assert [found["code"] for found in answer.json()["errors"]] == ["not_sealed"]
        assert (await post(http, sealed_pledge(5, keys.public_key(settings, "intake")))).status_code == 202


async def test_boxes_for_the_reporter_are_for_the_new_key_at_once_and_all_are_opened(
    topics_reset: EmbeddedKafka, settings: Settings
) -> None:
    bootstrap, former = topics_reset.bootstrap, keys.private_key(settings, "reporter")
    async with running(topics_reset, settings.data) as (_, http):
        assert (await post(http, case(1))).status_code == 202
        told = await succession.renew(bootstrap, settings, "reporter")
        await assert_renewed(bootstrap, settings, "reporter", former)
        assert (await post(http, case(2))).status_code == 202
        found = await commands(bootstrap, least=2)
        boxes = [json.loads(record.value)["access_box"] for record in found]
    ring = keys.private_keys(settings, "reporter")
    assert all(opens(ring, box) for box in boxes)
    assert [bool(opens(ring[:1], box)) for box in boxes] == [False, True]
    assert told.key == fingerprint(ring[0])
    words = fingerprints.by_process(await heard(bootstrap))
    assert not any(process.startswith("pumasi-intake-") for process in words), "it is done with"


@pytest.mark.parametrize("whose", WHOSE)
async def test_an_intake_elsewhere_takes_everything_meanwhile_and_the_renewal_waits_for_it(
    topics_reset: EmbeddedKafka, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, whose: str
) -> None:
    bootstrap, former = topics_reset.bootstrap, keys.private_key(settings, whose)
    monkeypatch.setattr(rotation, "FOLLOWED_WITHIN_SECONDS", 1.0)
    elsewhere = tmp_path / "elsewhere-keys"
    shutil.copytree(keys.directory(settings), elsewhere)
    async with running(topics_reset, tmp_path / "elsewhere", keys=elsewhere) as (_, http):
        assert (await post(http, case(1))).status_code == 202
        for _ in range(2):
            with pytest.raises(KeyNotFollowed, match="1 intakes run, and 0"):
                await succession.renew(bootstrap, settings, whose)
        assert len(keys.former_names(settings, whose)) == 1, "the second goes on with the first"
        assert (await post(http, case(2))).status_code == 202
        assert (await http.get("/readyz")).status_code == 200
        with pytest.raises(UsageError, match="being renewed"):
            await succession.revoke(bootstrap, settings, whose)
        for path in keys.directory(settings).glob(f"{whose}*"):
            shutil.copy2(path, elsewhere)
        await succession.renew(bootstrap, settings, whose)
        await assert_renewed(bootstrap, settings, whose, former)
        assert (await post(http, case(3))).status_code == 202


async def test_a_sender_that_is_revoked_amid_it_stays_revoked(
    topics_reset: EmbeddedKafka, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap, real, came = topics_reset.bootstrap, Replacing.replace, False
    await fill(bootstrap, settings)
    seen: list[int] = []

    async def slowly(topic: Replacing, values: dict[bytes, bytes | None]) -> None:
        nonlocal came
        if not came:
            came = True
            one = (await senders(bootstrap))["one"]
            await put_sender(bootstrap, one.model_copy(update={"keys": []}))
        await real(topic, values)
        seen.append(len((await senders(bootstrap))["one"].keys))

    monkeypatch.setattr(Replacing, "replace", slowly)
    await succession.renew(bootstrap, settings, "intake")
    assert seen == [0, 0], "no reader takes what covers it for what counts, and it is written once more"
    assert (await senders(bootstrap))["one"].keys == []
    async with Replacing(bootstrap, SENDERS, "test") as topic:
        await topic.read_on()
        assert not any(one.covered for one in topic.latest.values())


@pytest.mark.parametrize("whose", WHOSE)
async def test_a_key_that_is_not_in_use_renews_and_revokes_nothing(
    topics_reset: EmbeddedKafka, settings: Settings, whose: str
) -> None:
    await fingerprints.tell(topics_reset.bootstrap, "keys", {whose: "0" * 16})
    former = keys.private_key(settings, whose)
    for call in (succession.renew, succession.revoke):
        with pytest.raises(KeyOther, match=f"the {whose}'s key in use"):
            await call(topics_reset.bootstrap, settings, whose)
        with keys.renewing(settings), pytest.raises(UsageError, match="right now"):
            await call(topics_reset.bootstrap, settings, whose)
    assert keys.private_keys(settings, whose) == [former]


async def test_the_former_key_is_not_revoked_while_submissions_wait(
    topics_reset: EmbeddedKafka, settings: Settings
) -> None:
    bootstrap = topics_reset.bootstrap
    await succession.renew(bootstrap, settings, "intake")
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait(SUBMISSIONS, b"{}", partition=2)
    with pytest.raises(UsageError, match="submissions wait"):
        await succession.revoke(bootstrap, settings, "intake")
    assert len(keys.private_keys(settings, "intake")) == 2
    async with running(topics_reset, settings.data):
        async with asyncio.timeout(30):
            while True:
                try:
                    assert len(await succession.revoke(bootstrap, settings, "intake")) == 1
                    break
                except UsageError:
                    await asyncio.sleep(0.2)


async def test_the_commands_say_what_they_did_and_ask_before_they_destroy(
    topics_reset: EmbeddedKafka, settings: Settings
) -> None:
    def run(*arguments: str, answer: str | None = None) -> Any:
        return CliRunner().invoke(build(), ["keys", *arguments, "--kafka", topics_reset.bootstrap], input=answer)

    await fingerprints.tell(topics_reset.bootstrap, "keys", keys.fingerprints(settings))
    result = await asyncio.to_thread(run, "rotate", "reporter", "--json")
    told = json.loads(result.stdout)
    assert (told["rotated"], told["key"]) == ("reporter", keys.fingerprints(settings)["reporter"])
    result = await asyncio.to_thread(run, "list", "--json")
    ours = {one["key"]: one for one in json.loads(result.stdout)["keys"]}
    assert ours["reporter"] == {"key": "reporter", "in_use": told["key"], "here": True, "former": told["kept"]}
    assert ours.keys() == {"pseudonym", "id", *keys.PAIRS}
    result = await asyncio.to_thread(run, "list")
    assert "1 former" in result.output
    refused = await asyncio.to_thread(run, "revoke", "reporter", "--old")
    assert isinstance(refused.exception, UsageError)
    assert keys.former_names(settings, "reporter") == told["kept"]
    done = await asyncio.to_thread(run, "revoke", "reporter", "--old", "--yes", "--json")
    assert json.loads(done.stdout) == {"revoked": 1, "destroyed": told["kept"]}
    for name in ("reporter", "notifier", "passwords"):
        with pytest.raises(UsageError):
            raise (await asyncio.to_thread(run, "revoke", name)).exception
