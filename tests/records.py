"""A record of the commands topic as tests make it: all that reading and answering one asks for."""

from __future__ import annotations

from typing import NamedTuple


class CommandRecord(NamedTuple):
    """What `services.bus.envelope.Record` names."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp: int = 0
