"""What stands between the network and the HTTP door: who may be connected, how many at once, and how long each step may take.

A connection costs a file, of which a process has about a thousand, whether or not anything is asked over it. So connections are
counted where they are accepted, before TLS, for each address and in all. One too many takes the place of the one that has kept us
waiting longest, be it for its handshake, for a request or the rest of one, or to read its answer: of those of the address, or of
whatever address has most. So whoever sits on as many as they can keeps out nobody, not even who shares their address, as all on one
machine and behind one proxy do. Only where we ourselves are at work on all of them is the new one closed instead.

Every step has its time: the TLS handshake; the header of a request, counted from the beginning of the connection or from the answer
before, with what may be left of that request's body; then the request, to the end of its answer. By itself uvicorn limits none of
these, except silence between two requests.

    accepted ─ handshake ─► waits for a header ─► request under way ─► answered ─► waits for a header …
              HANDSHAKE_S    HEADER_S              REQUEST_S                       KEEP_ALIVE_S in silence, HEADER_S in all

Whoever is late is cut off without a word: an answer would have to wait for them, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from services.errors import KeyUnsafe, SettingError
from services.intake.rates import network_of
from services.settings import Settings

log = logging.getLogger("pumasi.intake")

HANDSHAKE_S = 10.0
HEADER_S = 10.0
REQUEST_S = 90.0
"""More than body, queue and Kafka may take together, so that it ends only requests of clients that don't read the answer."""
KEEP_ALIVE_S = 5
STOP_S = 10
_DATE_S = 1.0
_SAID_AGAIN_S = 60.0


class Connection(socket.socket):
    """One that counts, from when it is accepted until it is closed.

    Attributes:
        address: whose, as `rates.network_of` has it.
        since: when its present step began, in seconds of `time.monotonic`.
        awaits_peer: whether the other side keeps us waiting; before TLS and HTTP begin it does.
    """

    def __init__(self, taken: socket.socket, address: str, left: Callable[[Connection], None]) -> None:
        super().__init__(fileno=taken.detach())
        self.address, self._left = address, left
        self.since = time.monotonic()
        self.awaits_peer: Callable[[], bool] = lambda: True

    def close(self) -> None:
        """Close it, and count it no more."""
        self._left(self)
        super().close()

    def cut(self) -> None:
        """End it; its transport hears of that and closes it."""
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)


class Connections:
    """Those that are open, by number of file.

    Args:
        in_all: as many may be; 0: any number.
        per_address: of one address; likewise.
    """

    def __init__(self, in_all: int, per_address: int) -> None:
        self._in_all, self._per_address = in_all, per_address
        self._open: dict[int, Connection] = {}
        self._of = Counter[str]()
        self._said_at = -_SAID_AGAIN_S

    def enter(self, taken: socket.socket, address: str) -> Connection | None:
        """It as one that counts; None if it may not be."""
        if self._per_address and self._of[address] >= self._per_address:
            may = self._make_room([one for one in self._open.values() if one.address == address])
            self._say("of one address", self._per_address, "CONNECTIONS_PER_ADDRESS")
        elif self._in_all and self._of.total() >= self._in_all:
            may = self._make_room(self._open.values())
            self._say("in all", self._in_all, "CONNECTIONS")
        else:
            may = True
        if not may:
            return None
        self._of[address] += 1
        connection = Connection(taken, address, self._leave)
        self._open[connection.fileno()] = connection
        return connection

    def at(self, file: int) -> Connection | None:
        """The one that has this number of file; None once it was cut."""
        return self._open.get(file)

    def _make_room(self, some: Iterable[Connection]) -> bool:
        """Cut the one that has kept us waiting longest, of whoever has most; False if none does."""
        waiting = [one for one in some if one.awaits_peer()]
        if not waiting:
            return False
        longest = min(waiting, key=lambda one: (-self._of[one.address], one.since))
        self._leave(longest)
        longest.cut()
        return True

    def _leave(self, connection: Connection) -> None:
        if self._open.get(connection.fileno()) is connection:
            del self._open[connection.fileno()]
            self._of[connection.address] -= 1
            if not self._of[connection.address]:
                del self._of[connection.address]

    def _say(self, whose: str, most: int, setting: str) -> None:
        """Log it once and then rarely: a flood must not fill the log. No address is logged."""
        if (now := time.monotonic()) >= self._said_at + _SAID_AGAIN_S:
            self._said_at = now
            log.warning(
                "%(count)d connections %(whose)s are open; one is closed for each that comes (PUMASI_HTTP_%(setting)s)",
                {"event": "connections_full", "count": most, "whose": whose, "setting": setting},
            )


class Listener(socket.socket):
    """A listening socket that counts what it accepts. asyncio accepts by it, and ignores a connection that was aborted."""

    connections: Connections

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection that may stay.

        Raises:
            ConnectionAbortedError: if it may not; then it is closed.
        """
        taken, peer = super().accept()
        connection = self.connections.enter(taken, network_of(peer[0]))
        if connection is None:
            taken.close()
            raise ConnectionAbortedError
        return connection, peer


class Punctual(H11Protocol):
    """uvicorn's HTTP/1.1, with a time for each step; `counted` are those that it is one of."""

    counted: Connections
    _connection: Connection | None = None
    _step: RequestResponseCycle | None = None
    """The request under way, if one is."""
    _deadline: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for a header."""
        super().connection_made(transport)
        self._connection = self.counted.at(transport.get_extra_info("socket").fileno())
        if self._connection is not None:
            self._connection.awaits_peer = self._awaits_peer
        self._deadline = self.loop.call_later(HEADER_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Something came, the end of a header perhaps."""
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """A request is answered; the next may have come behind it."""
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        super().connection_lost(exc)
        self._deadline.cancel()

    def _look(self) -> None:
        """Begin the time of the next step."""
        under_way = None if self.cycle is None or self.cycle.response_complete else self.cycle
        if under_way is not self._step:
            self._step = under_way
            if self._connection is not None:
                self._connection.since = time.monotonic()
            self._deadline.cancel()
            self._deadline = self.loop.call_later(REQUEST_S if under_way else HEADER_S, self.transport.abort)

    def _awaits_peer(self) -> bool:
        """Whether no request is under way, or its body isn't there yet, or its answer isn't read."""
        return self._step is None or self._step.more_body or self.flow.write_paused


class Server(uvicorn.Server):
    """The application on its port; signals are the command line's business.

    Args:
        settings: where, for how many, with which certificate.

    Attributes:
        http: where it listens, such as `http://127.0.0.1:8080`.

    Raises:
        SettingError: if the port that was asked for can't be had, or the certificate not be used.
        KeyUnsafe: if others can read its key.
    """

    def __init__(self, application: ASGIApp, settings: Settings) -> None:
        self._leaving = asyncio.Event()
        config = uvicorn.Config(
            application,
            http=Punctual,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_S,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            proxy_headers=settings.http_proxies is not None,
            forwarded_allow_ips=settings.http_proxies,
        )
        super().__init__(config)
        self._tls = certificate(settings)
        self._listener = _listener(settings)
        self._protocol = type("Punctual", (Punctual,), {"counted": self._listener.connections})
        host, port = self._listener.getsockname()[:2]
        self.http = f"{'https' if self._tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
        if self._tls is None and not ip_address(host).is_loopback:
            log.warning(
                "HTTP listens on %(host)s without TLS: whoever is on the way can read the keys and contacts that are sent. Set "
                "PUMASI_HTTP_CERTIFICATE_FILE, unless a proxy on this machine has the certificate",
                {"event": "no_tls", "host": host},
            )

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until `should_exit`."""
        await super().serve([self._listener])

    @property
    def should_exit(self) -> bool:
        return self._leaving.is_set()

    @should_exit.setter
    def should_exit(self, wanted: bool) -> None:
        (self._leaving.set if wanted else self._leaving.clear)()

    async def main_loop(self) -> None:
        """Once a second answers have another date. uvicorn itself looks ten times a second whether to exit."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), _DATE_S)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Bring the application up, then listen; uvicorn itself has no deadline for handshakes."""
        await super().startup([])
        loop = asyncio.get_running_loop()
        about = {"config": self.config, "server_state": self.server_state, "app_state": self.lifespan.state}
        for listener in sockets or []:
            self.servers.append(
                await loop.create_server(
                    lambda: self._protocol(**about),
                    sock=listener,
                    ssl=self._tls,
                    ssl_handshake_timeout=HANDSHAKE_S if self._tls else None,
                    ssl_shutdown_timeout=HANDSHAKE_S if self._tls else None,
                )
            )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def certificate(settings: Settings) -> ssl.SSLContext | None:
    """What the door shows; None where it speaks plain HTTP. Raises as `Server`."""
    shown, key = settings.http_certificate_file, settings.http_key_file
    if shown is None and key is None:
        return None
    if shown is None or key is None:
        raise SettingError("PUMASI_HTTP_CERTIFICATE_FILE and PUMASI_HTTP_KEY_FILE go together; one is unset")
    _hold_closed(key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(shown, key, password=lambda: "")  # without one, OpenSSL would ask on the terminal
    except ssl.SSLError as error:
        mismatch = error.reason == "KEY_VALUES_MISMATCH"
        what = (
            f"{key} is not the key of that certificate" if mismatch else f"{shown} and {key} are no pair that is usable"
        )
        raise SettingError(
            f"HTTP can't use its certificate: {what} ({error.reason or 'no PEM'})",
            hint="The one file holds certificates in PEM, the server's own first, the other its private key without a passphrase.",
        ) from None
    except OSError as error:
        raise SettingError(f"HTTP can't read its certificate {shown} ({error.strerror})") from None
    return context


def _hold_closed(key: Path) -> None:
    """Links are followed: certificates are renewed by them."""
    try:
        mode = key.stat().st_mode
    except OSError as error:
        raise SettingError(f"HTTP can't read its key {key} ({error.strerror})") from None
    if mode & 0o007:
        raise KeyUnsafe(f"everybody on this machine can read {key} (mode {mode & 0o777:o})", hint=f"chmod o= {key}")


def _listener(settings: Settings) -> Listener:
    """A socket on the HTTP port; a free one if the usual is taken and none was asked for."""
    asked = settings.http_port_asked
    try:
        listener = _listening(settings.http_host, settings.http_port)
    except OSError as error:
        if asked is not None:
            raise SettingError(
                f"HTTP can't listen on {settings.http_host}:{asked} ({error.strerror})",
                hint="Choose another with --http-port N, or 0 for any free one.",
            ) from None
        from services.bus.embedded.ports import refuse_if_not_here

        refuse_if_not_here(settings.http_host)
        listener = _listening(settings.http_host, 0)
    listener.connections = Connections(settings.http_connections, settings.http_connections_per_address)
    # Inherited by each connection. asyncio sets it only on sockets whose protocol is said; without it, an answer's headers and
    # body, written apart, wait 40 ms for each other.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _listening(host: str, port: int) -> Listener:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return Listener(fileno=socket.create_server((host, port), family=family, backlog=2048).detach())
