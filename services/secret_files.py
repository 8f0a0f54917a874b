"""How a secret lies on the disk: in a file for nobody else to read, whole or not at all, and never unlinked before it was overwritten.

A file is ours alone (mode 0600, no link), or it is refused: what others can read is no secret, and what others could put there may be
theirs. It is put in its place from a draft, `.` and eight characters; one that a kill left is destroyed by whoever writes there next.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Final

from services.errors import KeyMissing, KeyUnsafe, SettingError

_DRAFT: Final = re.compile(r"\.[a-z0-9_]{8}")


def environment() -> dict[str, str]:
    """This process's, without our settings, for one that is none of our services: what is secret in them is none of its business."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PUMASI_")}


def write(path: Path, text: str) -> None:
    """Write a secret for nobody else to read, in place of what was there, which is destroyed."""
    with draft(path, text.encode()) as made:
        former = _draft_name(path)
        if os.path.lexists(path) and not path.is_symlink():
            os.link(path, former)
        made.replace(path)
        _sync(path.parent)
        _discard(former)


def destroy(path: Path) -> None:
    """Overwrite a secret and remove it, if it is there. Killed meanwhile, it is a draft: nobody reads half of it."""
    with contextlib.suppress(FileNotFoundError):
        _erase(path.rename(_draft_name(path)))
        _sync(path.parent)


def own(kept: Path) -> None:
    """Have the directory to ourselves, without what a kill left there."""
    kept.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_if_open(kept, kept.stat())
    for left in [path for path in kept.iterdir() if _DRAFT.fullmatch(path.name)]:
        with contextlib.suppress(OSError):  # it is gone, or its maker lives, and holds its lock
            handle = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(handle):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _discard(left)


def put(path: Path, content: bytes) -> list[str]:
    """Put a secret where there is none; its file's name, unless another process was quicker."""
    if os.path.lexists(path):
        return []
    with draft(path, content) as made:
        try:
            os.link(made, path)  # whole or not at all, and never over another's
        except FileExistsError:
            return []
    _sync(path.parent)
    return [path.name]


@contextlib.contextmanager
def draft(path: Path, content: bytes) -> Iterator[Path]:
    """A file with that, for nobody else to read, beside its place; gone in the end, unless it was moved there."""
    own(path.parent)
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")  # mode 0600
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            break
        os.close(handle)  # somebody took it for one that a kill had left, before it was locked
    with os.fdopen(handle, "wb") as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(handle)
            yield Path(name)
        finally:
            _discard(Path(name))


def _draft_name(path: Path) -> Path:
    return path.with_name(f".{secrets.token_hex(4)}")


def _discard(draft: Path) -> None:
    """Remove a draft; what is in it is destroyed, unless it lies there as a key too."""
    with contextlib.suppress(FileNotFoundError):
        if draft.lstat().st_nlink > 1:
            draft.unlink()
        else:
            _erase(draft)


def _erase(path: Path) -> None:
    """Overwrite a file where it lies, and remove it. A link is removed, and what it leads to left alone."""
    found = path.lstat()
    if stat.S_ISREG(found.st_mode):
        overwrite(path, secrets.token_bytes(max(found.st_size, 1)))
    path.unlink()


def _sync(kept: Path) -> None:
    """Let what was renamed or unlinked in a directory outlive a power cut."""
    handle = os.open(kept, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def destroy_all(kept: Path) -> tuple[list[str], list[str]]:
    """Overwrite and remove every file in a directory, however deep, and then that; what was destroyed, and what could not be.

    Private halves and secrets go first. A link is removed, and what it leads to left alone.
    """
    files = [path for path in kept.rglob("*") if path.is_symlink() or not path.is_dir()]
    destroyed = list[str]()
    for path in sorted(files, key=lambda path: (path.suffix != ".key", len(path.parts), path)):
        with contextlib.suppress(OSError):
            _erase(path)
            destroyed.append(str(path.relative_to(kept)))
    _sync(kept)
    for folder in sorted((path for path in (kept, *kept.rglob("*")) if path.is_dir()), reverse=True):
        with contextlib.suppress(OSError):
            folder.rmdir()
    return destroyed, [str(path.relative_to(kept)) for path in sorted(kept.rglob("*")) if not any(path.glob("*"))]


def overwrite(path: Path, content: bytes) -> None:
    """Write over a file's bytes, where they lie; also where it was made read-only."""
    if not path.is_symlink():
        path.chmod(0o600)
    handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.pwrite(handle, content, 0)
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path) -> str:
    """A secret's file, without white space around it.

    Raises:
        KeyMissing, KeyUnsafe: if it isn't there; if it is a link, or others can read it.
        SettingError: if it is no text.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise KeyMissing(
            f"there is no {path}",
            hint="Put it back from your backup. An installation that never had one gets it by `pumasi up`, or `pumasi keys make`.",
        ) from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise KeyUnsafe(
                f"{path} is a link, and none is followed", hint=f"Put the file itself there: mv TARGET {path}"
            ) from None
        raise KeyUnsafe(
            f"{path} can't be read ({type(error).__name__})", hint=f"sudo chown $USER {quote(str(path))}"
        ) from None
    try:
        _refuse_if_open(path, os.fstat(handle))
        text = os.read(handle, 4096)
        if not _is_at(path, handle):  # another took its place meanwhile, and this one may be overwritten already
            return read(path)
        return text.decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} is not a key ({type(error).__name__})") from None
    finally:
        os.close(handle)


def _is_at(path: Path, handle: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.lstat(), os.fstat(handle))
    return False


def _refuse_if_open(path: Path, found: os.stat_result) -> None:
    place = quote(str(path))
    if found.st_uid != os.geteuid():
        raise KeyUnsafe(
            f"{path} belongs to another user of this machine (uid {found.st_uid})",
            hint=f"If it is yours: sudo chown $USER {place}",
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        mode = "700" if stat.S_ISDIR(found.st_mode) else "600"
        raise KeyUnsafe(f"others can read {path} (mode {stat.S_IMODE(found.st_mode):o})", hint=f"chmod {mode} {place}")
