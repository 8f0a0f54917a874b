"""Keys are made once, by whoever comes first, for nobody else to read; and dead letters hold no contact in key or headers."""

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from nacl.public import PrivateKey

from services import keys
from services.bus.deadletters.letter import REMOVED, dead_letter
from services.errors import SettingError
from services.settings import load


def test_keys_are_made_once_also_by_several_at_once(tmp_path: Path) -> None:
    settings = load(data=tmp_path)
    with ThreadPoolExecutor(16) as pool:
        pseudonym = set(pool.map(lambda _: keys.pseudonym_key(settings), range(64)))
        public = set(pool.map(lambda _: bytes(keys.notifier_public_key(settings)), range(64)))
    assert len(pseudonym) == len(public) == 1
    assert public == {bytes(keys.notifier_private_key(settings).public_key)}
    assert keys.intake_public_key(settings) == keys.intake_private_key(settings).public_key
    files = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()}
    assert files == dict.fromkeys(("pseudonym.key", "notifier.key", "notifier.pub", "intake.key", "intake.pub"), 0o600)


def test_keys_may_come_from_settings_and_then_nothing_is_kept(tmp_path: Path) -> None:
    pair = PrivateKey.generate()
    settings = load(
        data=tmp_path,
        pseudonym_key=base64.b64encode(b"k" * 32).decode(),
        notifier_public_key=base64.b64encode(bytes(pair.public_key)).decode(),
    )
    assert keys.pseudonym_key(settings) == b"k" * 32
    assert keys.notifier_public_key(settings) == pair.public_key
    assert len(keys.id_key(settings)) == 32
    assert keys.id_key(settings) == keys.id_key_of(b"k" * 32) != b"k" * 32
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "short", base64.b64encode(b"k" * 31).decode(), "ключ"])
def test_a_file_that_is_no_key_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys" / "pseudonym.key"
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(SettingError):
        keys.pseudonym_key(load(data=tmp_path))
    assert path.read_text() == content


@dataclass
class Rec:
    """A record as consumed."""

    key: bytes | None
    headers: list
    value: bytes | None = b"{}"
    topic: str = "t"
    partition: int = 0
    offset: int = 0


def test_a_dead_letters_key_and_headers_lose_what_looks_like_contact_details() -> None:
    headers = [
        ("ce_source", b"mailto:a@b.org"),
        ("x", b"+86 138 1234 5678"),
        ("ce_id", b"e-202611"),
        ("n", None),
        ("ce_time", b"\xff"),
        ("ce_type", b"pumasi.pledge.withdrawn"),
    ]
    key, _, kept = dead_letter(Rec(b"13812345678", headers), "unreadable", "why")
    removed = REMOVED.encode()
    assert key == removed
    assert kept[:4] == [
        ("ce_source", removed), ("ce_id", b"e-202611"), ("ce_time", removed), ("ce_type", b"pumasi.pledge.withdrawn"),
    ]  # fmt: skip
    of_jilin = Rec(b"jilin", [("ce_type", b"pumasi.pledge.withdrawn")], b'{"fund":"jilin"}')
    assert dead_letter(of_jilin, "unreadable", "why")[0] == b"jilin"
