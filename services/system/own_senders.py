"""Senders that a system has for itself: this machine's, and those of a demo or a test.

This machine's key is made where there is none, and lies in a file that only its user can read. Where the file is there, it is taken
as it is: a key that an operator revoked must not come back by itself. Only on a topic that knows no sender at all, of a cluster that is
new, another is made.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

from schemas.senders import Scope
from services import secret_files
from services.bus import access
from services.bus.security import servers
from services.bus.senders import put_sender, senders
from services.errors import SettingError
from services.keys import public_key
from services.senders import Issued, bearer_file, issue
from services.settings import Settings

MACHINE = "this-machine"


async def own_sender(bootstrap: str, settings: Settings, name: str) -> Issued:
    """A sender that may send anything, with one key, made now; those that it had count no more."""
    issued = issue(name, get_args(Scope), None, public_key(settings, "intake"))
    await put_sender(servers(settings, bootstrap, access.KEYS), issued.sender)
    return issued


def _is_there(file: Path) -> bool:
    return os.path.lexists(file) and secret_files.read(file) is not None


async def machine_key(bootstrap: str, settings: Settings) -> Path:
    """The file with this machine's bearer key; made, with its sender, if there is no valid one.

    Raises:
        KeyUnsafe: if the file is a link, or others can read it.
        SettingError: if it can't be written.
        KafkaUnreachable, TopicsMismatch, TopicUnreadable: if senders can't be read or written.
    """
    file = bearer_file(settings)
    if _is_there(file) and await senders(servers(settings, bootstrap, access.KEYS)):
        return file
    issued = await own_sender(bootstrap, settings, MACHINE)
    try:
        secret_files.write(file, f"{issued.key}\n")
    except OSError as error:
        raise SettingError(f"the key file {file} can't be written ({error.strerror})") from None
    return file
