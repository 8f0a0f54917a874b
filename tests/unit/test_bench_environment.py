"""What Pumasi is compared with lives in an environment of its own, which the product's never notices."""

import sys
from pathlib import Path
from typing import Any

import pytest

from services.cli import bootstrap


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with both locks, where making an environment takes no time and installing needs no network."""

    def created(home: Path, **_options: Any) -> None:
        (home / "bin").mkdir(parents=True)
        (home / "bin" / "python").symlink_to(sys.executable)
        (home / "lib" / "python3.13" / "site-packages").mkdir(parents=True)

    monkeypatch.setattr(bootstrap.venv, "create", created)
    monkeypatch.setattr(bootstrap, "install", lambda *_given: True)
    (tmp_path / "requirements.lock").write_text("pumasi's\n")
    (tmp_path / "requirements-bench.lock").write_text("theirs\n")
    return tmp_path


def test_each_has_its_own_directory_and_its_own_stamp(checkout: Path) -> None:
    assert bootstrap.main(checkout, "runtime") == 0
    assert bootstrap.main(checkout, "bench") == 0
    assert [path.name for path in (checkout / ".venv").glob("*.lock")] == ["requirements.lock"]
    assert [path.name for path in (checkout / ".venv-bench").glob("*.lock")] == ["requirements-bench.lock"]
    assert list((checkout / ".venv").rglob("pumasi.pth"))
    assert not list((checkout / ".venv-bench").rglob("pumasi.pth")), "nothing of Pumasi is in it"
    assert bootstrap.is_current(checkout, "runtime") and bootstrap.is_current(checkout, "bench")


def test_a_changed_lock_is_installed_anew_and_a_failure_leaves_no_stamp(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bootstrap.main(checkout, "bench") == 0
    (checkout / "requirements-bench.lock").write_text("theirs, newer\n")
    assert not bootstrap.is_current(checkout, "bench")
    monkeypatch.setattr(bootstrap, "install", lambda *_given: False)
    assert bootstrap.main(checkout, "bench") == 1
    assert not bootstrap.is_current(checkout, "bench")
    assert not list((checkout / ".venv-bench").glob("*.lock"))
