"""The network: what stands in for aiokafka's connections. Requests and replies take their time, and on one connection keep their order.

This is the seam: `connect` takes the place of `aiokafka.client.create_conn`, and everything above it is the real thing. Requests pass
as aiokafka's own structures, since nothing is to be learnt from encoding them. Before a request leaves, the adversary is asked what
becomes of it. A connection that is closed or broken does not call back what is under way on it: that may still arrive.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol
from zlib import crc32

from aiokafka.conn import CloseReason
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.api import Request, RequestStruct
from aiokafka.util import wait_for

from tests.simulation.broker import NAMES, VERSIONS, Broker
from tests.simulation.clock import Process, VirtualLoop, process_of_this_step

_ARRIVES_ANYWAY = 0.7
"""Of the requests under way on a connection that is closed, how many arrive."""

_REFUSED_SECONDS_MAX = 0.5
_WRITING = ("InitProducerId", "AddPartitions", "Produce", "EndTxn")


@dataclass
class Fate:
    """What becomes of a request.

    Attributes:
        arrives: whether the broker gets it.
        late_seconds: by how much it is late; then nobody waits for it any more.
        overtaken_by: how many requests that write are dealt with before it; then nobody waits for it any more.
        slow_seconds: by how much it, and all behind it, is late without anybody giving it up.
        answered: whether the reply arrives.
        broken: whether the connection breaks over it, for the client to notice.
        refusal: the error code that the broker answers instead of dealing with it.
        at_broker: called once the broker has dealt with it, before it answers.
        at_reply: called in place of the reply's arrival.
    """

    arrives: bool = True
    late_seconds: float = 0.0
    overtaken_by: int = 0
    slow_seconds: float = 0.0
    answered: bool = True
    broken: bool = False
    refusal: int = 0
    at_broker: Callable[[], None] | None = None
    at_reply: Callable[[], None] | None = None


@dataclass
class _Held:
    left: int
    request: RequestStruct
    sender: str


class Meddler(Protocol):
    """Whoever decides what becomes of requests."""

    def fate(self, process: Process, kind: str, request: RequestStruct | None) -> Fate | None:
        """What becomes of a request that is about to leave; None: nothing out of the ordinary."""


class Connection:
    """What aiokafka's client takes for a connection to a node."""

    def __init__(self, network: Network, process: Process, on_close: Any, timeout_seconds: float) -> None:
        self.network, self.process = network, process
        self.open = True
        self.inbox: deque[tuple[RequestStruct, asyncio.Future, Fate]] = deque()
        self.busy = False
        self.arrives = self.returns = 0.0
        self._on_close, self._timeout = on_close, timeout_seconds
        self._waiting: list[asyncio.Future] = []
        self._closed = asyncio.get_running_loop().create_future()

    def connected(self) -> bool:
        return self.open

    def send(self, request: Request, expect_response: bool = True) -> Any:
        if not self.open:
            raise KafkaConnectionError("no connection")
        assert expect_response, "everything here is acknowledged"
        answer = asyncio.get_running_loop().create_future()
        self._waiting = [waiting for waiting in self._waiting if not waiting.done()]
        self._waiting.append(answer)
        self.network.carry(self, request.prepare(VERSIONS), answer)
        return wait_for(answer, self._timeout)

    def close(self, reason: CloseReason | None = None, exc: BaseException | None = None) -> asyncio.Future:
        if self.open:
            self.open = False
            self.network.closed(self)
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_exception(KafkaConnectionError("connection closed"))
            if self._on_close is not None:
                self._on_close(self, reason)
        if not self._closed.done():
            self._closed.set_result(None)
        return self._closed


class Network:
    """All connections to the broker.

    Args:
        loop: the clock.
        r: how long things take.
        latency_seconds: one way, at most.
        broker: who answers.
        meddler: who is asked before each request leaves.
        told: for stories.

    Attributes:
        requests: how many there were.
        digest: of which were sent by whom and when: equal for equal runs.
        cut_off: processes that reach nobody.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        r: Random,
        latency_seconds: float,
        broker: Broker,
        meddler: Meddler,
        told: Callable[[str], None],
    ) -> None:
        self.loop, self.broker = loop, broker
        self.requests = self.digest = 0
        self.cut_off: set[Process] = set()
        self._r, self._latency, self._meddler, self._told = r, latency_seconds, meddler, told
        self._connections: dict[Connection, None] = {}
        self._held: list[_Held] = []

    async def connect(
        self, _host: str, _port: int, *, request_timeout_ms: int, on_close: Any = None, **_options: Any
    ) -> Connection:
        """In the place of `aiokafka.client.create_conn`."""
        process = process_of_this_step()
        await asyncio.sleep(self._r.uniform(0.0, self._latency))
        fate = self._meddler.fate(process, "Connect", None)
        if not self.broker.up or process in self.cut_off or (fate is not None and fate.broken):
            await asyncio.sleep(self._r.uniform(0.0, _REFUSED_SECONDS_MAX))
            raise ConnectionRefusedError("connection refused")
        made = Connection(self, process, on_close, request_timeout_ms / 1000)
        self._connections[made] = None
        return made

    def carry(self, connection: Connection, request: RequestStruct, answer: asyncio.Future) -> None:
        """Take a request to the broker."""
        self.requests += 1
        kind = NAMES[request.API_KEY]
        self.digest = crc32(f"{self.loop.time()!r} {connection.process.name} {kind}".encode(), self.digest)
        fate = self._meddler.fate(connection.process, kind, request)
        if fate is None:
            fate = Fate()
        elif self._told is not None:
            self._told(f"{connection.process.name}: {kind}: {fate}")
        if fate.broken:
            self._break(connection, self._r.uniform(0.0, self._latency))
        if not fate.arrives:
            return
        if fate.overtaken_by:
            self._held.append(_Held(fate.overtaken_by, request, connection.process.name))
            return
        if fate.late_seconds:
            self.loop.later(fate.late_seconds, self._late, request, connection.process.name)
            return
        when = self.loop.time() + self._r.uniform(0.0, self._latency) + fate.slow_seconds
        when = connection.arrives = max(when, connection.arrives)
        self.loop.later(when - self.loop.time(), self._arrived, connection, request, answer, fate)

    def _late(self, request: RequestStruct, sender: str) -> None:
        self._told(f"broker: a late {NAMES[request.API_KEY]} of {sender} arrives")
        self.broker.handle(request, sender, lambda _response: None)

    def _overtake(self, request: RequestStruct) -> None:
        """A request has been dealt with; those held back for it come now."""
        if NAMES[request.API_KEY] in _WRITING:
            for held in self._held:
                held.left -= 1
            due = [held for held in self._held if not held.left]
            self._held = [held for held in self._held if held.left]
            for held in due:
                self._late(held.request, held.sender)

    @property
    def holds_back(self) -> bool:
        """Whether a request is still to come that others overtake."""
        return bool(self._held)

    def let_go(self) -> None:
        """Let requests that are held back come, since nobody overtakes them any more."""
        held, self._held = self._held, []
        for each in held:
            self._late(each.request, each.sender)

    def _arrived(self, connection: Connection, request: RequestStruct, answer: asyncio.Future, fate: Fate) -> None:
        if connection.open or fate.broken or self._r.random() < _ARRIVES_ANYWAY:
            connection.inbox.append((request, answer, fate))
            self._next(connection)

    def _next(self, connection: Connection) -> None:
        """A broker deals with a connection's requests one by one."""
        if connection.busy or not connection.inbox:
            return
        request, answer, fate = connection.inbox.popleft()
        connection.busy = True

        def reply(response: Any) -> None:
            connection.busy = False
            if fate.answered and connection in self._connections:
                when = self.loop.time() + self._r.uniform(0.0, self._latency)
                when = connection.returns = max(when, connection.returns)
                if fate.at_reply is not None:
                    self.loop.later(when - self.loop.time(), fate.at_reply)
                else:
                    self.loop.call_at(when, _answer, answer, response, context=connection.process.context)
            self._next(connection)

        if fate.refusal and self.broker.up:
            reply(refused(request, fate.refusal))
            return
        self.broker.handle(request, connection.process.name, reply)
        self._overtake(request)
        if fate.at_broker is not None:
            fate.at_broker()

    def _break(self, connection: Connection, delay: float) -> None:
        self.loop.call_at(
            self.loop.time() + delay,
            connection.close,
            CloseReason.CONNECTION_BROKEN,
            context=connection.process.context,
        )

    def closed(self, connection: Connection) -> None:
        """A connection was closed by its process, or broke."""
        self._connections.pop(connection, None)

    def forget(self, process: Process) -> None:
        """A process died: its connections are gone; what it sent may still arrive."""
        for connection in [each for each in self._connections if each.process is process]:
            connection.open = False
            del self._connections[connection]

    def cut(self, process: Process | None = None) -> None:
        """Break all connections, or one process's; requests that have arrived are lost if it is the broker that died."""
        for connection in list(self._connections):
            if process is None or connection.process is process:
                if process is None:
                    connection.inbox.clear()
                    connection.busy = False
                self._connections.pop(connection)
                self._break(connection, self._r.uniform(0.0, self._latency))


def _answer(answer: asyncio.Future, response: Any) -> None:
    """In the process's own time, if it still lives; whoever has closed the connection waits no more."""
    if not answer.done():
        answer.set_result(response)


def refused(request: Any, code: int) -> Any:
    """The reply to a request that the broker turns away for the time being."""
    reply = request.RESPONSE_TYPE
    match NAMES[request.API_KEY]:
        case "InitProducerId":
            return reply(0, code, -1, -1)
        case "AddPartitions":
            return reply(0, [(topic, [(p, code) for p in partitions]) for topic, partitions in request.topics])
        case "Produce":
            return reply([(topic, [(p, code, -1, -1) for p, _ in places]) for topic, places in request.topics], 0)
        case "EndTxn" | "Heartbeat":
            return reply(0, code)
        case kind:
            raise NotImplementedError(kind)
