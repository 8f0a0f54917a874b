"""Each fund keeps the pseudonym key that served when it began, whoever asks, and however late the ledger tells of it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.times import SECOND, parse, text_of
from services import keys
from services.bus import fingerprints
from services.bus.envelope import command_headers
from services.errors import KafkaUnreachable, KeyChanging, KeyMissing, SettingError
from services.intake.funds import CONFIGURED, QUIET, Funds
from services.settings import Settings, load

NOW = parse("2026-11-22T10:00:00Z")
FIRST, NEXT = b"1" * 32, b"2" * 32
ONE, TWO = {0: FIRST}, {0: FIRST, NOW: NEXT}


@dataclass
class Rec:
    headers: list[tuple[str, bytes | None]]
    key: bytes | None
    value: bytes | None = b"{}"
    topic: str = "pumasi.commands.v1"
    partition: int = 0
    offset: int = 0
    timestamp: int = 0
    more: list = field(default_factory=list)


def configured(fund: str, at: int) -> Rec:
    return Rec(command_headers(CONFIGURED, "e-1", "/forms", text_of(at)), fund.encode())


def funds(ring: dict[int, bytes], now: int = NOW + QUIET, trust_time: bool = False) -> Funds:
    found = Funds(ring, lambda: now, trust_time)
    found.turn_to(ring)
    return found


def test_a_fund_keeps_the_key_that_it_began_with() -> None:
    ours = funds(TWO)
    ours.began("old", NOW - 1)
    ours.began("old", NOW + 7 * QUIET)  # configured again
    ours.began("new", NOW)
    assert (ours.key_of("old"), ours.key_of("new")) == (FIRST, NEXT)
    assert ours.key_of("unknown") == NEXT
    assert funds(TWO, NOW - 1).key_of("unknown") == FIRST


def test_what_is_on_its_way_counts_until_the_ledger_tells_of_it() -> None:
    ours = funds(TWO)
    ours.follow(configured("late", NOW - 1))
    ours.follow(configured("late", NOW + QUIET))
    assert ours.key_of("late") == FIRST, "however long the matcher was away"
    ours.follow(configured("refused", NOW - 1))
    ours.began("refused", NOW + QUIET)
    assert ours.key_of("refused") == NEXT, "the first one was ahead of Kafka's clock, so it opened no fund"


def test_a_senders_time_counts_where_it_is_trusted_alone() -> None:
    assert funds(TWO, trust_time=True).key_of("unknown", NOW - 1) == FIRST
    assert funds(TWO).key_of("unknown", NOW - 1) == NEXT


def test_nobodys_word_is_made_before_it_is_known_since_when_there_is_the_fund() -> None:
    starting = Funds(TWO, lambda: NOW + QUIET)
    with pytest.raises(KafkaUnreachable):
        starting.key_of("old")
    starting.began("old", NOW - 1)
    assert starting.key_of("old") == FIRST
    assert Funds(ONE, lambda: NOW).key_of("old") == FIRST, "with one key there is no question"


@pytest.mark.parametrize("at", [NOW - QUIET + 1, NOW, NOW + QUIET - 1])
def test_around_the_instant_no_fund_begins_and_those_that_are_there_go_on(at: int) -> None:
    ours = funds(TWO, at)
    with pytest.raises(KeyChanging) as refused:
        ours.hold("new", at)
    assert refused.value.hint == f"Try again in {(NOW + QUIET - at) // SECOND + 1} s."
    ours.began("old", NOW - 7 * QUIET)
    ours.hold("old", at)
    funds(ONE, at).hold("new", at)
    funds(TWO).hold("new", NOW - QUIET)
    funds(TWO).hold("new", NOW + QUIET)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = load(data=tmp_path / "data", keys=tmp_path / "keys")
    keys.make(made)
    return made


def test_the_next_key_says_in_its_name_since_when_it_serves(settings: Settings) -> None:
    assert list(keys.pseudonym_keys(settings)) == [0]
    name = keys.make_next(settings, NOW)
    assert name == "pseudonym-20261122T101500Z"
    assert list(keys.pseudonym_keys(settings)) == [0, NOW + keys.NEXT_AFTER]
    assert datetime.fromtimestamp((NOW + keys.NEXT_AFTER) / SECOND, UTC).strftime("%H%M") == "1015"
    assert (keys.directory(settings) / f"{name}.key").stat().st_mode & 0o777 == 0o600
    assert keys.fingerprints(settings).keys() == {"pseudonym", name, "id", "intake", "notifier", "reporter"}
    (keys.directory(settings) / f"{name}.key").rename(keys.directory(settings) / "pseudonym-soon.key")
    with pytest.raises(SettingError, match="says no time"):
        keys.pseudonym_keys(settings)


async def test_a_lost_key_stops_whoever_makes_words(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    name = keys.make_next(settings, NOW)
    told = keys.fingerprints(settings)

    async def known(_: str) -> dict[str, str]:
        return told

    monkeypatch.setattr(fingerprints, "known", known)
    await fingerprints.hold("k1:9092", "intake", keys.fingerprints(settings))
    (keys.directory(settings) / f"{name}.key").unlink()
    with pytest.raises(KeyMissing, match=f"aren't here: {name}.key"):
        await fingerprints.hold("k1:9092", "intake", keys.fingerprints(settings))
    await fingerprints.hold("k1:9092", "notifier", keys.fingerprints(settings, "notifier"))
