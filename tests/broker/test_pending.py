"""A contact is pending until its event is decided: of a refused one nothing is left, and of an applied one no kill loses it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import httpx
import pytest
from nacl.public import SealedBox

from services import keys
from services.bus import topics
from services.bus.contacts import keep_swept
from services.bus.embedded import EmbeddedKafka
from services.bus.envelope import ABOUT, COMMAND
from services.bus.envelope import FUND as FUND_HEADER
from services.bus.produce.publisher import Publisher
from services.bus.topics import CONTACTS, LEDGER
from services.intake import pending
from services.rotation import rotate_notifier
from services.settings import Settings
from tests.broker.test_forget import compact_soon, forget, lies_in
from tests.broker.test_guesses import Sender
from tests.broker.test_intake import commands, event, pledge, post, read, running
from tests.broker.test_matcher import running as matching
from tests.broker.test_notifier import give, notifier, sealed
from tests.broker.test_rotation import is_settled, living, opened, until
from tests.broker.test_senders import Keys
from tests.broker.told_ledger import Ledger, opening, pledged

DEADLINE_S = 60
FUND = event("fund.configured", 0, currency="CNY")
KIM, LEE = ({"address": f"mailto:{name}@example.org", "language": "ko"} for name in ("kim", "lee"))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another intake has left is waited for in vain for a moment."""
    monkeypatch.setattr(pending, "OTHERS_SECONDS", 0.2)
    monkeypatch.setattr(pending, "LOOK_SECONDS", 0.2)


async def entries(bootstrap: str, number: int) -> None:
    """Wait until so many entries are on the ledger, but for ticks."""
    async with asyncio.timeout(DEADLINE_S):
        while sum(b"clock.ticked" not in record.value for record in await read(bootstrap, LEDGER)) < number:
            await asyncio.sleep(0.05)


async def sent(http: httpx.AsyncClient, *events: dict[str, Any]) -> None:
    for one in events:
        assert (await post(http, one)).status_code == 202, one


def address_in(value: bytes, settings: Settings) -> str:
    told = opened(value, keys.notifier_private_key(settings))
    assert told is not None
    return str(json.loads(told)["address"])


async def test_a_refused_event_leaves_nothing_on_the_topic_nor_soon_on_the_disk(
    settings: Settings, data_dir: Path
) -> None:
    async with EmbeddedKafka(data_dir, 0, more={"log.cleaner.backoff.ms": 200}) as kafka:
        bootstrap, log = kafka.bootstrap, data_dir / "kafka" / "log"
        await topics.ensure(bootstrap)
        await compact_soon(bootstrap)
        text = base64.b64encode(SealedBox(keys.public_key(settings, "intake")).encrypt(b"thanks")).decode()
        async with running(kafka, settings.data) as (_, http):
            await sent(
                http,
                FUND,
                pledge(1, donor=None, contact=KIM),
                pledge(2, donor=None, contact=LEE, fund="nowhere"),
                event("case.thanked", 3, case="unknown", thanks=text),
            )
            before = await living(bootstrap)
            told = {key: json.loads(value) for key, value in before.items()}
            contacts = {key: address_in(before[key], settings) for key in told if "sealed_contact" in told[key]}
            assert sorted(contacts.values()) == [KIM["address"], LEE["address"]]
            [of_kim] = (key for key, address in contacts.items() if address == KIM["address"])
            gone = [one.get("sealed_contact") or one["sealed_text"] for key, one in told.items() if key != of_kim]
            assert all("/" in key for key in before)
            assert [lies_in(log, box) for box in gone] == [True, True]
            async with matching(bootstrap):
                assert await until(bootstrap) == {of_kim.partition("/")[0]: before[of_kim]}
            await until_off_the_disk(bootstrap, log, gone)


async def until_off_the_disk(bootstrap: str, log: Path, boxes: Collection[str]) -> None:
    """While something is appended to each partition now and then, as a notifier does, Kafka begins new files."""
    publisher = Publisher(lambda: bootstrap, [CONTACTS], "test")
    publisher.start()
    sweeping = asyncio.create_task(keep_swept(publisher, 0.6))
    try:
        async with asyncio.timeout(DEADLINE_S):
            while any(lies_in(log, box) for box in boxes):
                await asyncio.sleep(0.1)
    finally:
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
        await publisher.stop()


async def test_the_language_of_before_is_unchanged_by_a_refused_event_and_changed_by_one_that_is_applied(
    topics_reset: EmbeddedKafka, settings: Settings
) -> None:
    bootstrap = topics_reset.bootstrap
    async with running(topics_reset, settings.data) as (_, http), matching(bootstrap):
        await sent(http, FUND, pledge(1, donor=None, contact=KIM, pledge="p-1"))
        before = await until(bootstrap, lambda found: is_settled(found) and len(found) == 1)
        chinese = {**KIM, "language": "zh"}
        await sent(http, pledge(2, donor=None, contact=chinese, pledge="p-1", amount=7))
        await entries(bootstrap, 3)
        assert await until(bootstrap) == before
        assert len({record.key for record in await read(bootstrap, CONTACTS)}) == 3, "it was there"
        await sent(http, pledge(3, donor=None, contact=chinese))
        after = await until(bootstrap, lambda found: is_settled(found) and found != before)
        [value] = after.values()
        assert b'"zh"' in (opened(value, keys.notifier_private_key(settings)) or b"")


async def test_a_duplicate_of_whoever_sends_it_moves_nobody(topics_reset: EmbeddedKafka, settings: Settings) -> None:
    bootstrap, names = topics_reset.bootstrap, Keys(topics_reset, settings.data)
    first, later = (
        {"address": f"{scheme}:+8613800138000", "language": language}
        for scheme, language in (("signal", "ko"), ("sms", "zh"))
    )
    async with matching(bootstrap), running(topics_reset, settings.data, open=False) as (_, http):

        async def sender(name: str, *scopes: str) -> Sender:
            options = [word for scope in scopes for word in ("--scope", scope)]
            one = Sender(http, (await names("add", name, *options, "--fund", "jilin"))["key"])
            async with asyncio.timeout(DEADLINE_S):
                while (await one.post({})).status_code == 401:
                    await asyncio.sleep(0.05)
            return one

        home, other = await sender("home", "funds", "pledges"), await sender("other", "pledges")
        await home.hears(FUND, pledge(1, donor=None, contact=first, pledge="p-1"))
        before = await until(bootstrap, lambda found: is_settled(found) and len(found) == 1)
        for one, number in ((other, 2), (home, 3)):
            await one.hears(pledge(number, donor=None, contact=later, pledge="p-1"))
            assert await until(bootstrap) == before
    assert [address_in(value, settings) for value in before.values()] == [first["address"]]
    assert sum(b"duplicate" in record.value for record in await read(bootstrap, LEDGER)) == 2, (
        "they were none for the matcher"
    )


async def test_a_duplicate_brings_nobody_back_who_was_forgotten(
    topics_reset: EmbeddedKafka, settings: Settings
) -> None:
    bootstrap = topics_reset.bootstrap
    async with running(topics_reset, settings.data) as (_, http), matching(bootstrap):
        await sent(http, FUND, pledge(1, donor=None, contact=KIM, pledge="p-1"))
        await sent(http, event("pledge.withdrawn", 2, pledge="p-1"))
        await until(bootstrap, lambda found: is_settled(found) and len(found) == 1)
        assert (await forget(bootstrap, KIM["address"]))["forgotten"] == 1
        await sent(http, pledge(3, donor=None, contact=KIM, pledge="p-1"))
        await entries(bootstrap, 4)
        assert await until(bootstrap) == {}
        await sent(http, pledge(4, donor=None, contact=KIM))
        [value] = (await until(bootstrap, lambda found: is_settled(found) and bool(found))).values()
    assert address_in(value, settings) == KIM["address"], "who takes part again is reached"


KILLED = """
import os, signal, sys
from services.cli import main
from services.intake import sequencer, pending

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

delete = pending.PendingContacts._delete
async def died(*arguments):
    await delete(*arguments)
    die()

step = sys.argv.pop(1)
if step == "contact":
    sequencer.Desk._enqueue_commands = die
elif step == "command":
    pending.PendingContacts._settled = die
elif step == "written":
    pending.PendingContacts._delete = die
elif step == "deleted":
    pending.PendingContacts._delete = died
main()
"""


@pytest.mark.parametrize(
    ("step", "fund"),
    [
        *((step, "jilin") for step in ("contact", "command", "written", "deleted")),
        ("contact", "nowhere"),
        ("command", "nowhere"),
    ],
)
async def test_killed_at_any_step_the_next_intake_comes_to_the_same(
    topics_reset: EmbeddedKafka, settings: Settings, monkeypatch: pytest.MonkeyPatch, step: str, fund: str
) -> None:
    """`step`: the last that is done; of a refused event nothing is written. The sender hears nothing, and sends again."""
    bootstrap, one = topics_reset.bootstrap, pledge(1, donor=None, contact=KIM, fund=fund)
    monkeypatch.setattr(pending, "ORPHANED_SECONDS", 1.0)
    async with matching(bootstrap):
        async with running(topics_reset, settings.data) as (_, http):
            await sent(http, FUND)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-c", KILLED, step, "intake", "--json", "--http-port", "0", "--data", str(settings.data),
            env={**os.environ, "PUMASI_KAFKA": bootstrap, "PUMASI_TICK_SECONDS": "86400"}, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdout is not None
        url = json.loads(await asyncio.wait_for(process.stdout.readline(), DEADLINE_S))["http"]
        async with httpx.AsyncClient(base_url=url, timeout=DEADLINE_S) as http:
            assert await answered(http, one) == (step != "contact")
        assert await asyncio.wait_for(process.wait(), DEADLINE_S) == -signal.SIGKILL
        left = await living(bootstrap)
        assert is_settled(left) == (step == "deleted")
        async with running(topics_reset, settings.data) as (_, http):
            await sent(http, one)
            found = await until(bootstrap, lambda found: is_settled(found) and bool(found) == (fund == "jilin"))
    assert [address_in(value, settings) for value in found.values()] == [KIM["address"]] * (fund == "jilin")
    assert len(await commands(bootstrap)) == 2 + (fund == "nowhere" and step != "contact"), (
        "refused, it is decided anew"
    )


async def answered(http: httpx.AsyncClient, one: dict[str, Any]) -> bool:
    try:
        return (await post(http, one)).status_code == 202
    except httpx.TransportError:
        return False


async def test_a_contact_whose_command_lies_further_back_than_intake_remembers_is_written_and_one_without_any_goes(
    topics_reset: EmbeddedKafka, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap = topics_reset.bootstrap
    async with running(topics_reset, settings.data) as (_, http):
        await sent(http, FUND, pledge(1, donor=None, contact=KIM))
        await sent(http, *(pledge(number) for number in range(2, 10)))
    [(key, value)] = (await living(bootstrap)).items()
    await give(bootstrap, "~nobody/left", value)
    monkeypatch.setattr("services.intake.app.CAPACITY", 4)  # one command of each partition
    async with matching(bootstrap), running(topics_reset, settings.data):
        await entries(bootstrap, 10)
        assert (await living(bootstrap)).keys() == {key, "~nobody/left"}, "nobody knows of a command"
        monkeypatch.setattr(pending, "ORPHANED_SECONDS", 0.5)
        found = await until(bootstrap)
    assert found == {key.partition("/")[0]: value}


async def test_of_two_intakes_the_one_that_published_writes_it_and_the_other_nothing(
    topics_reset: EmbeddedKafka, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "OTHERS_SECONDS", 60.0)
    bootstrap = topics_reset.bootstrap
    async with (
        running(topics_reset, settings.data) as (_, http),
        running(topics_reset, settings.data),
        matching(bootstrap),
    ):
        await sent(
            http, FUND, *(pledge(n, donor=None, contact={"address": f"mailto:p{n}@example.org"}) for n in range(1, 9))
        )
        assert len(await until(bootstrap, lambda found: is_settled(found) and len(found) == 8)) == 8
    assert len(await read(bootstrap, CONTACTS)) == 3 * 8


async def test_who_is_forgotten_while_their_event_waits_stays_forgotten_when_it_is_applied(
    topics_reset: EmbeddedKafka, settings: Settings
) -> None:
    bootstrap, former = topics_reset.bootstrap, keys.notifier_private_key(settings)
    async with running(topics_reset, settings.data) as (_, http):
        await sent(http, FUND, pledge(1, donor=None, contact=KIM), pledge(2, donor=None, contact=LEE))
        assert (await forget(bootstrap, KIM["address"], "--fund", "jilin"))["forgotten"] == 1
        [of_lee] = (await living(bootstrap)).values()
        async with matching(bootstrap):
            [left] = (await until(bootstrap)).values()
    assert left == of_lee
    assert address_in(left, settings) == LEE["address"]
    assert keys.notifier_private_key(settings) != former


async def test_what_is_pending_is_sealed_anew_with_all_others_and_written_as_it_is_then(
    topics_reset: EmbeddedKafka, settings: Settings
) -> None:
    bootstrap, former = topics_reset.bootstrap, keys.notifier_private_key(settings)
    async with running(topics_reset, settings.data) as (_, http):
        await sent(http, FUND, pledge(1, donor=None, contact=KIM))
        rotated = await rotate_notifier(bootstrap, settings)
        assert (rotated.resealed, rotated.living) == (1, 1)
        async with matching(bootstrap):
            [value] = (await until(bootstrap)).values()
        assert address_in(value, settings) == KIM["address"]
        await sent(http, pledge(2, donor=None, contact={**KIM, "language": "zh"}))
        again = await rotate_notifier(bootstrap, settings)
        assert (again.resealed, again.living) == (2, 1), "one person, twice on the topic"
    assert not any(opened(each, former) for each in (await living(bootstrap)).values())


async def test_the_notifier_speaks_to_somebody_whose_contact_is_still_pending_and_misses_nobody_meanwhile(
    topics_reset: EmbeddedKafka, settings: Settings
) -> None:
    bootstrap, key = topics_reset.bootstrap, keys.notifier_private_key(settings)
    async with Ledger(bootstrap, "jilin") as ledger, notifier(bootstrap) as process:
        await ledger.write(opening("jilin", 1000))
        await process.notices(len(ledger.expected))

        async def korean() -> bool:
            before = len(ledger.expected)
            await ledger.write(pledged(before, 10))
            told = [
                line for line in await process.notices(len(ledger.expected) - before) if line["to"] == f"d-{before}"
            ]
            assert told
            return all(re.search("[가-힣]", line["text"]) for line in told)

        for number in range(3):
            donor = f"d-{len(ledger.expected)}"
            about = {FUND_HEADER: "jilin", ABOUT: f"p-{len(ledger.expected)}"}
            await give(bootstrap, f"{donor}/w-0", sealed(key, donor, "zh"), **{**about, ABOUT: "p-refused"})
            for name, value in ((f"{donor}/w-1", sealed(key, donor, "ko")), (f"{donor}/w-2", None)):
                await give(bootstrap, name, value, **about)
            if number:
                await give(bootstrap, donor, sealed(key, donor, "ko"))
            if number > 1:
                await give(bootstrap, f"{donor}/w-1", None)
            assert await korean()
        await give(
            bootstrap,
            f"d-{len(ledger.expected)}/w-1",
            sealed(key, "d", "ko"),
            **{FUND_HEADER: "jilin", ABOUT: "p-refused"},
        )
        assert not await korean(), "of whom nothing is known by what was applied"


@pytest.mark.parametrize("late", ["contact", "farewell"])
async def test_what_comes_late_under_a_subject_is_overwritten_by_what_stood_there(
    topics_reset: EmbeddedKafka, settings: Settings, late: str
) -> None:
    """As of another intake, or a notifier, that was frozen before it wrote."""
    bootstrap = topics_reset.bootstrap
    async with running(topics_reset, settings.data) as (_, http), matching(bootstrap):
        await sent(http, FUND, pledge(1, donor=None, contact=KIM))
        [(subject, earlier)] = (await until(bootstrap, lambda found: is_settled(found) and bool(found))).items()
        await sent(http, pledge(2, donor=None, contact={**KIM, "language": "zh"}))
        stood = await until(bootstrap, lambda found: is_settled(found) and found != {subject: earlier})
        [first, *_] = (one for one in await read(bootstrap, CONTACTS) if one.key == subject.encode())
        command = dict(first.headers)[COMMAND].decode()
        await give(bootstrap, subject, earlier if late == "contact" else None, **{COMMAND: command})
        assert await until(bootstrap, lambda found: found == stood) == stood


async def test_of_many_that_wait_for_a_matcher_most_are_read_again_when_it_comes(
    topics_reset: EmbeddedKafka, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "HELD_MAX", 2)
    bootstrap = topics_reset.bootstrap
    async with running(topics_reset, settings.data) as (_, http):
        people = [{"address": f"mailto:p{number}@example.org"} for number in range(1, 9)]
        await sent(http, FUND, *(pledge(n, donor=None, contact=one) for n, one in enumerate(people, 1)))
        before = await living(bootstrap)
        async with matching(bootstrap):
            found = await until(bootstrap)
    assert found == {key.partition("/")[0]: value for key, value in before.items()}
    assert len(found) == 8
