"""A command as it is read: what is known of it beside its data, laid out so that whoever decides it looks nothing up."""

from __future__ import annotations

from typing import Any

AHEAD_MAX = 120 * 10**6
"""How far a writer's wall clock may be ahead of the broker's, in microseconds."""


def is_ahead(time: int, appended: int | None) -> bool:
    """Whether a wall clock (`appended` is None: another) stamped `time`, microseconds since 1970, too far ahead of the append."""
    return appended is not None and time > appended + AHEAD_MAX


class Command:
    """A command as the matcher reads it; nobody changes it.

    Attributes:
        type: the `ce_type`.
        id: the `ce_id`.
        time: the `ce_time`, microseconds since 1970.
        data: what `COMMANDS[type]` says, as a struct (`schemas.structs`).
        offset: the record's offset in its partition.
        appended: when the broker appended it, microseconds since 1970, if its writer stamped it by a wall clock; else None.
        trace: its `traceparent`, for its entries; nothing is decided by it.
    """

    __slots__ = ("appended", "data", "id", "offset", "time", "trace", "type")

    def __init__(
        self,
        kind: str,
        event: str,
        time: int,
        data: Any,
        offset: int,
        appended: int | None = None,
        trace: bytes | None = None,
    ) -> None:
        self.type, self.id, self.time, self.data = kind, event, time, data
        self.offset, self.appended, self.trace = offset, appended, trace

    def __repr__(self) -> str:
        return f"Command{self._said()}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Command) and self._said() == other._said()

    __hash__ = None  # type: ignore[assignment]  # its data has none

    def _said(self) -> tuple[Any, ...]:
        return self.type, self.id, self.time, self.data, self.offset, self.appended, self.trace

    @property
    def ahead(self) -> bool:
        """Whether it was stamped by a clock that ran ahead of the broker's: then its time is nobody's."""
        return is_ahead(self.time, self.appended)
