"""A link: the one way from a service to the brokers, a TCP proxy that understands just enough of Kafka to harm it.

Kafka's protocol is frames: four bytes of length, then in a request `api_key` (int16), `api_version` (int16) and a correlation id
(int32), in a reply the correlation id first. So a link can count on frames, know which request it carries, and lose the very reply
that hurts. The broker has a listener for each link and advertises the link's own port there (`services.bus.embedded.Door`), so a
client that came through a link never learns of another way. With several brokers a link has a port for each, and is one line all the
same: what is done to it is done to all. Where brokers speak TLS it ends at the link and begins anew, or nothing could be understood.

A snare lies in wait for the next request of one api, springs once, and is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, NamedTuple

from services.bus.embedded.ports import HOST

PRODUCE, INIT_PRODUCER_ID, END_TXN = 0, 22, 26
"""Kafka's api keys."""
SPRINGS_WITHIN_S = 20.0
"""After so long without its request, a snare is taken away."""
_FRAME_BYTES_MIN = 4
_FRAME_BYTES_MAX = 64 << 20
_CONNECT_S = 5.0

How = Literal["lose-reply", "lose-request", "late"]


class _Cut(Exception):
    """The connection is to be reset, now."""


@dataclass(eq=False)
class Snare:
    """What waits for a request.

    Attributes:
        api: Kafka's api key.
        how: `lose-reply`: it is done, nobody hears of it; `lose-request`: it never arrives; `late`: the client is cut off first.
        seconds: how late.
        sprung: set when it has done its harm.

    """

    api: int
    how: How
    seconds: float = 0.0
    sprung: asyncio.Event = field(default_factory=asyncio.Event)


class _Connection:
    """One connection through a link, and its way to the broker."""

    def __init__(self, client: asyncio.StreamWriter, broker: asyncio.StreamWriter) -> None:
        self.client, self.broker = client, broker
        self.lost: dict[int, Snare] = {}  # correlation ids of replies that nobody shall hear
        self.keeps_broker = False

    def reset(self) -> None:
        """Reset both ends, or the client's alone while a late request still has to arrive."""
        self.client.transport.abort()
        if not self.keeps_broker:
            self.broker.transport.abort()


class Tls(NamedTuple):
    """What a link shows to its service, and whom it trusts on the other side."""

    shown: ssl.SSLContext
    trusted: ssl.SSLContext


class Link:
    """One service's line.

    Args:
        name: the service's.
        upstreams: the ports of the brokers' listeners for it.
        tls: if it is by TLS.

    Attributes:
        ports: where the service has to connect, in the order of the brokers.
        delay_s: how long each frame waits, either way.
        silent: whether frames are swallowed.
        refusing: whether new connections are reset at once.

    """

    def __init__(self, name: str, upstreams: Sequence[int], tls: Tls | None = None) -> None:
        self.name, self.upstreams, self.tls = name, upstreams, tls
        self.ports: list[int] = []
        self.delay_s = 0.0
        self.silent = self.refusing = False
        self.snares: list[Snare] = []
        self._connections: set[_Connection] = set()
        self._servers: list[asyncio.Server] = []
        self._late: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        """Begin to listen, on free ports."""
        for upstream in self.upstreams:
            serve = partial(self._serve, upstream)
            server = await asyncio.start_server(serve, HOST, 0, ssl=self.tls and self.tls.shown)
            self._servers.append(server)
            self.ports.append(server.sockets[0].getsockname()[1])

    @property
    def servers(self) -> str:
        """Where the service has to connect, as Kafka's clients are told."""
        return ",".join(f"{HOST}:{port}" for port in self.ports)

    async def close(self) -> None:
        """Cut everything and listen no more."""
        for server in self._servers:
            server.close()
        self.cut()
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    def cut(self) -> int:
        """Reset all connections; how many these were."""
        for connection in list(self._connections):
            connection.reset()
        return len(self._connections)

    @contextlib.contextmanager
    def snare(self, snare: Snare) -> Iterator[Snare]:
        """Lay a snare; it is gone at the end of the block."""
        self.snares.append(snare)
        try:
            yield snare
        finally:
            if snare in self.snares:
                self.snares.remove(snare)

    async def _serve(self, upstream: int, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        if self.refusing:
            to_client.transport.abort()
            return
        try:
            async with asyncio.timeout(_CONNECT_S):
                from_broker, to_broker = await asyncio.open_connection(
                    HOST, upstream, ssl=self.tls and self.tls.trusted
                )
        except (OSError, TimeoutError):
            to_client.transport.abort()
            return
        connection = _Connection(to_client, to_broker)
        self._connections.add(connection)
        ways = {
            asyncio.create_task(self._requests(from_client, connection)),
            asyncio.create_task(self._replies(from_broker, connection)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            connection.reset()
            self._connections.discard(connection)

    async def _requests(self, reader: asyncio.StreamReader, connection: _Connection) -> None:
        while (frame := await _frame(reader)) is not None:
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            api, _version, correlation = struct.unpack_from(">hhi", frame, 4)
            snare = next((one for one in self.snares if one.api == api), None)
            if snare is not None and not self.silent:
                self.snares.remove(snare)
                await self._spring(snare, correlation, frame, connection)
            elif not self.silent:
                connection.broker.write(frame)
                await connection.broker.drain()

    async def _spring(self, snare: Snare, correlation: int, frame: bytes, connection: _Connection) -> None:
        if snare.how == "lose-reply":
            connection.lost[correlation] = snare
            connection.broker.write(frame)
            return
        snare.sprung.set()
        if snare.how == "late":
            connection.keeps_broker = True
            task = asyncio.create_task(self._arrive_late(snare.seconds, frame, connection))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        raise _Cut

    async def _arrive_late(self, seconds: float, frame: bytes, connection: _Connection) -> None:
        """Deliver a request whose sender has been cut off long since."""
        await asyncio.sleep(seconds)
        with contextlib.suppress(OSError):
            connection.broker.write(frame)
            await connection.broker.drain()
            connection.broker.close()

    async def _replies(self, reader: asyncio.StreamReader, connection: _Connection) -> None:
        while (frame := await _frame(reader)) is not None:
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            snare = connection.lost.pop(struct.unpack_from(">i", frame, 4)[0], None)
            if snare is not None:
                snare.sprung.set()
                raise _Cut
            if not self.silent:
                connection.client.write(frame)
                await connection.client.drain()


async def _frame(reader: asyncio.StreamReader) -> bytes | None:
    """The next frame, its length included; None at the end."""
    try:
        head = await reader.readexactly(4)
        (length,) = struct.unpack(">i", head)
        if not _FRAME_BYTES_MIN <= length <= _FRAME_BYTES_MAX:
            return None
        return head + await reader.readexactly(length)
    except (asyncio.IncompleteReadError, OSError):
        return None
