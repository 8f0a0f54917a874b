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

from services import keys, secret_files
from services.bus import access
from services.bus.contacts import Contacts
from services.bus.envelope import ABOUT, FUND
from services.bus.replacing import Latest
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
    people = People(keys.secret(settings, "pseudonym"))
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
    return People(keys.secret(settings, "pseudonym")).pseudonym("beneficiary", "a", PERSON)


def left(found: Sought, key: str, fund: str, about: str, kind: str = "sealed_text", value: str | None = "box") -> bool:
    """Whether nobody can tell of what is pending."""
    headers = [(FUND, fund.encode()), (ABOUT, about.encode())]
    raw = None if value is None else json.dumps({kind: value}).encode()
    return found.may_be_theirs(key.encode(), Latest(0, 0, raw, headers))


def test_what_is_pending_is_found_by_its_fund_and_words_of_thanks_by_their_case(settings: Settings) -> None:
    mine, there = people_word(settings), People(keys.secret(settings, "pseudonym")).pseudonym("donor", "b", PERSON)
    by_address, by_word = sought(PHONE, settings), sought(mine, settings)
    for found in (by_address, by_word):
        assert left(found, "~t1/w-1", "a", "c-1"), "the ledger doesn't know the case yet"
        read(found, entry("a", submitted("c-1", mine), submitted("c-2", "~other")))
        assert not left(found, "~t1/w-1", "a", "c-1")
        assert not left(found, "~t2/w-1", "a", "c-2")
        assert not left(found, f"{there}/w-1", "b", "p-1", "sealed_contact"), "the ledger doesn't speak of that fund"
        assert {mine, "~t1"} <= {*found.subjects}
        assert "~t2" not in found.subjects
        assert not left(found, "~t3/w-1", "a", "c-3", value=None), "it is gone"
        assert not left(found, "~t3", "a", "c-3"), "it stands there since its command was applied"
    assert there in by_address.subjects
    assert there not in by_word.subjects
    alone = sought(PHONE, settings, fund="a")
    assert not left(alone, "~t1/w-1", "b", "c-1")
    assert there not in alone.subjects


def test_a_contact_beside_a_case_of_theirs_is_its_own_persons(settings: Settings) -> None:
    """A go-between's, who vouches for it."""
    found = sought(mine := people_word(settings), settings)
    read(found, entry("a", submitted("c-1", mine)))
    assert not left(found, "~voucher/w-1", "a", "c-1", "sealed_contact")
    assert {*found.subjects} == {mine}


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


def test_panic_destroys_what_lies_deeper_too_and_nothing_that_a_link_leads_to(
    settings: Settings, tmp_path: Path
) -> None:
    kept, outside = keys.directory(settings), tmp_path / "outside"
    outside.mkdir()
    (outside / "notifier.key").write_text("stays")
    (kept / "backup" / "older").mkdir(parents=True)
    (kept / "backup" / "elsewhere").symlink_to(outside, target_is_directory=True)
    (kept / "empty").mkdir()
    deep = kept / "backup" / "older" / "notifier.key"
    deep.write_bytes(before := (kept / "notifier.key").read_bytes())
    with deep.open("rb") as held:
        result = CliRunner().invoke(build(), ["panic", "--yes", "--json"])
        assert held.read() != before
    told = json.loads(result.stdout)
    assert (result.exit_code, told["left"]) == (0, [])
    assert {"backup/older/notifier.key", "backup/elsewhere", "notifier.key"} <= {*told["destroyed"]}
    assert not kept.exists()
    assert (outside / "notifier.key").read_text() == "stays"


def test_what_could_not_be_destroyed_is_named_and_the_rest_goes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, real = keys.directory(settings), secret_files.overwrite
    (kept / "folder").mkdir()
    (kept / "folder" / "held.key").write_text("x")

    def overwrite(path: Path, content: bytes) -> None:
        if path.name == "held.key":
            raise PermissionError
        real(path, content)

    monkeypatch.setattr(secret_files, "overwrite", overwrite)
    result = CliRunner().invoke(build(), ["panic", "--yes"])
    assert result.exit_code == 1
    assert "NOT destroyed: folder/held.key" in result.stdout
    assert [str(path.relative_to(kept)) for path in kept.rglob("*")] == ["folder", "folder/held.key"]


def test_no_key_of_the_notifier_is_left_to_read_on_any_block_of_the_disk(settings: Settings) -> None:
    """Whoever holds a file open holds its blocks."""
    kept = keys.directory(settings)
    for _ in range(2):
        new = keys.successor(settings)
        with (kept / "notifier.next.key").open("rb") as held:
            keys.succeed(settings)
            assert base64.b64encode(bytes(new)) not in held.read()
    held_on = (kept / "notifier.key").open("rb")
    secret_files.destroy_all(keys.directory(settings))
    with held_on:
        assert base64.b64encode(bytes(new)) not in held_on.read()


def test_what_takes_a_secrets_place_destroys_it(settings: Settings) -> None:
    keys.put_webhook_secrets(settings, ["whsec_former"])
    path = keys.directory(settings) / "webhook.secret"
    with path.open("rb") as held:
        keys.put_webhook_secrets(settings, ["whsec_new"])
        assert b"former" not in held.read()
    assert keys.webhook_secrets(settings) == ["whsec_new"]
    with path.open("rb") as held:
        secret_files.destroy(path)
        assert b"new" not in held.read()
    secret_files.destroy(path)
    assert not path.exists()


@pytest.mark.parametrize("by", ["make", "rotate", "write"])
def test_a_draft_that_a_kill_left_is_destroyed_and_the_key_made_of_it_stays(settings: Settings, by: str) -> None:
    kept = keys.directory(settings)
    before, names = keys.fingerprints(settings), {path.name for path in kept.iterdir()}
    alone, shared, other = kept / ".6sgpxzn6", kept / ".abcd_123", kept / ".gitignore"
    for file in (alone, other):
        file.write_text("former")
    shared.hardlink_to(kept / "notifier.key")
    with alone.open("rb") as held:
        if by == "make":
            assert keys.make(settings) == []
        elif by == "rotate":
            with keys.renewing(settings):
                pass
        else:
            secret_files.write(kept / "bearer", "pumasi_x")
            secret_files.destroy(kept / "bearer")
        assert held.read() != b"former"
    assert {path.name for path in kept.iterdir()} == {*names, ".gitignore"}
    assert other.read_text() == "former"
    assert keys.fingerprints(settings) == before
    assert keys.notifier_private_key(settings)


def test_a_draft_that_somebody_is_at_work_on_stays(settings: Settings) -> None:
    path = keys.directory(settings) / "new.key"
    with secret_files.draft(path, b"whole") as draft:
        keys.make(settings)
        assert draft.read_bytes() == b"whole"
    assert not draft.exists()


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
    assert keys.private_keys(settings, "notifier") == [former, new]
    keys.succeed(settings)
    with held:
        assert base64.b64decode(held.read()) == bytes(new), "no block of the disk is left to the former"
    assert keys.private_keys(settings, "notifier") == [new]
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
    secret_files.destroy_all(keys.directory(settings))
    await asyncio.wait_for(stopped.wait(), 2.0)


async def test_each_service_stops_once_its_own_keys_are_gone_whatever_is_left(settings: Settings) -> None:
    kept, stopped = keys.directory(settings), {user: asyncio.Event() for user in (access.INTAKE, access.NOTIFIER)}
    keys.make_passwords(settings, access.USERS)
    for user, event in stopped.items():
        when_keys_go(settings, event.set, user)
    everybody = asyncio.Event()
    when_keys_go(settings, everybody.set)
    (kept / "backup").mkdir()
    (kept / "backup" / "notifier.key").write_text("a copy")
    await asyncio.sleep(0.7)
    (kept / "intake.key").unlink()
    await asyncio.wait_for(stopped[access.INTAKE].wait(), 2.0)
    assert not stopped[access.NOTIFIER].is_set()
    for path in (*kept.glob("*.key"), *kept.glob("*.password")):
        path.unlink()
    await asyncio.wait_for(stopped[access.NOTIFIER].wait(), 2.0)
    await asyncio.wait_for(everybody.wait(), 2.0)


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
