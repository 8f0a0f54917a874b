"""A sender's own Kafka user on the embedded broker: it may write submissions, and nothing else.

Its password is a file among the keys, and the file is all there is to say: whoever runs the broker looks at them (`EmbeddedKafka`), so
a new one lets a user in, and one that is gone shuts it out, at the next start at the latest. On a cluster of one's own only its admin
may make users, and is told what to do.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from services import keys, secret_files
from services.bus import access
from services.bus.consume.scan import TopicReader
from services.bus.security import SCRAM, client_properties, servers
from services.bus.topics import SUBMISSIONS
from services.errors import KafkaUnreachable, PumasiError
from services.settings import Settings

_PATIENCE_S: Final = 15.0
_LOOK_EVERY_S: Final = 0.1
_SUFFIX: Final = ".password"


def passwords(settings: Settings) -> Mapping[str, str]:
    """Of all users of the embedded broker: the services', and the senders' own. Raises SettingError."""
    found = sorted(keys.directory(settings).glob(f"{access.OF_SENDER}*{_SUFFIX}"))
    return keys.passwords(settings, (*access.USERS, *(path.name.removesuffix(_SUFFIX) for path in found)))


async def let_in(settings: Settings, bootstrap: str, sender: str) -> Path:
    """Give a sender a user with a new password; the `client.properties` to connect with. Returns once it is let in.

    Raises:
        KafkaUnreachable: if the broker doesn't take it in time; it will at its next start.
    """
    user = access.of_sender(sender)
    secret_files.write(
        _file(settings, user, _SUFFIX), base64.b64encode(secrets.token_bytes(keys.KEY_BYTES)).decode() + "\n"
    )
    as_sender = servers(settings, bootstrap, user)
    config = _file(settings, user, ".properties")
    secret_files.write(config, client_properties(as_sender))
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            async with TopicReader(as_sender) as reader:
                await reader.extents(SUBMISSIONS)
            return config
        except PumasiError:
            if time.monotonic() > deadline:
                raise KafkaUnreachable(
                    f"the broker has not let {user} in",
                    hint="See that it runs, and do this again: no key was made.",
                ) from None
        await asyncio.sleep(_LOOK_EVERY_S)


def shut_out(settings: Settings, sender: str) -> None:
    """Take a sender's user away; the broker does within a second."""
    for suffix in (_SUFFIX, ".properties"):
        secret_files.destroy(_file(settings, access.of_sender(sender), suffix))


def for_the_admin(kafka: str, sender: str, *, gone: bool = False) -> list[str]:
    """What the admin of a cluster calls, to let a sender in, or to shut it out, with Kafka's own tools."""
    user, where = access.of_sender(sender), f"--bootstrap-server {kafka} --command-config admin.properties"
    change = f"--delete-config {SCRAM}" if gone else f"--add-config '{SCRAM}=[password=…]'"
    rights = f"{'--remove --force' if gone else '--add'} --allow-principal User:{user} --operation Write --operation Describe"
    return [
        f"kafka-configs.sh {where} --alter --entity-type users --entity-name {user} {change}",
        f"kafka-acls.sh {where} {rights} --topic {SUBMISSIONS}",
    ]


def _file(settings: Settings, user: str, suffix: str) -> Path:
    return keys.directory(settings) / f"{user}{suffix}"
