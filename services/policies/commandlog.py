"""A recorded command log: JSON lines, one CloudEvent a line in its JSON format, in the order in which the matcher read them.

    {"specversion":"1.0","id":"e-7","source":"/pumasi","type":"pumasi.pledge.made","time":"2026-11-22T10:00:00Z",
     "datacontenttype":"application/json","partition":0,"data":{"fund":"jilin","pledge":"p-1", …}}     (on one line)

`type`, `time` and `data` must be there; `data` is the command's, as `schemas/json/commands` has it. `partition` (0 if left out)
says which partition a `pumasi.clock.ticked` belongs to; `id` may be left out; `appended` is there where intake stamped `time` by
its wall clock: when the broker appended it, by which it may be refused (`clock_ahead`). `specversion`, `source` and
`datacontenttype` are written and not read. Blank lines are skipped.

It holds what the commands topic holds: pseudonyms, sums, times, sealed thanks. It is as confidential as that topic.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Annotated, Any, NamedTuple, TypeVar

from pydantic import Field, ValidationError

from schemas.command import Command, is_ahead
from schemas.commands import COMMANDS, TICK, read_data
from schemas.ledger import encode
from schemas.structs import said
from schemas.times import micros_of, text_of
from schemas.values import Model, Time
from schemas.violations import CODES
from services.bus.envelope import SOURCE, explain
from services.errors import FileUnwritable, LogInvalid

M = TypeVar("M", bound=Model)


class Said(NamedTuple):
    """A command as it was recorded, light enough to be handed to other processes by the million.

    Attributes:
        partition: whose order it belongs to.
        type, id, time, appended: as of `Command`; times in microseconds since 1970.
        data: JSON.
    """

    partition: int
    type: str
    id: str
    time: int
    data: bytes
    appended: int | None = None

    def command(self, offset: int) -> Command:
        """The command, at an offset."""
        data = read_data(self.type, self.data)
        return Command(self.type, self.id, self.time, data, offset, self.appended)

    @property
    def counts(self) -> int:
        """The time at which it happened: if its clock was ahead, when it was appended."""
        return self.appended if self.appended is not None and is_ahead(self.time, self.appended) else self.time


@dataclass(frozen=True)
class CommandLog:
    """A log, whole.

    Attributes:
        said: the commands; those of one partition in their order.
        unreadable: how many records were no commands; such a record changes nothing and is left out.
        where: what it was read from, for whoever runs this: a path, or a topic with its servers.
        name: the same for others: names neither a folder nor a server.
    """

    said: tuple[Said, ...]
    unreadable: int
    where: str
    name: str = "a log"

    @property
    def span(self) -> tuple[int, int]:
        """The first time of a fund's command and the last of all, microseconds since 1970; zeros if no fund says anything."""
        first = min((said.counts for said in self.said if said.type != TICK), default=None)
        return (0, 0) if first is None else (first, max(said.counts for said in self.said))

    def only(self, funds: Collection[str]) -> CommandLog:
        """The commands of some funds, with the ticks."""
        kept = tuple(said for said in self.said if said.type == TICK or json.loads(said.data)["fund"] in funds)
        return replace(self, said=kept)

    def funds(self) -> list[str]:
        """The funds that were configured, by name."""
        return sorted({json.loads(said.data)["fund"] for said in self.said if said.type == "pumasi.fund.configured"})


def said_of(command: Command, partition: int) -> Said:
    """A command as it is recorded."""
    data = b"{}" if command.type == TICK else encode(said(command.data))
    return Said(partition, command.type, command.id, command.time, data, command.appended)


def line_of(said: Said) -> str:
    """One line of a file, without its end."""
    head = {"specversion": "1.0", "id": said.id, "source": SOURCE, "type": said.type, "time": text_of(said.time)}
    tail = {"datacontenttype": "application/json", "partition": said.partition}
    appended = {} if said.appended is None else {"appended": text_of(said.appended)}
    return json.dumps(
        head | tail | appended | {"data": json.loads(said.data)}, ensure_ascii=False, separators=(",", ":")
    )


def write_log(path: Path, said: Iterable[Said]) -> int:
    """Write a log; returns how many commands it has. Raises what `write_whole` does."""
    return write_whole(path, (line_of(one) + "\n" for one in said))


def write_whole(path: Path, parts: Iterable[str]) -> int:
    """Write a file that is whole or not there; returns of how many parts. Raises FileUnwritable if it can't be written."""
    beside, count = path.with_name(path.name + ".part"), 0
    try:
        with beside.open("w", encoding="utf-8") as file:
            for part in parts:
                file.write(part)
                count += 1
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise FileUnwritable(f"{path}: can't be written ({error.strerror})") from None
    return count


def read_log(path: Path) -> CommandLog:
    """Read a file.

    Raises LogInvalid naming file and line; never with anything that stands in the line.
    """
    try:
        with path.open(encoding="utf-8") as file:
            said = tuple(_lines(file, path.name))
    except OSError as error:
        raise LogInvalid(f"{path}: can't be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise LogInvalid(f"{path}: is not UTF-8 text") from None
    if not said:
        raise LogInvalid(f"{path}: has no commands", hint="`pumasi simulate --help` tells the format.")
    return CommandLog(said, 0, str(path), path.name)


class _Line(Model):
    """A line as it is read; what stands in `data` is for its command's model to judge."""

    type: str
    time: Time
    data: Any = Field(default_factory=dict)
    id: str | None = None
    partition: Annotated[int, Field(ge=0, le=(1 << 31) - 1)] = 0
    appended: Time | None = None
    specversion: Any = None
    source: Any = None
    datacontenttype: Any = None


def _lines(file: IO[str], name: str) -> Iterator[Said]:
    for number, line in enumerate(file, 1):
        try:
            if line.strip():
                yield _said(_read(_Line, line), number)
        except ValueError as wrong:
            raise LogInvalid(
                f"{name}, line {number}: {wrong}",
                hint="Each line is a CloudEvent with type, time and data; `pumasi simulate --help` tells the format.",
            ) from None


def _read(model: type[M], text: str | bytes, place: str = "") -> M:
    """Raises ValueError saying what is wrong, without anything that stands in the text."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        told = explain(error, model)
        means = CODES.get(told.rpartition(": ")[2])
        raise ValueError(f"{place}{told} ({means})" if means else place + told) from None


def _said(line: _Line, number: int) -> Said:
    if line.type not in COMMANDS:
        raise ValueError("type: not a command")
    data = json.dumps(line.data).encode()
    _read(COMMANDS[line.type], data, "data: ")
    appended = None if line.appended is None else micros_of(line.appended)
    name = f"line-{number}" if line.id is None else line.id
    return Said(line.partition, line.type, name, micros_of(line.time), data, appended)
