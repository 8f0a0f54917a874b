"""Keys lie beside the data for nobody else to read, are made once, and are never made in place of others."""

import asyncio
import base64
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from nacl.public import PrivateKey

from services import keys, secret_files
from services.bus import access, fingerprints
from services.bus.embedded.ports import free_port
from services.errors import KafkaUnreachable, KeyMissing, KeyOther, KeyUnsafe, SettingError
from services.notifier.languages import private_key
from services.senders import bearer_file
from services.settings import Settings, load
from services.system import own_senders
from services.system.whole import refuse_unusable


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("PUMASI_KEYS")
    monkeypatch.delenv("PUMASI_OPEN")
    return load(data=tmp_path / "data")


def modes(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}


def test_keys_are_made_once_also_by_several_at_once_for_nobody_else(settings: Settings) -> None:
    with ThreadPoolExecutor(16) as pool:
        made = [name for names in pool.map(lambda _: keys.make(settings), range(32)) for name in names]
    assert sorted(made) == sorted(keys.MADE)
    assert keys.public_key(settings, "notifier") == keys.notifier_private_key(settings).public_key
    assert keys.public_key(settings, "intake") == keys.private_key(settings, "intake").public_key
    kept = settings.data.with_name("data-keys")
    assert modes(kept) == dict.fromkeys(keys.MADE, 0o600)
    assert kept.stat().st_mode & 0o777 == 0o700
    before = keys.fingerprints(settings)
    assert keys.make(settings) == []
    assert keys.fingerprints(settings) == before


def test_who_needs_a_key_makes_none(settings: Settings) -> None:
    for read in (
        partial(keys.secret, what="pseudonym"),
        partial(keys.public_key, whose="notifier"),
        keys.notifier_private_key,
        partial(keys.private_key, whose="intake"),
        private_key,
    ):
        with pytest.raises(KeyMissing, match="there is no"):
            read(settings)
    assert not keys.directory(settings).exists()


def test_keys_never_lie_in_the_data(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="a copy of the data would open them"):
        keys.directory(load(data=tmp_path, keys=tmp_path / "keys"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.symlink_to(tmp_path / "data", target_is_directory=True)
    with pytest.raises(SettingError):
        keys.directory(load(data=tmp_path / "data", keys=elsewhere))


def test_keys_may_come_from_settings_and_then_nothing_is_kept(settings: Settings) -> None:
    pair = PrivateKey.generate()
    given = settings.model_copy(
        update={
            "pseudonym_key": load(pseudonym_key=base64.b64encode(b"k" * 32).decode()).pseudonym_key,
            "id_key": load(id_key=base64.b64encode(b"i" * 32).decode()).id_key,
            "notifier_public_key": base64.b64encode(bytes(pair.public_key)).decode(),
            "reporter_public_key": base64.b64encode(bytes(PrivateKey(b"r" * 32).public_key)).decode(),
        }
    )
    assert keys.secret(given, "pseudonym") == b"k" * 32
    assert keys.public_key(given, "notifier") == pair.public_key
    assert keys.public_key(given, "reporter") == PrivateKey(b"r" * 32).public_key
    assert keys.secret(given, "id") == b"i" * 32
    assert private_key(given) is None
    assert keys.missing(given) == ["intake.key", "intake.pub"]


@pytest.mark.parametrize("content", ["", "short", base64.b64encode(b"k" * 31).decode(), "ключ"])
def test_a_file_that_is_no_key_is_refused_and_kept(settings: Settings, content: str) -> None:
    keys.make(settings)
    path = keys.directory(settings) / "pseudonym.key"
    path.write_text(content)
    with pytest.raises(SettingError, match="is not a key"):
        keys.secret(settings, "pseudonym")
    assert keys.make(settings) == []
    assert path.read_text() == content


def test_a_key_that_others_can_read_is_refused_with_the_command_that_mends_it(settings: Settings) -> None:
    keys.make(settings)
    path = keys.directory(settings) / "notifier.key"
    path.chmod(0o640)
    with pytest.raises(KeyUnsafe, match="others can read") as refused:
        keys.notifier_private_key(settings)
    assert refused.value.hint == f"chmod 600 {path}"
    path.chmod(0o600)
    assert keys.notifier_private_key(settings)


def test_no_link_is_followed(settings: Settings) -> None:
    keys.make(settings)
    path = keys.directory(settings) / "intake.key"
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")
    with pytest.raises(KeyUnsafe, match="is a link"):
        keys.private_key(settings, "intake")


def test_another_users_key_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    keys.make(settings)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(KeyUnsafe, match="belongs to another user"):
        keys.secret(settings, "pseudonym")


def test_nothing_is_put_into_a_directory_that_is_open(settings: Settings) -> None:
    keys.directory(settings).mkdir(mode=0o755)
    keys.directory(settings).chmod(0o755)
    with pytest.raises(KeyUnsafe) as refused:
        keys.make(settings)
    assert refused.value.hint == f"chmod 700 {keys.directory(settings)}"


def test_a_lost_half_is_made_anew_only_when_told(settings: Settings) -> None:
    keys.make(settings)
    before = keys.fingerprints(settings)
    (keys.directory(settings) / "notifier.key").unlink()
    assert keys.make(settings) == []
    with pytest.raises(KeyMissing, match=r"notifier\.key"):
        fingerprints.refuse_if_lost("here", before, keys.missing(settings))
    assert keys.make(settings, lost=True) == ["notifier.key", "notifier.pub"]
    assert keys.fingerprints(settings)["notifier"] != before["notifier"]
    assert keys.fingerprints(settings, "pseudonym")["pseudonym"] == before["pseudonym"]


@pytest.mark.parametrize("whose", keys.PAIRS)
def test_a_private_half_that_belongs_to_another_public_half_is_refused_with_what_mends_it(
    settings: Settings, whose: str
) -> None:
    keys.make(settings)
    path = keys.directory(settings) / f"{whose}.key"
    path.write_text(base64.b64encode(bytes(PrivateKey.generate())).decode())
    with pytest.raises(KeyOther, match=f"{whose}.pub") as refused:
        keys.private_key(settings, whose)
    public = path.with_suffix(".pub")
    assert str(refused.value.hint).endswith(f"rm {path} {public} && pumasi keys make --lost")
    path.unlink()
    public.unlink()
    assert keys.make(settings, lost=True) == [f"{whose}.key", f"{whose}.pub"]
    assert keys.private_key(settings, whose)
    (keys.directory(settings) / f"{whose}.pub").unlink()
    assert keys.private_key(settings, whose), "on a machine of its own it has no public half beside it"


async def test_nothing_is_started_with_a_private_half_of_another_pair(settings: Settings) -> None:
    keys.make(settings)
    (keys.directory(settings) / "intake.key").write_bytes((keys.directory(settings) / "notifier.key").read_bytes())
    with pytest.raises(KeyOther):
        await refuse_unusable(settings.model_copy(update={"http_port": 0}))


def test_while_it_is_renewed_the_public_half_may_be_the_successors(settings: Settings) -> None:
    keys.make(settings)
    former, new = keys.notifier_private_key(settings), keys.successor(settings)
    keys.seal_for(settings, new.public_key)
    assert keys.private_keys(settings, "notifier") == [former, new]
    keys.succeed(settings)
    assert keys.private_keys(settings, "notifier") == [new]
    keys.seal_for(settings, former.public_key)
    with pytest.raises(KeyOther):
        keys.private_keys(settings, "notifier")


@pytest.mark.parametrize("spoilt", ["open", "link"])
async def test_this_machines_bearer_key_is_refused_as_any_key_that_others_can_read_or_a_link(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, spoilt: str
) -> None:
    keys.make(settings)
    keys.make_passwords(settings, access.USERS)
    file = bearer_file(settings)
    secret_files.write(file, "pumasi_x\n")

    async def senders(_bootstrap: str) -> dict[str, str]:
        return {"this-machine": "known"}

    monkeypatch.setattr(own_senders, "senders", senders)
    assert await own_senders.machine_key("k1:9092", settings) == file
    if spoilt == "open":
        file.chmod(0o644)
    else:
        file.symlink_to(file.rename(file.with_name("elsewhere")))
    with pytest.raises(KeyUnsafe) as refused:
        await own_senders.machine_key("k1:9092", settings)
    assert str(file) in str(refused.value.hint)


def test_each_kafka_user_has_a_password_of_its_own(settings: Settings) -> None:
    assert len(keys.make_passwords(settings, access.USERS)) == len(access.USERS)
    assert keys.make_passwords(settings, access.USERS) == []
    passwords = keys.passwords(settings, access.USERS)
    assert len(set(passwords.values())) == len(access.USERS)
    assert min(map(len, passwords.values())) >= 43  # 32 random bytes
    assert keys.kafka_password(settings, access.MATCHER) == passwords[access.MATCHER]
    assert set(modes(keys.directory(settings)).values()) == {0o600}


def test_the_reporters_private_key_may_be_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUMASI_KEYS", str(tmp_path / "kept"))
    settings = load()
    keys.make(settings)
    private, public = (keys.directory(settings) / f"reporter.{half}" for half in ("key", "pub"))
    before = public.read_bytes()
    private.unlink()
    assert keys.missing(settings) == []
    assert keys.make(settings, lost=True) == [], "boxes that were sealed for it would never be opened again"
    assert public.read_bytes() == before
    public.unlink()
    assert keys.make(settings, lost=True) == ["reporter.key", "reporter.pub"]


def test_a_word_about_keys_is_given_up_within_15_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fingerprints._PATIENCE_SECONDS + fingerprints._DEADLINE_SECONDS <= 15
    monkeypatch.setattr(fingerprints, "_PATIENCE_SECONDS", 0.1)

    async def tell() -> None:
        async with asyncio.timeout(10):
            await fingerprints.tell(f"127.0.0.1:{free_port()}", "keys", {})

    with pytest.raises(KafkaUnreachable):
        asyncio.run(tell())
