"""Somebody is forgotten on a real broker: the sealed bytes leave the disk, and the keys that are left open no copy of it."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import threading
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from nacl.exceptions import CryptoError
from nacl.public import SealedBox
from typer.testing import CliRunner

from services import forgetting, keys
from services.bus import fingerprints, topics
from services.bus.contacts import Contacts, subject_of, until_gone
from services.bus.embedded import EmbeddedKafka
from services.bus.envelope import COMMAND
from services.bus.partition import partition_of
from services.bus.produce.publisher import Outgoing, Publisher
from services.bus.topics import COMMANDS, CONTACTS, LEDGER
from services.cli import build
from services.errors import Undecided, UnknownId
from services.intake.sequencer import Desk
from services.settings import Settings
from tests import waiting
from tests.broker.test_intake import case, event, pledge, post, read, running
from tests.broker.test_matcher import running as matching
from tests.broker.test_notifier import give, notifier, sealed
from tests.broker.test_rotation import fill, is_settled, living, opened, until
from tests.broker.told_ledger import Ledger, delivered, opening, paid, pledged

SOON = {
    "cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime", "max.message.bytes": str(topics.MAX_RECORD_BYTES),
    "segment.ms": "500", "max.compaction.lag.ms": "500", "min.compaction.lag.ms": "0", "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "0", "file.delete.delay.ms": "0",
}  # fmt: skip
"""What takes an hour in service takes seconds here."""


def copied(log: Path, backup: Path) -> bool:
    """Copy what a broker is writing; whether it stood still for so long: its cleaner takes files away."""
    shutil.rmtree(backup, ignore_errors=True)
    try:
        shutil.copytree(log, backup)
    except shutil.Error:
        return False
    return True


async def compact_soon(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, CONTACTS, configs=SOON)])
    finally:
        await admin.close()


async def forget(bootstrap: str, *arguments: str) -> Any:
    return (await forgotten(bootstrap, *arguments))[0]


async def forgotten(bootstrap: str, *arguments: str) -> tuple[Any, int]:
    """What the command tells, and its exit status."""
    command = ["forget", *arguments, "--kafka", bootstrap, "--yes", "--json"]
    result = await asyncio.to_thread(CliRunner().invoke, build(), command)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return json.loads(result.stdout), result.exit_code


def lies_in(log: Path, box: str) -> bool:
    return any(box.encode() in path.read_bytes() for path in log.rglob("*.log"))


async def test_who_is_forgotten_leaves_the_disk_and_no_copy_can_be_read(
    settings: Settings, data_dir: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("PUMASI_DATA", str(data_dir))
    async with EmbeddedKafka(data_dir, 0, more={"log.cleaner.backoff.ms": 200}) as kafka:
        bootstrap, log = kafka.bootstrap, data_dir / "kafka" / "log"
        await topics.ensure(bootstrap)
        await compact_soon(bootstrap)
        kim, lee = ({"address": f"mailto:{name}@example.org", "language": "ko"} for name in ("kim", "lee"))
        text = SealedBox(keys.public_key(settings, "intake")).encrypt("고맙습니다".encode())
        async with running(kafka, data_dir) as (_, http):
            events = (
                event("fund.configured", 1, currency="CNY", vouchers_required=0),
                case(2, case="c-1", beneficiary=None, contact=kim),
                event("case.thanked", 3, case="c-1", thanks=base64.b64encode(text).decode()),
                pledge(4, donor=None, contact=lee),
            )
            for one in events:
                assert (await post(http, one)).status_code == 202
            async with matching(bootstrap):
                while not any(b"case_thanked" in record.value for record in await read(bootstrap, LEDGER)):
                    await asyncio.sleep(0.1)
            before = await until(bootstrap)
            key = keys.notifier_private_key(settings)
            contacts = {name: value for name, value in before.items() if b"sealed_contact" in value}
            of_lee = [name for name, value in contacts.items() if b"lee" in (opened(value, key) or b"")]
            boxes = [
                (json.loads(value).get("sealed_contact") or json.loads(value)["sealed_text"])
                for name, value in before.items() if name not in of_lee
            ]  # fmt: skip
            assert (len(before), len(of_lee), len(boxes)) == (3, 1, 2)
            assert all(lies_in(log, box) for box in boxes)
            backup = tmp_path / "backup"
            await waiting.until(lambda: copied(log, backup))
            told = await forget(bootstrap, "MailTo://Kim@example.org")
            assert told["forgotten"] == 2, "a contact, and words of thanks"
            assert (await living(bootstrap)).keys() == set(of_lee)
            assert (await post(http, pledge(5, donor=None, contact=lee))).status_code == 202
        new = keys.notifier_private_key(settings)
        for box in boxes:
            assert lies_in(backup, box)
            for left in (new, keys.private_key(settings, "intake")):
                with pytest.raises(CryptoError):
                    SealedBox(left).decrypt(base64.b64decode(box))
        assert all(opened(value, new) for value in (await living(bootstrap)).values())
        for nobody in ("mailto:nobody@example.org", "mailto:kim@example.org"):
            with pytest.raises(UnknownId):
                await forget(bootstrap, nobody)
        assert keys.notifier_private_key(settings) == new, "nothing is sealed anew for who is forgotten already"
        [of_kim] = contacts.keys() - {*of_lee}
        await give(bootstrap, of_kim, sealed(new, of_kim, "zh"))
        async with asyncio.timeout(60):
            subjects = {subject_of(record.key).decode() for record in await read(bootstrap, CONTACTS)}
            gone = [subject.encode() for subject in subjects - {*of_lee}]
            await until_gone(bootstrap, gone, again_seconds=0.6)
            while any(lies_in(log, box) for box in boxes):
                await asyncio.sleep(0.1)
        assert of_kim in await living(bootstrap), "who takes part again is neither waited for nor lost"


async def test_who_was_taken_off_the_topic_is_forgotten_in_copies_too_once(
    topics_reset: EmbeddedKafka, settings: Settings
) -> None:
    """By a fund that forgets, or by an attempt that was cut short: until the key is renewed, a copy can be read."""
    bootstrap, former = topics_reset.bootstrap, keys.notifier_private_key(settings)
    await fill(bootstrap, former, range(1, 3))
    async with Contacts(bootstrap, "test") as contacts:
        await contacts.forget([b"~s1"])
    assert (await forget(bootstrap, "~s1"))["forgotten"] == 0
    once = keys.notifier_private_key(settings)
    assert once != former
    async with Contacts(bootstrap, "test") as contacts:
        await contacts.forget([b"~s2"], keys.fingerprint(bytes(once.public_key)))
    await forget(bootstrap, "~s2")
    twice = keys.notifier_private_key(settings)
    assert twice != once
    with pytest.raises(UnknownId):
        await forget(bootstrap, "~s2")
    assert keys.notifier_private_key(settings) == twice


async def test_a_fund_forgets_by_itself_whoever_has_nothing_open_and_nobody_else(
    topics_reset: EmbeddedKafka, settings: Settings
) -> None:
    """The notifier is killed after it told them, and another does the rest."""
    bootstrap = topics_reset.bootstrap
    await fill(bootstrap, keys.notifier_private_key(settings), range(1, 3))
    first, other = (
        [{**fact, "donor": f"~s{number}"} if "donor" in fact else fact for fact in pledged(number)] for number in (1, 2)
    )
    configured, *case_opened = opening("jilin", 1000)
    async with Ledger(bootstrap, "jilin") as ledger:
        async with notifier(bootstrap) as process:
            await ledger.write([{**configured, "forget_after_days": 5}, *case_opened], first, other, paid(1))
            await ledger.write(delivered(100))
            ledger.at = "2026-11-24T10:00:00Z"
            await ledger.write([{"fact": "rate_quoted", "currency": "USD", "rate": "7"}])
            lines = await process.notices(len(ledger.expected))
            assert (lines[-1]["kind"], lines[-1]["to"]) == ("forgetting", "~s1")
            assert lines[-1]["forgotten_on"] == "2026-11-27T00:00:00Z"
            assert "2026-11-27" in lines[-1]["text"]
            assert (await living(bootstrap)).keys() == {"~s1", "~s2"}
            await process.kill()
        async with notifier(bootstrap) as process:
            ledger.at = "2026-11-27T10:00:00Z"
            before = len(ledger.expected)
            await ledger.write([{"fact": "rate_quoted", "currency": "USD", "rate": "8"}])
            assert len(ledger.expected) == before + 1
            while (line := await process.line())["id"] != list(ledger.expected)[-1]:
                pass
            assert (line["kind"], line["to"]) == ("forgotten", "~s1")
            async with asyncio.timeout(30):
                while (await living(bootstrap)).keys() != {"~s2"}:
                    await asyncio.sleep(0.1)


async def test_who_takes_part_again_before_a_notifier_that_was_away_says_farewell_keeps_their_contact(
    topics_reset: EmbeddedKafka, settings: Settings
) -> None:
    bootstrap, key = topics_reset.bootstrap, keys.notifier_private_key(settings)
    ours = {"d-1": "~s1", "d-2": "~s2", "d-3": "~s1"}

    def named(facts: Any) -> Any:
        return [{**fact, "donor": ours[fact["donor"]]} if "donor" in fact else fact for fact in facts]

    configured, *case_opened = opening("jilin", 1000)
    async with Ledger(bootstrap, "jilin") as ledger:
        await ledger.write([{**configured, "forget_after_days": 5}, *case_opened], named(pledged(1)), named(pledged(2)))
        await ledger.write(paid(1), paid(2), delivered(200))
        for day, quoted in ((24, "7"), (28, "8")):
            ledger.at = f"2026-11-{day}T10:00:00Z"
            await ledger.write([{"fact": "rate_quoted", "currency": "USD", "rate": quoted}])
        gone = [one.to for one in ledger.expected.values() if one.kind == "forgotten"]
        assert gone == ["~s1", "~s2"]
        for name, command in (("~s1", ledger.seq), ("~s2", 1)):
            await give(bootstrap, name, sealed(key, name, "ko"), **{COMMAND: f"{ledger.partition}-{command}"})
        await ledger.write(named(pledged(3)))
        async with notifier(bootstrap) as process:
            await process.notices(len(ledger.expected))
            async with asyncio.timeout(30):
                while "~s2" in await living(bootstrap):
                    await asyncio.sleep(0.1)
            assert [*await living(bootstrap)] == ["~s1"]


KIM = {"address": "mailto:kim@example.org", "language": "ko"}
FUND = event("fund.configured", 0, currency="CNY", vouchers_required=0)


@pytest.mark.parametrize("where", [(Desk, "put"), (Publisher, "enqueue")])
async def test_what_was_being_written_under_their_word_when_they_were_forgotten_is_gone_too(
    topics_reset: EmbeddedKafka, settings: Settings, monkeypatch: pytest.MonkeyPatch, where: tuple[Any, str]
) -> None:
    """The write is held back, before its turn or on its way, until they have been taken off the topic."""
    bootstrap, (owner, name) = topics_reset.bootstrap, where
    real, move, loop = getattr(owner, name), fingerprints.move, asyncio.get_running_loop()
    began, forgotten, done = asyncio.Event(), asyncio.Event(), threading.Event()

    async def held(self: Any, records: Any, *more: Any) -> Any:
        them = records() if callable(records) else records
        if not any(one.topic == CONTACTS and one.value is not None and b"/" not in one.key for one in them):
            return await real(self, records, *more)
        began.set()
        await forgotten.wait()
        try:
            return await real(self, records, *more)
        finally:
            done.set()

    async def moved(*arguments: Any, **more: Any) -> None:
        loop.call_soon_threadsafe(forgotten.set)
        assert await asyncio.to_thread(done.wait, 30)
        await move(*arguments, **more)

    monkeypatch.setattr(owner, name, held)
    monkeypatch.setattr(fingerprints, "move", moved)
    async with running(topics_reset, settings.data) as (_, http), matching(bootstrap):
        for one in (FUND, pledge(1, donor=None, contact=KIM)):
            assert (await post(http, one)).status_code == 202
        await asyncio.wait_for(began.wait(), 30)
        assert (await forget(bootstrap, KIM["address"]))["forgotten"] == 1
        assert not await living(bootstrap)


async def test_whoever_goes_on_sending_in_their_name_does_not_hold_it_up(
    topics_reset: EmbeddedKafka, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap, former, forgets = topics_reset.bootstrap, keys.notifier_private_key(settings), Contacts.forget
    together = []

    async def more() -> None:
        for number in range(10):
            await give(bootstrap, f"~s1/{len(together)}-{number}", sealed(former, "~s1", "ko"))

    async def forget_amid(contacts: Contacts, names: Any, *opened_by: Any) -> None:
        await forgets(contacts, names, *opened_by)
        together.append(len(names))
        await more()

    await fill(bootstrap, former, range(1, 3))
    await more()
    monkeypatch.setattr(Contacts, "forget", forget_amid)
    async with asyncio.timeout(60):
        assert (await forget(bootstrap, "~s1"))["forgotten"] == 1
    assert together == [11, 10]
    new = keys.notifier_private_key(settings)
    assert [name for name, value in (await living(bootstrap)).items() if opened(value, new)] == ["~s2"]


async def test_what_no_matcher_has_answered_is_forgotten_too_and_what_nobody_can_tell_yet_is_said(
    topics_reset: EmbeddedKafka, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contacts in a new fund, and words of thanks, come while no matcher runs, or none that can read them."""
    bootstrap = topics_reset.bootstrap
    text = base64.b64encode(SealedBox(keys.public_key(settings, "intake")).encrypt(b"thanks")).decode()
    harbin = {**FUND, "id": "e-harbin", "data": {**FUND["data"], "fund": "harbin"}}
    async with running(topics_reset, settings.data) as (_, http):

        async def sent(*events: dict[str, Any]) -> None:
            for one in events:
                assert (await post(http, one)).status_code == 202

        async with matching(bootstrap):
            await sent(FUND, case(1, case="c-1", beneficiary=None, contact=KIM))
            await until(bootstrap, lambda found: is_settled(found) and len(found) == 1)
        await sent(event("case.thanked", 2, case="c-1", thanks=text), harbin)
        await sent(pledge(3, fund="harbin", donor=None, contact=KIM))
        monkeypatch.setattr(forgetting, "ANSWERED_WITHIN_SECONDS", 0.0)
        told, status = await forgotten(bootstrap, KIM["address"])
        assert (told["code"], told["forgotten"], told["undecided"], status) == ("forgotten", 3, 0, 0)
        assert not await living(bootstrap)
        await sent(
            case(4, case="c-2", beneficiary=None, contact=KIM), event("case.thanked", 5, case="c-2", thanks=text)
        )
        with pytest.raises(Undecided, match="nothing is kept of them that is known yet") as nobody:
            await forget(bootstrap, "mailto:nobody@example.org")
        assert (nobody.value.hint or "").startswith("1 text of thanks is for a case")
        told, status = await forgotten(bootstrap, KIM["address"])
        assert (told["code"], told["forgotten"], told["undecided"], status) == ("undecided", 1, 1, 1)
        assert len(await living(bootstrap)) == 1
        monkeypatch.setattr(forgetting, "ANSWERED_WITHIN_SECONDS", 60.0)
        again = asyncio.create_task(forgotten(bootstrap, KIM["address"]))
        async with matching(bootstrap):
            told, status = await again
        assert (told["code"], told["forgotten"], told["undecided"], status) == ("forgotten", 1, 0, 0)
        assert not await living(bootstrap)


@pytest.mark.parametrize("why", ["unreadable", "hidden"])
async def test_a_contact_is_forgotten_whose_command_cannot_be_read_or_is_hidden_by_a_transaction(
    topics_reset: EmbeddedKafka, settings: Settings, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """In a fund of which the ledger says nothing."""
    bootstrap, real = topics_reset.bootstrap, Desk._command

    def spoilt(self: Desk, *arguments: Any) -> Outgoing:
        return real(self, *arguments)._replace(value=b"{")

    async with AsyncExitStack() as stack:
        _, http = await stack.enter_async_context(running(topics_reset, settings.data))
        if why == "unreadable":
            monkeypatch.setattr(Desk, "_command", spoilt)
        else:
            hanging = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id="hanging")
            await hanging.start()
            stack.push_async_callback(hanging.stop)
            await hanging.begin_transaction()
            await hanging.send_and_wait(COMMANDS, b"{}", partition=partition_of("harbin", 4))
        assert (await post(http, pledge(1, fund="harbin", donor=None, contact=KIM))).status_code == 202
        if why == "unreadable":
            async with matching(bootstrap):
                while not any(b'"unreadable"' in record.value for record in await read(bootstrap, LEDGER)):
                    await asyncio.sleep(0.1)
        [pending] = await living(bootstrap)
        assert "/" in pending
        told, status = await forgotten(bootstrap, KIM["address"])
        assert (told["forgotten"], status) == (1, 0)
        assert not await living(bootstrap)
