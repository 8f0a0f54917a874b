"""Virtual time: an event loop that never waits, shared by processes that can be stopped between any two of its steps.

Real time plays no part: when nothing is left to do now, the clock jumps to the next thing that is due. What runs belongs to a process,
told by a context variable that tasks and callbacks inherit; a killed process's callbacks are dropped, a paused one's are kept
until it wakes up. So `kill -9` is what it is: not a line of the victim runs any more, no `finally` and no farewell on the wire.

Between two processes only messages pass, and each takes its own time; so it is messages that interleave, not steps. Within a process
steps come in the order in which asyncio gives them.
"""

from __future__ import annotations

import asyncio
import heapq
import sys
from asyncio import events
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from functools import partial
from typing import Any

_STEP_SECONDS = 1e-7
"""What passes at least between two instants, or a timer for less than the clock can tell would come back for ever."""
_PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)

_FAREWELLS_MAX = 8


class Process:
    """Whoever may be killed or paused by itself.

    Args:
        name: for stories.

    Attributes:
        alive: until it is killed.
        steps: while it is neither dead nor paused.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = self.steps = True
        self.backlog: list[_Handle] = []
        self.context: Context = copy_context()
        self.context.run(_PROCESS.set, self)

    def kill(self) -> None:
        """Not one step more."""
        self.alive = self.steps = False
        self.backlog.clear()


class _Handle(list):
    """Context, callback and arguments; asyncio's own has more to it, and there are thousands to a run."""

    __slots__ = ()

    def cancel(self) -> None:
        self[1:] = None, ()

    def cancelled(self) -> bool:
        return self[1] is None


class _Numbered:
    """Hashed by when it was made, not by where it lies in memory: asyncio and aiokafka keep futures and tasks in sets.

    Else the order in which a set gives them would depend on whatever was in this process before.
    """

    __slots__ = ()

    def __hash__(self) -> int:
        return self._number


class _Future(_Numbered, asyncio.Future):
    __slots__ = ("_number",)


class _Task(_Numbered, asyncio.Task):
    __slots__ = ("_number",)

    def __init__(self, number: int, coro: Coroutine, **how: Any) -> None:
        self._number = number  # first: asyncio puts it into a set at once
        super().__init__(coro, **how)


class VirtualLoop(asyncio.BaseEventLoop):
    """An asyncio event loop in virtual time; the part of `BaseEventLoop` that needs no operating system.

    Attributes:
        steps: callbacks run.
        complaints: what asyncio would have written to the log: exceptions that nobody took.
    """

    def __init__(self) -> None:
        self._driving = False
        super().__init__()
        self.get_debug = bool  # False, as ever, without a frame of Python: every future and task asks
        self.steps = 0
        self.complaints: list[dict[str, Any]] = []
        self._now = 0.0
        self._timers: list[tuple[float, int, _Handle]] = []
        self._timers_made = self._numbers = 0
        self._kept: list[
            asyncio.Task
        ] = []  # a killed process's tasks must not be collected: that would run their `finally`
        self._outside = Context()

    def time(self) -> float:
        return self._now

    def is_running(self) -> bool:
        return self._driving

    def call_soon(self, callback: Callable, *args: Any, context: Context | None = None) -> _Handle:
        handle = _Handle((copy_context() if context is None else context, callback, args))
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_at(self, when: float, callback: Callable, *args: Any, context: Context | None = None) -> _Handle:
        handle = _Handle((copy_context() if context is None else context, callback, args))
        self._timers_made += 1
        heapq.heappush(self._timers, (when, self._timers_made, handle))
        return handle

    def call_later(self, delay: float, callback: Callable, *args: Any, context: Context | None = None) -> _Handle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def later(self, delay: float, callback: Callable, *args: Any) -> _Handle:
        """Call something of the world's, in no process, so that no death stops it; `delay` in seconds."""
        return self.call_at(self._now + delay, callback, *args, context=self._outside)

    def create_future(self) -> asyncio.Future:
        future = _Future(loop=self)
        self._numbers += 1
        future._number = self._numbers
        return future

    def create_task(self, coro: Coroutine, *, name: str | None = None, context: Context | None = None) -> asyncio.Task:
        self._numbers += 1
        task = _Task(self._numbers, coro, loop=self, name=name or "task", context=context)
        self._kept.append(task)
        return task

    def run_in_executor(self, _executor: Any, func: Callable, *args: Any) -> asyncio.Future:
        """At once: another thread's work is over before anything else happens."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    def start(self, process: Process, coro: Coroutine) -> asyncio.Task:
        """Run a coroutine as a process's."""
        return self.create_task(coro, context=process.context.copy())

    def pause(self, process: Process) -> None:
        """Let a process rest (SIGSTOP). Its timers go on, and fire all at once when it wakes up."""
        process.steps = False

    def wake(self, process: Process) -> None:
        """Let a paused process go on (SIGCONT)."""
        if process.alive and not process.steps:
            process.steps = True
            self._ready.extend(process.backlog)
            process.backlog.clear()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.complaints.append(context)

    def drive(self, over: Callable[[], bool], seconds_max: float) -> bool:
        """Run until `over()`, asked at every instant; False if it is not over after so many virtual seconds."""
        ready, timers = self._ready, self._timers
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=self._asyncgen_firstiter_hook, finalizer=self._asyncgen_finalizer_hook)
        events._set_running_loop(self)
        self._driving = True
        try:
            while True:
                self._instant(ready)
                if over():
                    return True
                handle = None
                while timers and (handle is None or handle[1] is None):
                    when, _, handle = heapq.heappop(timers)
                if handle is None or when > seconds_max:
                    return False
                self._now = max(self._now + _STEP_SECONDS, when)
                ready.append(handle)
        finally:
            self._driving = False
            events._set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)

    def _instant(self, ready: deque[_Handle]) -> None:
        """Everything that can be done without time passing."""
        while ready:
            handle = ready.popleft()
            context, callback, args = handle
            if callback is None:
                continue
            process = context.get(_PROCESS)
            if process is not None and not process.steps:
                if process.alive:
                    process.backlog.append(handle)
                continue
            self.steps += 1
            try:
                context.run(callback, *args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # as asyncio has it
                self.call_exception_handler({"message": f"Exception in {callback!r}", "exception": error})

    def end(self) -> None:
        """Let go of everything; what is still under way is closed, as far as it lets itself be, and never heard of again."""
        events._set_running_loop(self)
        self._driving = True
        try:
            for task in self._kept:
                if not task.done():
                    task._log_destroy_pending = False
                    _close(task.get_coro().close)
            for generator in list(self._asyncgens):
                _close(partial(_drop, generator))
        finally:
            self._driving = False
            events._set_running_loop(None)
        self._closed = True
        self._ready.clear()
        self._timers.clear()
        self._kept.clear()

    def _process_events(self, _event_list: list) -> None:
        """There are no files to watch."""


def _close(close: Callable[[], None]) -> None:
    """Close what may have a few more things to wait for first."""
    for _ in range(_FAREWELLS_MAX):
        try:
            close()
        except BaseException:  # nobody is there to hear of it
            continue
        return


def _drop(generator: AsyncGenerator) -> None:
    closing = generator.aclose()
    try:
        closing.send(None)
    except StopIteration:
        return
    finally:
        closing.close()


def process_of_this_step() -> Process | None:
    """Whose step this is."""
    return _PROCESS.get()
