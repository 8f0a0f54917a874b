"""Who is forgotten: an address in all its words and roles, a word with the thanks of its cases; and `panic` leaves nothing."""

import asyncio
import base64
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nacl.public import PrivateKey
from typer.testing import CliRunner

from services import keys
from services.bus.contacts import Contacts
from services.cli import build
from services.cli.shared.stopping import when_keys_go
from services.errors import KeyMissing, UsageError
from services.forgetting import Sought, sought
from services.intake.ids import People
from services.settings import Settings, load

PHONE = "tel:+86 138 0013 8000"
PERSON = "tel:+8613800138000"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PUMASI_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PUMASI_KEYS", str(tmp_path / "keys"))
    keys.make(load())
    return load()


def entry(fund: str, *facts: dict[str, Any]) -> Any:
    value = json.dumps({"seq": 1, "fund": fund, "facts": facts}, separators=(",", ":")).encode()
    return SimpleNamespace(key=fund.encode(), value=value)


def submitted(case: str, beneficiary: str) -> dict[str, Any]:
    return {"fact": "case_submitted", "case": case, "beneficiary": beneficiary}


def thanked(case: str, thanks: str) -> dict[str, Any]:
    return {"fact": "case_thanked", "case": case, "thanks": thanks}


def read(found: Sought, *entries: Any) -> set[str]:
    for one in entries:
        found.take(one)
    return set(found.subjects)


def test_an_address_is_all_its_words_however_it_is_written(settings: Settings) -> None:
    people = People(keys.pseudonym_key(settings))
    words = {people.pseudonym(role, fund, PERSON) for role in ("beneficiary", "donor", "voucher") for fund in "ab"}
    ledger = entry("a"), entry("b"), SimpleNamespace(key=None, value=b"{}")
    for spelling in (PHONE, "SIGNAL:0086 (138) 0013-8000", "sms:+8613800138000"):
        assert read(sought(spelling, settings), *ledger) == words
    alone = {people.pseudonym(role, "b", PERSON) for role in ("beneficiary", "donor", "voucher")}
    assert read(sought(PHONE, settings, fund="b"), *ledger) == alone


def test_a_word_brings_the_thanks_of_its_own_cases_and_no_others(settings: Settings) -> None:
    mine = people_word(settings)
    ledger = (
        entry("a", submitted("c-1", mine), submitted("c-2", "~other")),
        entry("a", thanked("c-1", "~t1"), thanked("c-1", "blessing"), thanked("c-2", "~t2")),
        entry("b", submitted("c-1", "~other"), thanked("c-1", "~t3")),
    )
    assert read(sought(mine, settings), *ledger) == {mine, "~t1"}
    assert "~t1" in read(sought(PHONE, settings), *ledger)


def people_word(settings: Settings) -> str:
    return People(keys.pseudonym_key(settings)).pseudonym("beneficiary", "a", PERSON)


def test_an_address_that_reaches_nobody_is_refused_and_not_repeated(settings: Settings) -> None:
    with pytest.raises(UsageError) as refused:
        sought("tel:13800138000", settings)
    assert "13800138000" not in refused.value.message
    (keys.directory(settings) / "pseudonym.key").unlink()
    with pytest.raises(KeyMissing):
        sought(PHONE, settings)
    assert sought("~word", settings)


@pytest.mark.parametrize("command", [["forget", "~word"], ["panic"]])
def test_nobody_is_forgotten_and_nothing_destroyed_unasked(settings: Settings, command: list[str]) -> None:
    result = CliRunner().invoke(build(), command)
    assert isinstance(result.exception, UsageError)
    assert "--yes" in (result.exception.hint or "")
    assert keys.missing(settings) == []


def test_panic_overwrites_and_removes_every_key_and_leaves_what_a_link_leads_to(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = keys.directory(settings)
    outside = tmp_path / "outside"
    outside.write_text("stays")
    (kept / "link").symlink_to(outside)
    names = sorted(path.name for path in kept.iterdir())
    handles = {path.name: path.open("rb") for path in kept.iterdir() if not path.is_symlink()}
    before = {name: handle.read() for name, handle in handles.items()}
    result = CliRunner().invoke(build(), ["panic", "--yes", "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert sorted(told["destroyed"]) == names
    assert told["seconds"] < 1
    assert not kept.exists()
    assert outside.read_text() == "stays"
    for name, handle in handles.items():
        handle.seek(0)
        assert handle.read()[: len(before[name])] != before[name], f"{name} was unlinked as it was"
        handle.close()
    again = CliRunner().invoke(build(), ["panic", "--yes"])
    assert isinstance(again.exception, KeyMissing)


def test_what_could_not_be_destroyed_is_named(settings: Settings) -> None:
    (keys.directory(settings) / "folder").mkdir()
    result = CliRunner().invoke(build(), ["panic", "--yes"])
    assert result.exit_code == 1
    assert "NOT destroyed: folder" in result.stdout
    assert [path.name for path in keys.directory(settings).iterdir()] == ["folder"]


def record(offset: int, value: bytes | None, replaces: int | None = None) -> Any:
    headers = [] if replaces is None else [("pumasi_replaces", b"%d" % replaces)]
    return SimpleNamespace(key=b"~s", partition=0, offset=offset, value=value, headers=headers)


def test_what_takes_anothers_place_counts_only_if_nothing_came_between() -> None:
    contacts = Contacts("nowhere:9092", "test")
    contacts.fold(record(1, b"old"))
    contacts.fold(record(2, b"anew", replaces=1))
    assert (contacts.latest[b"~s"].value, contacts.latest[b"~s"].covered) == (b"anew", False)
    contacts.fold(record(3, None))
    contacts.fold(record(4, b"anew", replaces=2))
    assert (contacts.latest[b"~s"].value, contacts.latest[b"~s"].covered) == (None, True)
    contacts.fold(record(5, None, replaces=3))
    assert (contacts.latest[b"~s"].value, contacts.latest[b"~s"].covered) == (None, False)
    compacted = Contacts("nowhere:9092", "test")
    compacted.fold(record(4, b"anew", replaces=2))
    assert compacted.latest[b"~s"].value == b"anew", "what it replaced may be gone"


def test_the_successor_overwrites_the_former_key_where_it_lies(settings: Settings) -> None:
    path = keys.directory(settings) / "notifier.key"
    former, held = keys.notifier_private_key(settings), path.open("rb")
    new = keys.successor(settings)
    assert keys.successor(settings) == new
    assert keys.notifier_private_keys(settings) == [former, new]
    keys.succeed(settings)
    with held:
        assert base64.b64decode(held.read()) == bytes(new), "no block of the disk is left to the former"
    assert keys.notifier_private_keys(settings) == [new]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_renewal_that_had_all_but_ended_is_not_taken_for_one_under_way(settings: Settings) -> None:
    new = keys.successor(settings)
    draft = keys.directory(settings) / "notifier.next.key"
    held = draft.read_bytes()
    keys.succeed(settings)
    draft.write_bytes(held)
    draft.chmod(0o600)
    assert keys.successor(settings) not in (new, PrivateKey(bytes(new)))


async def test_a_service_stops_once_keys_that_were_there_are_gone(settings: Settings) -> None:
    stopped = asyncio.Event()
    when_keys_go(settings, stopped.set)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stopped.wait(), 1.0)
    keys.destroy_all(settings)
    await asyncio.wait_for(stopped.wait(), 2.0)


async def test_one_that_starts_before_its_keys_are_made_does_not_stop_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUMASI_KEYS", str(tmp_path / "none-yet"))
    stopped = asyncio.Event()
    when_keys_go(load(), stopped.set)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stopped.wait(), 0.7)
    keys.make(load())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stopped.wait(), 0.7)
