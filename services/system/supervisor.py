"""The supervisor: services as child processes, started, watched, restarted when they die, stopped in order, and never left behind.

    pumasi up ──► nursery ──fork──► pumasi intake --json
        ▲                               │
        └────── its output, by lines ───┘

The nursery (`services.system.nursery`) starts and guards them: whatever becomes of the supervisor, kill -9 included, it ends them. It
has a session of its own, so Ctrl-C in a terminal reaches the supervisor alone, which chooses the order of stopping.

A service is ready when it prints a line of JSON with `ready`, never after some length of time. One that dies is started
again after a pause that doubles up to 10 s, and is forgiven once it has run for a minute. One that refuses its options (exit status
2), or ends again and again before it was ever ready, won't be fixed by a restart: `failed` then holds a ServiceFailed, which says why
in the words of the service, if it had any.
"""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from services.backoff import Backoff
from services.errors import ServiceFailed
from services.settings import SECRET
from services.system.nursery import Child, Nursery

READY_TIMEOUT_S: Final = 600.0
"""A matcher is ready once it has replayed its ledger, which may be long; one that dies meanwhile is told at once."""
PAUSE_S: Final = (0.1, 10.0)
FORGIVEN_AFTER_S: Final = 60.0
STARTS_IN_VAIN: Final = 5
USAGE: Final = 2


class Listener(Protocol):
    """Is told what happens to services and what they say."""

    def said(self, service: str, line: str) -> None:
        """A line of log."""

    def event(self, service: str, event: dict[str, Any]) -> None:
        """A line of JSON, as services print with --json."""

    def ended(self, service: str, status: int, pause_s: float) -> None:
        """A service ended without being asked to; it is started again after a pause, in seconds."""


@dataclass
class Service:
    """One process to keep running.

    `arguments` gives those of `pumasi` for the next start, from the last ready line (None before the first): so a service that chose a
    port keeps it. `environment` is laid over this process's own, of whose secret settings it sees those in `secrets` alone. `afresh`:
    it is to share no memory with others, because something in `environment` is for who starts a program (LD_PRELOAD).
    """

    name: str
    arguments: Callable[[dict[str, Any] | None], Sequence[str]]
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    afresh: bool = False


class Keeper:
    """Keeps one service running until it is stopped."""

    def __init__(self, service: Service, listener: Listener, nursery: Nursery) -> None:
        self.service, self.listener, self._nursery = service, listener, nursery
        self.pid = 0
        self.starts = 0
        self.ready = asyncio.Event()
        self.told_ready: dict[str, Any] | None = None
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.failed.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._child: Child | None = None
        self._stopping = False
        self._last_words: list[str] = []
        self._reason: dict[str, Any] | None = None
        self._life = asyncio.create_task(self._live())

    async def until_ready(self) -> dict[str, Any]:
        """The service's ready line. Raises ServiceFailed."""
        waiting = asyncio.ensure_future(self.ready.wait())
        either: set[asyncio.Future[Any]] = {waiting, self.failed}
        try:
            await asyncio.wait(either, timeout=READY_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            if self.failed.done():
                await self.failed
            if not self.ready.is_set():
                raise self._failure(f"was not ready within {READY_TIMEOUT_S:.0f} s")
        finally:
            waiting.cancel()
        assert self.told_ready is not None, "ready means that it said so"
        return self.told_ready

    def kill(self) -> int:
        """kill -9 of the service's process, as a crash; gives its id. 0 if it doesn't run at this moment."""
        pid = self.pid
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return pid

    async def stop(self) -> None:
        """End the service: SIGTERM, after 15 s SIGKILL. Safe to repeat."""
        self._stopping = True
        if self._child is not None:
            self._child.end()
        else:  # in a pause between two starts
            self._life.cancel()
        await asyncio.wait({self._life})

    # ---- one life after the other

    async def _live(self) -> None:
        in_vain, backoff = 0, Backoff(*PAUSE_S)
        while not self._stopping:
            began = time.monotonic()
            self.ready.clear()
            try:
                status = await self._run_once()
            except (OSError, ValueError) as error:  # no process to be had, or not a line was readable
                self.failed.set_exception(self._failure(f"could not be kept ({type(error).__name__}: {error})"))
                return
            if self._stopping:
                self._tell_reason()
                return
            in_vain = 0 if self.ready.is_set() else in_vain + 1
            if status == USAGE or in_vain == STARTS_IN_VAIN:
                self.failed.set_exception(self._failure(f"ended with status {status} whenever it was started", status))
                return
            if time.monotonic() - began > FORGIVEN_AFTER_S:
                backoff.succeeded()
            pause = backoff.failed()
            self._tell_reason()
            self.listener.ended(self.service.name, status, pause)
            await asyncio.sleep(pause)

    async def _run_once(self) -> int:
        """Start, hear to the end, and give the exit status (128 + signal if one ended it)."""
        self._last_words.clear()
        self._reason = None
        self.starts += 1
        arguments = self.service.arguments(self.told_ready)
        child = self._child = await self._nursery.child(arguments, self._environment(), self.service.afresh)
        try:
            self.pid = int(await child.line.readline() or 0)
            with contextlib.suppress(ConnectionError):  # it died before it heard what to be
                while line := await child.output.readline():
                    self._hear(line.decode(errors="replace").rstrip())
            status = int(await child.line.readline() or -signal.SIGKILL)  # the nursery died, and its children with it
            return status if status >= 0 else 128 - status
        finally:
            self.pid, self._child = 0, None
            child.close()

    def _environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if name not in SECRET or name in self.service.secrets}
        return {**ours, "PYTHONUNBUFFERED": "1", **self.service.environment}

    def _hear(self, line: str) -> None:
        event = _event_in(line)
        if event is None:
            self._last_words = [*self._last_words[-2:], line]
            self.listener.said(self.service.name, line)
            return
        if is_error(event):
            self._reason = event  # not passed on yet: if it is the end of all, `failed` says it
            return
        if "ready" in event:
            self.told_ready = event
            self.ready.set()
        self.listener.event(self.service.name, event)

    def _tell_reason(self) -> None:
        if self._reason is not None:
            self.listener.event(self.service.name, self._reason)

    def _failure(self, what: str, status: int = 1) -> ServiceFailed:
        name, reason = self.service.name, self._reason
        if reason is not None:
            failed = ServiceFailed(f"the {name} does not start: {reason['message']}", hint=reason.get("hint"))
            failed.reason = str(reason["code"])
        else:
            words = " | ".join(self._last_words)
            failed = ServiceFailed(f"the {name} {what}{': ' + words if words else ''}")
        if status == USAGE:
            failed.exit_status = USAGE
        return failed


def is_error(event: Mapping[str, Any]) -> bool:
    """Whether a line of JSON is the error that a command ended with."""
    return isinstance(event.get("code"), str) and isinstance(event.get("message"), str) and "event" not in event


def _event_in(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


class Supervisor:
    """Several services; stopped in the opposite order of their start."""

    def __init__(self, listener: Listener) -> None:
        self._listener, self._nursery = listener, Nursery()
        self.keepers: list[Keeper] = []

    async def start(self, services: Sequence[Service]) -> list[dict[str, Any]]:
        """Start services side by side; their ready lines, once all are ready. Raises ServiceFailed; those started then still run."""
        new = [Keeper(service, self._listener, self._nursery) for service in services]
        self.keepers += new
        return list(await asyncio.gather(*(keeper.until_ready() for keeper in new)))

    async def wait(self) -> None:
        """Return never; raise ServiceFailed when a service can't be kept running."""
        done, _ = await asyncio.wait({keeper.failed for keeper in self.keepers}, return_when=asyncio.FIRST_COMPLETED)
        for failed in done:
            await failed

    def keeper(self, name: str) -> Keeper:
        """The keeper of a service by its name."""
        return next(keeper for keeper in self.keepers if keeper.service.name == name)

    async def stop(self) -> None:
        """Stop all, the last started first, one after the other. Safe to repeat."""
        while self.keepers:
            await self.keepers[-1].stop()
            self.keepers.pop()
        await self._nursery.stop()
