"""The nursery: a process that has imported what services are made of; each service is a copy of it, made by `fork`.

    pumasi up ──control──► nursery ──fork──► pumasi intake --json
        ├──line, one a child──► ┘                │
        └──talk, one a child───────────────────► ┘

What a service imports is most of its memory, and most of that is never written to again: the copies share it, and start at once. The
garbage collector leaves it alone, else it would write to all of it.

The nursery is its children's guard, as `services.bus.embedded.guard` is the broker's. *Line*: the nursery says the child's process id
on it, and its status at the end. Whoever hangs up on it, or dies, has the child ended, by SIGTERM, then by SIGKILL; if the nursery is
killed, the kernel kills its children (Linux). *Talk* is the child's standard input, on which it is told once what to be, and then its
output. Secrets come by it: the nursery never holds one, and a child its own alone.

It has one thread and no client of anything, for a copy would have half of it. It has a session of its own with all its children, so
Ctrl-C in a terminal reaches who supervises, and nobody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.bus.embedded.guard import STOPS, die_with
from services.settings import SECRET

IMPORTED: Final = (
    "services.cli.ender", "services.cli.intake", "services.cli.matcher", "services.cli.notifier",
    "services.intake.app", "services.matcher.app", "services.notifier.app", "services.bus.client.ending",
    "services.terminal", "anyio._backends._asyncio", "uvloop",
)  # fmt: skip
"""What services import sooner or later; what isn't installed is passed over, and what isn't here is a child's own."""
GRACE_S: Final = 15.0
_PROGRAM: Final = "services.cli"
_LINE_BYTES_MAX: Final = 1 << 20
_NAME_BYTES: Final = 400


@dataclass
class Child:
    """A service's process, as who supervises has it.

    Attributes:
        line: on which the nursery says its process id, and its status when it has ended: minus the signal that ended it, if one did.
        output: what it prints.
    """

    line: StreamReader
    output: StreamReader
    _line: StreamWriter
    _talk: StreamWriter

    def end(self) -> None:
        """Have it ended; it is heard to its end. Safe to repeat."""
        with contextlib.suppress(OSError):
            self._line.write_eof()

    def close(self) -> None:
        """Hear it no more."""
        self._line.close()
        self._talk.close()


class Nursery:
    """The nursery as who supervises has it: there from the first child on. One that died is followed by another.

    Args:
        grace_s: between SIGTERM and SIGKILL.
    """

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self._grace_s = grace_s
        self._process: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None
        self._coming = asyncio.Lock()

    async def child(self, arguments: Sequence[str], environment: Mapping[str, str], afresh: bool = False) -> Child:
        """Start `pumasi`.

        Args:
            arguments: of the command line, the command first.
            environment: all of it.
            afresh: start it as a program, sharing nothing: for what only a start reads, such as LD_PRELOAD.

        Raises:
            OSError: if there is no process to be had.
        """
        line, its_line = socket.socketpair()
        talk, its_talk = socket.socketpair()
        try:
            with its_line, its_talk:
                await self._hand_over([its_line.fileno(), its_talk.fileno()])
            told, hang_up = await asyncio.open_connection(sock=line)
            output, talking = await asyncio.open_connection(sock=talk, limit=_LINE_BYTES_MAX)
        except BaseException:  # given up: nobody would hear it
            line.close()
            talk.close()
            raise
        talking.write(json.dumps([*map(list, (arguments, environment.items())), afresh]).encode() + b"\n")
        return Child(told, output, hang_up, talking)

    async def stop(self) -> None:
        """End it, once its last child has ended. Safe to repeat."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            await self._process.wait()
        self._control = self._process = None

    async def _hand_over(self, files: list[int]) -> None:
        async with self._coming:
            while True:
                if self._control is None:
                    await self._come()
                assert self._control is not None, "it has come"
                try:
                    socket.send_fds(self._control, [b"+"], files)
                    return
                except ConnectionError:  # it died
                    await self.stop()

    async def _come(self) -> None:
        self._control, theirs = socket.socketpair()
        environment = {name: value for name, value in os.environ.items() if name not in SECRET}
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", __name__, str(theirs.fileno()), str(self._grace_s), " " * _NAME_BYTES,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
                env={**environment, "PYTHONUNBUFFERED": "1"}, pass_fds=(theirs.fileno(),), start_new_session=True,
            )  # fmt: skip


# ---- what follows runs in the nursery, and in its children


@dataclass
class _Raised:
    """A child as the nursery has it; `kill_at` is a time of the monotonic clock, once it is to end."""

    pid: int
    line: socket.socket
    grace_s: float
    kill_at: float | None = None

    def see_to(self, now: float, hung_up: bool) -> None:
        """End it, if that is wanted."""
        if hung_up and self.kill_at is None:
            os.kill(self.pid, signal.SIGTERM)
            self.kill_at = now + self.grace_s
        elif self.kill_at is not None and now >= self.kill_at:
            os.kill(self.pid, signal.SIGKILL)
            self.kill_at += self.grace_s

    def has_ended(self) -> bool:
        """Whether it has; if so, that is said."""
        ended, status = os.waitpid(self.pid, os.WNOHANG)
        if ended:
            self.say(os.waitstatus_to_exitcode(status))
            self.line.close()
        return bool(ended)

    def say(self, number: int) -> None:
        """Say it on the line, where somebody listens."""
        with contextlib.suppress(OSError):
            self.line.send(b"%d\n" % number)


def _import() -> None:
    for name in IMPORTED:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _nurse(control: socket.socket, grace_s: float) -> int | None:
    """Raise children, until nobody wants any more and the last has ended: None. In each child: its end of the talk, a file."""
    wake, awake = os.pipe()
    os.set_blocking(awake, False)
    signal.set_wakeup_fd(awake, warn_on_full_buffer=False)
    asked: list[int] = []
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in STOPS:
        signal.signal(number, lambda received, _frame: asked.append(received))
    children: list[_Raised] = []
    wanted = True
    while wanted or children:
        lines = [child.line for child in children if child.kill_at is None]
        watched: list[int | socket.socket] = [wake, *([control] if wanted else []), *lines]
        kills = [child.kill_at for child in children if child.kill_at is not None]
        ready, _, _ = select.select(watched, [], [], max(0.0, min(kills) - time.monotonic()) if kills else None)
        if wake in ready:
            os.read(wake, 512)
        if control in ready:
            _, files, _, _ = socket.recv_fds(control, 1, 2)
            wanted = bool(files)
            if files:
                line, talk = socket.socket(fileno=files[0]), files[1]
                if (pid := _fork()) == 0:
                    for file in (control, line, *(child.line for child in children)):
                        file.close()
                    os.close(wake)
                    os.close(awake)
                    return talk
                os.close(talk)
                children.append(_Raised(pid, line, grace_s))
                children[-1].say(pid)
        if asked and wanted:
            wanted = False
            control.close()
        for child in children:
            child.see_to(time.monotonic(), bool(asked) or child.line in ready)
        children = [child for child in children if not child.has_ended()]
    return None


def _fork() -> int:
    """As `os.fork`. The child dies with the nursery, and has the signals of a Python that has just begun."""
    nursery = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # none is lost: the child must not take one for the nursery
    if (pid := os.fork()) == 0:
        die_with(nursery)
        signal.set_wakeup_fd(-1)
        for number in (*STOPS, signal.SIGCHLD):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    return pid


def _be(talk: int) -> None:
    """Be what is told on the talk."""
    with open(talk, "rb", closefd=False) as told:
        line = told.readline()
    if not line:  # who wanted it is gone
        return
    nothing = os.open(os.devnull, os.O_RDONLY)
    for standard, file in enumerate((nothing, talk, talk)):
        os.dup2(file, standard)
    os.close(nothing)
    os.close(talk)
    arguments, variables, afresh = json.loads(line)
    command = [sys.executable, "-P", "-m", _PROGRAM, *arguments]
    if afresh:
        os.execve(command[0], command, dict(variables))  # noqa: S606  # it is ours
    os.environ.clear()
    os.environ.update(variables)
    sys.argv[1:] = arguments
    _be_called(command)
    runpy.run_module(_PROGRAM, run_name="__main__", alter_sys=True)


def _be_called(command: Sequence[str]) -> None:
    """Have `ps` show this command, and not the nursery's: it is written over that (Linux)."""
    import ctypes

    with contextlib.suppress(OSError, ValueError):
        stat = Path("/proc/self/stat").read_bytes()
        # arg_start and arg_end; 0 if they are none of ours
        begin, end = map(int, stat.rpartition(b")")[2].split()[45:47])
        if room := end - begin:
            ctypes.memmove(begin, b"\0".join(map(os.fsencode, command))[: room - 1].ljust(room, b"\0"), room)


def main() -> None:
    """Be a nursery; the arguments are the file of its control, seconds of grace, and room for a child's name."""
    with contextlib.closing(socket.socket(fileno=int(sys.argv[1]))) as control:
        _import()
        talk = _nurse(control, float(sys.argv[2]))
    if talk is not None:
        _be(talk)


if __name__ == "__main__":
    main()
