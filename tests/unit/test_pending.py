"""What becomes of a pending contact: written under its subject once its event is applied, deleted if it is refused, never both."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

import pytest

from services.bus.contacts import SEALED_FOR, partition_of_key, subject_of, tombstone
from services.bus.deadletters import box
from services.bus.deadletters.letter import dead_letter
from services.bus.envelope import ABOUT, COMMAND, CONTACT, FUND, SUPERSEDES
from services.bus.produce.publisher import Outgoing
from services.bus.replacing import REPLACES
from services.bus.topics import COMMANDS, CONTACTS, DEADLETTERS
from services.errors import KafkaUnreachable, KeyMoved
from services.intake import pending
from services.intake.pending import PendingContacts
from services.intake.receipts import Place
from tests.records import CommandRecord
from tests.unit.test_intake_http import PLEDGED, REFUSED, Bench, pledge

UNREADABLE = {**REFUSED, "code": "unreadable"}
DUPLICATE = {"fact": "duplicate"}
KIM = {"address": "mailto:kim@example.org", "language": "ko"}


class World(Bench):
    """A door and its contacts; what is published is followed when `follow` is called."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        kafka: Any = self.kafka
        kafka.publish = self.publish
        self.pending, self.followed = (
            PendingContacts(self.desk, kafka, self.progress, lambda: "nowhere:9092", self.ledger_end, lambda: self.now),
            0,
        )
        self.pending._caught_up.set()
        self.pending._read = self.read_again  # type: ignore[method-assign,assignment]

    async def publish(self, records: list[Outgoing]) -> list[int]:
        return await self.kafka.confirm(await self.kafka.enqueue(records))

    async def ledger_end(self) -> None:
        """All that is decided is known at once."""

    async def read_again(self, places: Collection[Place]) -> list[Any]:
        """Records of the contacts topic, in place of a broker's."""
        return [self.record(at.offset) for at in places]

    def record(self, offset: int) -> CommandRecord:
        out = self.kafka.records[offset]
        return CommandRecord(out.topic, out.partition, offset, out.key, out.value, tuple(out.headers))

    def follow(self) -> None:
        for record in map(self.record, range(self.followed, len(self.kafka.records))):
            {CONTACTS: self.pending.take_contact, COMMANDS: self.pending.take_command}[record.topic](record)
        self.followed = len(self.kafka.records)

    async def settled(self) -> dict[str, bytes]:
        """What lives on the contacts topic once nothing more is written."""
        for _ in range(20):
            self.follow()
            await asyncio.sleep(0)
        found = {str(one.key, "ascii"): one.value for one in self.kafka.records if one.topic == CONTACTS and one.key}
        return {key: value for key, value in found.items() if value is not None}

    async def pledged(self, number: int, **data: Any) -> Place:
        return (await self.sent(pledge(number, **{"donor": None, "contact": KIM, **data})))[1]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    task = asyncio.create_task(made.pending.keep())
    yield made
    assert not task.done()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await made.client.aclose()


def is_pending(found: dict[str, bytes]) -> list[bool]:
    return ["/" in key for key in found]


async def test_it_is_confirmed_before_its_command_which_names_it(world: World) -> None:
    await world.pledged(1)
    contact, command = (one for one in world.kafka.records if one.key)
    assert (contact.topic, command.topic) == (CONTACTS, COMMANDS)
    subject = json.loads(command.value or b"")["donor"]
    assert (contact.key or b"").startswith(f"{subject}/".encode())
    assert dict(command.headers)[CONTACT] == contact.key
    assert dict(contact.headers)[SEALED_FOR] == world.sealer.sealed_for["notifier"].encode()
    pledge_id = json.loads(command.value or b"")["pledge"].encode()
    assert [dict(contact.headers)[name] for name in (FUND, ABOUT)] == [b"jilin", pledge_id]
    world.kafka.fails_at = "confirm"
    assert (await world.send(pledge(2, donor=None, contact=KIM))).status_code == 503
    assert len(world.kafka.commands()) == 1, "it isn't published before its contact is"


@pytest.mark.parametrize("otherwise", [REFUSED, DUPLICATE])
async def test_applied_it_is_written_under_its_subject_and_otherwise_it_goes(
    world: World, otherwise: dict[str, Any]
) -> None:
    first, refused = await world.pledged(1), await world.pledged(2, contact={**KIM, "language": "zh"})
    before = await world.settled()
    assert is_pending(before) == [True, True]
    [key, _] = before
    world.decide(refused, otherwise)
    assert await world.settled() == {key: before[key]}
    world.decide(first, PLEDGED)
    assert await world.settled() == {key.partition("/")[0]: before[key]}
    gone = [dict(one.headers)[SEALED_FOR] for one in world.kafka.records if one.value is None]
    assert gone == [world.sealer.sealed_for["notifier"].encode()] * 2, "whoever forgets them knows what opens a copy"


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
async def test_the_last_command_of_a_person_counts_in_whatever_order_it_is_told(
    world: World, order: tuple[int, int]
) -> None:
    places = {number: await world.pledged(number) for number in (1, 2)}
    [_, last] = (await world.settled()).values()
    for number in order:
        world.decide(places[number], PLEDGED)
    assert list((await world.settled()).values()) == [last]


@pytest.mark.parametrize("seconds", [5, 0, -60])
async def test_what_was_said_later_is_not_taken_back_by_what_another_intake_had_left(
    world: World, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """`seconds`: how much later, by the other intake's clock."""
    monkeypatch.setattr(pending, "OTHERS_SECONDS", 0.0)
    left = await world.pledged(1)
    world.follow()
    monkeypatch.setattr(world.desk, "_words", "another")
    world.now += seconds * 1_000_000
    later = await world.pledged(2)
    [_, value] = (await world.settled()).values()
    world.decide(later, PLEDGED)
    await world.settled()
    world.decide(left, PLEDGED)
    assert list((await world.settled()).values()) == [value]


async def test_what_stands_under_a_subject_names_its_command_and_none_before_that_takes_its_place(world: World) -> None:
    places = [await world.pledged(number) for number in (1, 2)]
    older, later = await world.settled()
    world.decide(places[1], PLEDGED)
    await world.settled()
    [stands] = (one for one in world.kafka.records if one.key == later.partition("/")[0].encode())
    assert dict(stands.headers)[COMMAND] == str(places[1]).encode()

    another, writes = World(), len(world.kafka.records)
    keeping = asyncio.create_task(another.pending.keep())
    pending_one = next(one for one in world.kafka.records if one.key == older.encode())
    for offset, one in enumerate((stands, pending_one)):  # as after a renewal of the key, and a start
        another.pending.take_contact(CommandRecord(CONTACTS, 0, offset, one.key, one.value, tuple(one.headers)))
    command = world.kafka.commands()[0]
    another.pending.take_command(
        CommandRecord(COMMANDS, *places[0], command.key, command.value, tuple(command.headers))
    )
    another.desk._words = world.desk._words
    for place in places:
        another.decide(place, PLEDGED)
    assert await another.settled() == {}
    assert [(one.key, one.value) for one in another.kafka.records] == [(older.encode(), None)]
    assert len(world.kafka.records) == writes
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    await another.client.aclose()


async def test_who_is_forgotten_stays_so_if_their_event_was_decided_and_else_takes_part_again(world: World) -> None:
    words = world.desk._words
    for number, is_decided in ((1, True), (2, False)):
        place = await world.pledged(number)
        world.follow()
        [subject] = {subject_of(key) for key in world.pending._waiting}
        world.desk._words = "another"  # which does nothing yet
        if is_decided:
            world.decide(place, PLEDGED)
            await asyncio.sleep(0)
        world.pending.take_contact(CommandRecord(CONTACTS, 0, 1000 + number, subject, None, ()))
        if not is_decided:
            world.decide(place, PLEDGED)
        world.desk._words = words
        world.pending._have_settled([*world.pending._waiting])
        assert is_pending(await world.settled()) == [] if is_decided else [False]


async def test_another_intake_waits_and_then_does_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "OTHERS_SECONDS", 0.05)
    place = await world.pledged(1)
    world.desk._words = "another"
    world.decide(place, PLEDGED)
    assert is_pending(await world.settled()) == [True]
    async with asyncio.timeout(10):
        while is_pending(await world.settled()) != [False]:
            await asyncio.sleep(0.01)


async def test_a_refused_event_that_comes_again_has_a_contact_of_its_own(world: World) -> None:
    place = await world.pledged(1)
    before = await world.settled()
    world.read(place)
    world.decide(place, REFUSED)
    again = await world.pledged(1)
    assert again != place
    assert SUPERSEDES in dict(world.kafka.commands()[-1].headers)
    [left] = await world.settled()
    assert "/" in left
    assert left not in before, "whoever deletes the one can't hit the other"
    world.decide(again, PLEDGED)
    assert is_pending(await world.settled()) == [False]


async def test_one_that_becomes_new_while_contacts_are_published_gets_its_own(world: World) -> None:
    """A repeat of what is refused in that very moment."""
    place = await world.pledged(1)
    world.read(place)
    real, confirm = world.kafka.confirm, asyncio.Event()

    async def slowly(promised: Any) -> list[int]:
        if not confirm.is_set():
            confirm.set()
            world.decide(place, REFUSED)
        return await real(promised)

    world.kafka.confirm = slowly  # type: ignore[method-assign]
    assert (await world.send(pledge(1, donor=None, contact=KIM), pledge(2, donor=None, contact=KIM))).status_code == 202
    named = [dict(one.headers)[CONTACT] for one in world.kafka.commands()]
    assert len({*named}) == 3
    assert {*named} == {one.key for one in world.kafka.records if one.topic == CONTACTS}


async def test_of_a_repeat_in_one_batch_there_is_one_contact_and_of_a_known_event_none(world: World) -> None:
    one = pledge(1, donor=None, contact=KIM)
    for _ in range(2):
        assert (await world.send(one, one)).status_code == 202
    assert len(await world.settled()) == 1


async def test_a_command_that_cannot_be_read_keeps_its_contact_for_when_it_is_put_back(world: World) -> None:
    place = await world.pledged(1)
    await world.settled()
    world.decide(place, UNREADABLE)
    assert is_pending(await world.settled()) == [True]
    [(key, value, headers)] = ((one.key, one.value, tuple(one.headers)) for one in world.kafka.commands())
    letter = dead_letter(CommandRecord(COMMANDS, *place, key, value, headers), "unreadable", "why")
    lying = CommandRecord(DEADLETTERS, 0, 0, letter.key, letter.value, tuple(letter.headers))
    found = box.read(lying)
    assert isinstance(found, box.DeadLetter)
    assert found.refusal is None
    back, kept = Place(place.partition, len(world.kafka.records)), box.content(lying)
    world.kafka.records.append(Outgoing(COMMANDS, place.partition, kept.key, kept.value, kept.headers))
    world.follow()
    world.decide(back, PLEDGED)
    assert is_pending(await world.settled()) == [False]


@pytest.mark.parametrize("trouble", [KafkaUnreachable, KeyMoved])
async def test_what_cannot_be_written_now_is_written_later_and_not_deleted_before(
    world: World, monkeypatch: pytest.MonkeyPatch, trouble: type[Exception]
) -> None:
    monkeypatch.setattr(pending, "_AGAIN_SECONDS", 0.0)
    place = await world.pledged(1)
    await world.settled()

    def held(_keys: Any) -> None:
        raise trouble("not now")

    monkeypatch.setattr(world.desk, "_hold_sealed", held)
    world.decide(place, PLEDGED)
    assert is_pending(await world.settled()) == [True]
    monkeypatch.setattr(world.desk, "_hold_sealed", lambda _keys: None)
    assert is_pending(await world.settled()) == [False]


async def test_places_of_commands_are_kept_only_until_the_contacts_of_their_time_are_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "LOOK_SECONDS", 0.0)
    read = asyncio.Event()
    looking = asyncio.create_task(world.pending.look(read.wait))  # type: ignore[arg-type]
    world.pending.take_command(CommandRecord(COMMANDS, 0, 0, b"f", b"{}", ((CONTACT, b"~s/gone"),)))
    world.pending.take_command(CommandRecord(COMMANDS, 0, 1, b"f", b"{}", ()))
    for _ in range(5):
        await asyncio.sleep(0)
    assert set(world.pending._places) == {b"~s/gone"}
    read.set()
    async with asyncio.timeout(10):
        while world.pending._places:
            await asyncio.sleep(0)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)


async def test_what_is_written_waits_for_its_turn_so_that_whoever_takes_a_new_key_can_wait_for_it(world: World) -> None:
    place = await world.pledged(1)
    await world.settled()
    async with world.desk._queue:  # as `drain` holds it, between what came before the new key and what comes after
        world.decide(place, PLEDGED)
        assert is_pending(await world.settled()) == [True]
    assert is_pending(await world.settled()) == [False]


@pytest.mark.parametrize("key", ["the pending one's", "the subject's"])
async def test_who_is_forgotten_while_their_contact_waits_for_its_turn_is_not_written(world: World, key: str) -> None:
    place = await world.pledged(1)
    [name] = await world.settled()
    forgotten = name.encode() if key == "the pending one's" else subject_of(name.encode())
    async with world.desk._queue:
        world.decide(place, PLEDGED)
        await world.settled()
        world.pending.take_contact(CommandRecord(CONTACTS, 0, 1000, forgotten, None, ()))
    await world.settled()
    assert not [one for one in world.kafka.records if one.key == subject_of(name.encode())]


@pytest.mark.parametrize(("opened", "is_written"), [("theirs", False), ("an earlier one", True)])
async def test_who_takes_part_again_with_a_later_key_is_not_forgotten_by_what_forgot_them_before(
    world: World, opened: str, is_written: bool
) -> None:
    place = await world.pledged(1)
    [name] = await world.settled()
    subject, key = subject_of(name.encode()), world.sealer.sealed_for["notifier"] if opened == "theirs" else opened
    async with world.desk._queue:
        world.decide(place, PLEDGED)
        await world.settled()
        world.pending.take_contact(CommandRecord(CONTACTS, 0, 1000, subject, None, ((SEALED_FOR, key.encode()),)))
    assert is_pending(await world.settled()) == ([False] if is_written else [])


async def test_what_comes_under_a_subject_costs_no_more_with_many_pending(world: World) -> None:
    def calls() -> int:
        counted = 0

        def count(_frame: Any, event: str, _arg: Any) -> None:
            nonlocal counted
            counted += event in ("call", "c_call")

        sys.setprofile(count)
        world.pending.take_contact(CommandRecord(CONTACTS, 0, 5000, b"~s", b"{}", ((COMMAND, b"0-7"),)))
        sys.setprofile(None)
        return counted

    calls()
    few = calls()
    for number in range(1000):
        world.pending.take_contact(CommandRecord(CONTACTS, 0, number, b"~s/w-%d" % number, b"{}", ()))
    assert calls() <= few


async def test_a_record_that_covers_what_was_deleted_does_not_bring_it_back(world: World) -> None:
    for offset, value, headers in ((1, b"{}", ()), (2, None, ()), (3, b"{}", ((REPLACES, b"1"),))):
        world.pending.take_contact(CommandRecord(CONTACTS, 0, offset, b"~s/w-1", value, headers))
    assert not world.pending._waiting


@pytest.mark.parametrize("sealed_for", [b"gone", b"\xff"])
async def test_what_nobody_seals_anew_waits_for_its_key_and_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, sealed_for: bytes
) -> None:
    monkeypatch.setattr(pending, "_AGAIN_SECONDS", 0.0)
    ours, found = world.sealer.sealed_for["notifier"], False

    def held(keys: Mapping[str, str]) -> None:
        if keys["notifier"] != ours and not found:
            raise KeyMoved("not that one")

    monkeypatch.setattr(world.desk, "_hold_sealed", held)
    lost, other = await world.pledged(1), await world.pledged(2, contact={**KIM, "address": "mailto:lee@example.org"})
    first, second = await world.settled()
    value = world.kafka.records[0].value
    world.pending.take_contact(CommandRecord(CONTACTS, 0, 1000, first.encode(), value, ((SEALED_FOR, sealed_for),)))
    world.decide(lost, PLEDGED)
    world.decide(other, PLEDGED)
    assert {*await world.settled()} == {first, second.partition("/")[0]}
    found = True
    async with asyncio.timeout(10):
        while first in await world.settled():
            pass
    assert {*await world.settled()} == {first.partition("/")[0], second.partition("/")[0]}


def stands(world: World, subject: bytes) -> Outgoing:
    """What lies last under a subject."""
    return [one for one in world.kafka.records if one.key == subject][-1]


async def put(world: World, *records: Outgoing) -> None:
    """Somebody else writes."""
    world.kafka.records.extend(records)
    await world.settled()


def farewell(world: World, subject: bytes, at: Place) -> Outgoing:
    return tombstone(subject, partition_of_key(subject, world.kafka.partitions(CONTACTS)), command=at)


async def two_written(world: World) -> tuple[list[Place], Outgoing, Outgoing]:
    """Places of two commands of a person, and what stood under their subject by each."""
    places, found = [], []
    for number in (1, 2):
        places.append(await world.pledged(number))
        world.decide(places[-1], PLEDGED)
        [name] = await world.settled()
        found.append(stands(world, name.encode()))
    assert found[0].value != found[1].value
    return places, found[0], found[1]


async def test_an_earlier_commands_contact_that_passed_a_later_ones_on_the_wire_is_overwritten(world: World) -> None:
    """Another intake had it under way when the later one was written."""
    _, earlier, later = await two_written(world)
    await put(world, earlier)
    assert stands(world, later.key or b"") == later


async def test_a_late_farewell_takes_nothing_from_who_takes_part_again(world: World) -> None:
    places, earlier, later = await two_written(world)
    subject = later.key or b""
    at = Place(places[1].partition, places[1].offset - 1)
    await put(world, farewell(world, subject, at))
    assert stands(world, subject) == later
    world.decide(at := Place(places[1].partition, places[1].offset + 1), PLEDGED)
    gone = farewell(world, subject, at)
    await put(world, gone)
    assert stands(world, subject).value is None, "nothing of theirs came since"
    await put(world, earlier)
    assert stands(world, subject).value is None, "and what comes late doesn't bring them back"


async def test_what_is_pending_at_a_farewell_is_written_only_if_its_command_came_after_it(world: World) -> None:
    before = await world.pledged(1)
    [name] = await world.settled()
    at = Place(before.partition, before.offset + 1)
    world.kafka.records.append(farewell(world, subject_of(name.encode()), at))
    after = await world.pledged(2)
    assert after > at
    for place in (before, at):
        world.decide(place, PLEDGED)
    assert is_pending(await world.settled()) == [True]
    world.decide(after, PLEDGED)
    assert is_pending(await world.settled()) == [False]


@pytest.mark.parametrize("odd", ["{partition}-99999999", "99999999-0", "0-1-2", "\xff"])
async def test_a_command_that_cannot_be_is_not_believed(world: World, odd: str) -> None:
    """Of what stands under a subject, and above what does."""
    place = await world.pledged(1)
    [name] = await world.settled()
    said = (COMMAND, odd.format(partition=place.partition).encode("latin-1"))
    lie = Outgoing(CONTACTS, stands(world, name.encode()).partition, subject_of(name.encode()), b"{}", [said])
    await put(world, lie)
    world.decide(place, PLEDGED)
    await world.settled()
    assert stands(world, lie.key or b"").value == world.kafka.records[0].value
    await put(world, lie, stands(world, lie.key or b""))
    again = await world.pledged(2)
    world.decide(again, PLEDGED)
    await world.settled()
    assert dict(stands(world, lie.key or b"").headers)[COMMAND] == str(again).encode()


@pytest.mark.parametrize("why", ["farewell", "days"])
async def test_the_contact_of_a_command_that_cannot_be_read_goes_when_its_fund_forgets(
    world: World, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(pending, "LOOK_SECONDS", 0.0)
    place = await world.pledged(1)
    [name] = await world.settled()
    world.decide(place, UNREADABLE)
    after = Place(place.partition, place.offset + 1)
    world.decide(
        after,
        {"fact": "fund_configured", "fund": "jilin", "currency": "CNY", "vouchers_required": 1, "forget_after_days": 2},
    )

    async def end() -> None:
        world.follow()

    looking = asyncio.create_task(world.pending.look(end))
    world.now += 86_400_000_000
    assert is_pending(await world.settled()) == [True]
    if why == "farewell":
        await put(world, farewell(world, subject_of(name.encode()), after))
    else:
        world.now += 86_400_000_000
    async with asyncio.timeout(10):
        while await world.settled():
            pass
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)


async def test_of_many_that_wait_few_are_in_memory_and_the_others_are_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "HELD_MAX", 2)
    addresses = [{**KIM, "address": f"mailto:p{number}@example.org"} for number in range(5)]
    places = [await world.pledged(number, contact=one) for number, one in enumerate(addresses)]
    before = await world.settled()
    assert sum(one.contact is not None for one in world.pending._waiting.values()) == 2
    for place in places:
        world.decide(place, PLEDGED)
    assert await world.settled() == {key.partition("/")[0]: value for key, value in before.items()}


async def test_nothing_is_remembered_for_ever_of_subjects_and_nothing_forgotten_of_what_waits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "LATELY_MAX", 3)
    left = await world.pledged(0)
    world.follow()
    [waits] = world.pending._subjects
    for number in range(20):
        await put(world, tombstone(b"~s%d" % number, 1))
        assert len(world.pending._subjects) <= 4
    assert waits in world.pending._subjects
    world.decide(left, REFUSED)
    await world.settled()
    await put(world, tombstone(b"~s", 1))
    assert len(world.pending._subjects) == 3


async def test_nothing_is_written_before_what_stands_on_the_topic_at_the_start_is_known() -> None:
    world = World()
    world.pending._caught_up.clear()
    keeping = asyncio.create_task(world.pending.keep())
    place = await world.pledged(1)
    world.decide(place, PLEDGED)
    assert is_pending(await world.settled()) == [True]
    world.pending._caught_up.set()
    assert is_pending(await world.settled()) == [False]
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    await world.client.aclose()
