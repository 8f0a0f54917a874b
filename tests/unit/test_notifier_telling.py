"""Telling: in order for each person, side by side for all, and each in their language."""

import asyncio
import base64
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from nacl.public import PrivateKey, SealedBox

from schemas.notices import Notice, Tidings
from services.bus.envelope import ABOUT, FUND
from services.bus.replacing import REPLACES
from services.news import Unopened
from services.notifier import screen
from services.notifier.languages import Languages
from services.notifier.teller import Teller
from tests.telling import Receiver, tell


class Publisher:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.in_reach = asyncio.Event()
        self.in_reach.set()
        self.published: list[dict[str, Any]] = []

    def partitions(self, _topic: str) -> int:
        return 4

    async def publish(self, records: list[Any]) -> None:
        self.published += [json.loads(record.value) for record in records]


def tidings(name: str, to: str, **fields: Any) -> Tidings:
    return Tidings(
        id=name, kind="settled", to=to, role="donor", fund="jilin", currency="CNY", entry="0-42", pledge="p-1", settled=5000,
        at=datetime(2026, 11, 22, 10, tzinfo=UTC), **fields,
    )  # fmt: skip


async def test_one_persons_notices_wait_for_one_another_and_for_nobody_else() -> None:
    publisher, receiver = Publisher(), Receiver("first", answers_after=2)
    told = [tidings("first", "d-1"), tidings("second", "d-1"), tidings("other-1", "d-2"), tidings("other-2", "d-2")]
    async with asyncio.timeout(10):
        await tell(Teller(publisher, receiver, screen.quiet(), Languages("en")), told)
    assert receiver.ids == ["other-1", "other-2", "first", "second"]
    assert receiver.most == 2
    assert [one["id"] for one in publisher.published] == receiver.ids


async def test_topic_and_webhook_carry_one_body_but_for_what_came_of_telling() -> None:
    publisher, receiver = Publisher(), Receiver()
    await tell(Teller(publisher, receiver, screen.quiet(), Languages("ko")), [tidings("a", "d-1")])
    [posted], [recorded] = receiver.came, publisher.published
    came_of_it = {name: recorded.pop(name) for name in ("told_at", "channel", "outcome", "attempts")}
    assert recorded == json.loads(posted.wire())
    assert (recorded["language"], recorded["text"][:4]) == ("ko", "보내 주")
    assert came_of_it.pop("told_at").endswith("T00:00:00Z")  # a day, as all times of notices
    assert came_of_it == {"channel": "webhook", "outcome": "delivered", "attempts": 1}


KEY = PrivateKey.generate()


def given(subject: str, value: bytes | None, headers: Any = ()) -> Any:
    return SimpleNamespace(key=subject.encode(), value=value, partition=1, offset=7, headers=headers)


def contact(content: bytes, key: PrivateKey = KEY) -> bytes:
    box = base64.b64encode(SealedBox(key.public_key).encrypt(content)).decode()
    return json.dumps({"subject": "d-1", "sealed_contact": box}).encode()


ZH = b'{"address":"mailto://neighbour@example.org","language":"zh"}      '


async def test_each_hears_it_in_the_language_of_their_contact() -> None:
    languages, receiver = Languages("en", KEY), Receiver()
    languages.take(given("d-1", contact(ZH)))
    await tell(Teller(Publisher(), receiver, screen.quiet(), languages), [tidings("a", "d-1"), tidings("b", "d-2")])
    assert {one.id: (one.language, one.text) for one in receiver.came} == {
        "a": ("zh", "您的款项已收到，CNY 50.00 已兑现您的承诺。谢谢您。"),
        "b": ("en", "Your payment has arrived: CNY 50.00 now stands behind what you promised. Thank you."),
    }


@pytest.mark.parametrize("anew", [None, contact(ZH)])
def test_a_contact_that_came_just_before_another_was_replaced_or_let_go_counts(anew: bytes | None) -> None:
    languages = Languages("en", KEY)
    for offset, value, headers in (
        (1, contact(ZH), ()),
        (2, contact(ZH.replace(b"zh", b"ko")), ()),
        (3, anew, ((REPLACES, b"1"),)),
    ):
        record = SimpleNamespace(key=b"d-1", value=value, partition=1, offset=offset, headers=headers)
        languages.take(record)  # type: ignore[arg-type]  # as much of a record as is looked at
    assert languages.of("d-1") == "ko"


@pytest.mark.parametrize(
    "value",
    [
        None, b"", b"not json", b"{}", b'{"sealed_contact": "not base64"}', b'{"sealed_contact": "QUFB"}',
        contact(ZH, PrivateKey.generate()), contact(b"not json"), contact(b"{}"), contact(b'{"language": 7}'),
        contact(b'{"language": "xx"}'), contact(b'{"language": "\xff"}'),
    ],
)  # fmt: skip
def test_a_contact_that_is_gone_or_cant_be_read_leaves_the_settings_language(
    value: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Any] = []
    languages = Languages("ko", KEY, told.append)
    languages.take(given("d-1", contact(ZH)))
    assert languages.of("d-1") == "zh"
    caplog.clear()
    languages.take(given("d-1", value))
    assert languages.of("d-1") == "ko"
    alarmed = value is not None  # what should be there and can't be opened is an alarm; nothing of it is told
    assert [line.levelname for line in caplog.records] == ["ERROR"] * alarmed
    assert told == [Unopened(1, 7)] * alarmed


@pytest.mark.parametrize("last", ["opens", "is broken", "is gone"])
async def test_of_what_stands_on_the_topic_only_the_last_of_each_name_is_opened(
    last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sealed for a key that is destroyed lies there until Kafka compacts it away: it is no alarm."""
    told: list[Any] = []
    languages = Languages("ko", KEY, told.append, addresses=True)
    former, broken = PrivateKey.generate(), contact(ZH, PrivateKey.generate())
    stands = [given(name, contact(ZH, former)) for name in ("d-1", "d-2")] + [given(HASH, words(b"thanks", former))]
    stands += [given("d-1", {"opens": contact(ZH), "is broken": broken, "is gone": None}[last])]
    stands += [given("d-2", contact(ZH)), given(HASH, words(b"thanks"))]

    class Standing:
        """The topic, that gives all that stands there once."""

        def __init__(self, _bootstrap: Any, _topic: str, _client: str, handle: Any) -> None:
            self._handle, self._given = handle, asyncio.Event()

        async def run(self) -> None:
            for record in stands:
                self._handle(record)
                await asyncio.sleep(0)
            self._given.set()
            await asyncio.Event().wait()

        async def reach_end(self) -> None:
            await self._given.wait()

    monkeypatch.setattr("services.notifier.languages.Tail", Standing)
    async with languages.following("k1:9092"):
        await languages.read_all()
        assert told == [Unopened(1, 7)] * (last == "is broken")
        assert languages.of("d-1") == ("zh" if last == "opens" else "ko")
        assert (languages.of("d-2"), languages.text(HASH)) == ("zh", "thanks")
        languages.take(given("d-2", broken))
        async with asyncio.timeout(10):
            while len(told) < 1 + (last == "is broken"):
                await asyncio.sleep(0.01)
        assert languages.address("d-2") is None, "an alarm that nobody asked for comes all the same"


def test_no_address_is_kept() -> None:
    languages = Languages("ko", KEY)
    languages.take(given("d-1", contact(ZH)))
    assert vars(languages)["_of"] == {"d-1": "zh"}
    assert "example.org" not in repr(vars(languages))


async def test_a_receiver_gets_addresses_only_where_that_is_set_and_nothing_else_ever_does() -> None:
    for wanted, address in ((False, None), (True, "mailto://neighbour@example.org")):
        publisher, receiver, shown = Publisher(), Receiver(), list[Notice]()
        languages = Languages("en", KEY, addresses=wanted)
        languages.take(given("d-1", contact(ZH)))
        view = screen.quiet()._replace(coming=shown.append, told=shown.append)
        await tell(Teller(publisher, receiver, view, languages), [tidings("a", "d-1"), tidings("b", "d-2")])
        assert dict(zip(receiver.ids, receiver.addresses, strict=True)) == {
            "a": address,
            "b": None,
        }
        assert (
            "example.org" not in f"{publisher.published} {shown} {receiver.came} {vars(languages)}"
        )  # in its box still
        languages.take(given("d-1", None))
        assert languages.address("d-1") is None


@pytest.mark.parametrize(
    "content", [b'{"language":"zh"}', b'{"language":"zh","address":7}', b'{"language":"zh","address":""}']
)
def test_a_contact_that_reaches_nobody_is_an_alarm_where_addresses_are_wanted(content: bytes) -> None:
    told: list[Any] = []
    languages = Languages("ko", KEY, told.append, addresses=True)
    languages.take(given("d-1", contact(content)))
    assert (languages.of("d-1"), languages.address("d-1"), told) == ("ko", None, [Unopened(1, 7)])


async def test_an_address_and_a_text_are_opened_while_the_key_is_renewed_and_by_the_new_one_after() -> None:
    new, kept = PrivateKey.generate(), [KEY]
    languages = Languages("en", KEY, keys_now=lambda: kept, addresses=True)
    late = "~" + "a" * 26
    for name in ("d-1", late):
        languages.take(given(name, contact(ZH)))
    languages.take(given(HASH, words(b"thanks")))
    kept.append(new)
    languages.take(given("d-1", contact(ZH.replace(b"neighbour", b"moved"), new)))
    languages.take(given(HASH, words(b"anew", new)))
    assert languages.address("d-1") == "mailto://moved@example.org"
    assert languages.address(late) == "mailto://neighbour@example.org"  # sealed for the former still
    kept.remove(KEY)
    await languages.renew_keys()
    assert (languages.address("d-1"), languages.text(HASH)) == ("mailto://moved@example.org", "anew")
    assert languages.address(late) is None  # whoever sealed it so had slept through it all: telling goes on
    assert languages.of(late) == "zh"


def test_without_a_key_nothing_is_opened() -> None:
    languages = Languages("ko")
    languages.take(given("d-1", contact(ZH)))
    assert languages.of("d-1") == "ko"


HASH = "~abcdefghijklmnopqrstuvwxyz"
WORDS = "고맙습니다 {settled} \x1b[2J"


def words(content: bytes, key: PrivateKey = KEY) -> bytes:
    box = base64.b64encode(SealedBox(key.public_key).encrypt(content + b"    ")).decode()
    return json.dumps({"subject": HASH, "sealed_text": box}).encode()


def thanks(name: str) -> Tidings:
    return tidings("a", "d-1").model_copy(update={"kind": "thanks", "settled": None, "thanks": name})


@pytest.mark.parametrize(
    ("said", "value", "text"),
    [
        ("recovering", None, "Somebody you helped is getting better, and thanks you."),
        (HASH, words(WORDS.encode()), f"Somebody you helped says: {WORDS}"),
        (HASH, None, "Somebody you helped sends you thanks."),
        (HASH, words(b"\xff"), "Somebody you helped sends you thanks."),
        (HASH, words(b"x", PrivateKey.generate()), "Somebody you helped sends you thanks."),
    ],
)
async def test_thanks_are_relayed_as_a_phrase_or_in_the_words_that_were_sealed(
    said: str, value: bytes | None, text: str
) -> None:
    languages, receiver, shown = Languages("en", KEY), Receiver(), list[str]()
    view = screen.quiet()._replace(coming=lambda one: shown.append(one.text), told=lambda one: shown.append(one.text))
    publisher = Publisher()
    languages.take(given(HASH, value))
    await tell(Teller(publisher, receiver, view, languages), [thanks(said)])
    assert [one.text for one in receiver.came] == [text]
    assert len(shown) == 2
    assert "고맙습니다" not in f"{shown} {publisher.published}"  # no free text on a screen, and none on the bus


def test_words_that_were_forgotten_are_relayed_no_more() -> None:
    languages = Languages("en", KEY)
    languages.take(given(HASH, words(WORDS.encode())))
    assert languages.text(HASH) == WORDS
    assert WORDS not in repr(vars(languages))
    languages.take(given(HASH, None))
    assert languages.text(HASH) is None


def test_what_is_pending_of_an_event_that_was_not_applied_counts_for_nobody() -> None:
    applied = {("jilin", "p-1", "d-1")}
    languages = Languages("en", KEY, was_applied=lambda *about: about in applied)
    for name, about, content in (
        ("d-1/w-1", "p-0", ZH),
        ("d-1/w-2", "p-1", ZH.replace(b"zh", b"ko")),
        ("d-2/w-1", "p-1", ZH),
    ):
        languages.take(given(name, contact(content), ((FUND, b"jilin"), (ABOUT, about.encode()))))
    assert [languages.of(name) for name in ("d-1", "d-2")] == ["ko", "en"]
    applied.clear()
    assert languages.of("d-1") == "en"


async def test_what_is_pending_counts_where_nothing_stands_under_the_subject_and_nobody_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    languages, ko = Languages("en", KEY, addresses=True), ZH.replace(b"zh", b"ko").replace(b"neighbour", b"another")

    async def read_all() -> None:
        raise AssertionError("somebody is known")

    monkeypatch.setattr(languages, "read_all", read_all)

    async def told() -> tuple[str, str | None, str | None]:
        await languages.prepare(["d-1", HASH])
        return languages.of("d-1"), languages.address("d-1"), languages.text(HASH)

    languages.take(given("d-1/w-1", contact(ZH)))
    languages.take(given("d-2/w-0", contact(ko)))
    languages.take(given(f"{HASH}/w-2", words(WORDS.encode())))
    assert await told() == ("zh", "mailto://neighbour@example.org", WORDS)
    languages.take(given("d-1/w-3", contact(ko)))
    assert await told() == ("zh", "mailto://neighbour@example.org", WORDS), "a later event may yet be refused"
    languages.take(given("d-1/w-1", None))
    assert languages.of("d-1") == "ko", "another is pending still"
    languages.take(given("d-1/w-1", contact(ZH)))
    languages.take(given("d-1/w-3", None))
    assert languages.of("d-1") == "zh"
    languages.take(given("d-1", contact(ko)))
    for name, value in (("d-1/w-1", None), (HASH, words(WORDS.encode())), (f"{HASH}/w-2", None)):
        assert await told() == ("ko", "mailto://another@example.org", WORDS), (
            "the subject's own counts, and nothing is missed"
        )
        languages.take(given(name, value))
    assert await told() == ("ko", "mailto://another@example.org", WORDS)
    languages.take(given("d-2/w-0", None))
    assert not languages._pending
