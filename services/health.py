"""A service's health over HTTP, on a small port of its own: `/livez`, `/readyz`, `/metrics`; for probes and Prometheus.

    GET /livez    200: the process runs, and its loop with it
    GET /readyz   200 while what is taken now would be answered; else 503, and why not
    GET /metrics  what is measured (`services.metrics`)

Off unless `PUMASI_HEALTH_PORT` says where. Nobody is asked who they are here, and figures may tell of people; so it listens on this
machine alone unless told otherwise, and a network policy says who else may come. It answers to addresses and to names without a dot, so
that no web page that somebody here looks at can read it under a name of its own.

It lives in the loop of the service, whose answer is proof that the loop runs, and can cost it little: a connection has one request and
five seconds, and where too many are open, the one that came first goes.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from schemas.services import Amiss
from services.errors import SettingError
from services.metrics import MEDIA_TYPE, READY, Metrics
from services.settings import Settings

PATHS = ("/livez", "/readyz", "/metrics")
REQUEST_SECONDS = 5.0
CONNECTIONS_MAX = 32
HEAD_BYTES_MAX = 8 << 10
_JSON = "application/json"


class Answer(NamedTuple):
    """Status, media type and body."""

    status: HTTPStatus
    media_type: str
    body: bytes


class Health:
    """The health of one service.

    Args:
        metrics: what it measures; also has `pumasi_ready` from here on.
        amiss: why what is taken now would not be answered; nothing if it would.

    Attributes:
        url: where it listens, such as `http://127.0.0.1:9100`; None if nowhere.

    Raises:
        SettingError: if the port can't be had.
    """

    def __init__(self, metrics: Metrics, amiss: Callable[[], Sequence[Amiss]], settings: Settings) -> None:
        self._metrics, self._amiss, self._named = metrics, amiss, settings.health_host
        metrics.reads(READY, lambda: not amiss())
        self._listener = None if settings.health_port is None else _listener(settings.health_host, settings.health_port)
        self._open: dict[asyncio.StreamWriter, None] = {}
        self.url: str | None = None
        if self._listener is not None:
            host, port = self._listener.getsockname()[:2]
            self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def answer(self, path: str) -> Answer | None:
        """What there is at a path; None if nothing."""
        match path:
            case "/livez":
                return Answer(HTTPStatus.OK, _JSON, b'{"status":"ok"}')
            case "/readyz":
                amiss = self._amiss()
                told = {"status": "amiss", "amiss": [one.model_dump(exclude_none=True) for one in amiss]}
                body = json.dumps(told if amiss else {"status": "ok"}).encode()
                return Answer(HTTPStatus.SERVICE_UNAVAILABLE if amiss else HTTPStatus.OK, _JSON, body)
            case "/metrics":
                return Answer(HTTPStatus.OK, MEDIA_TYPE, self._metrics.text())
        return None

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Answer on the port, if there is one, for as long as the block runs."""
        if self._listener is None:
            yield
            return
        server = await asyncio.start_server(self._converse, sock=self._listener, limit=HEAD_BYTES_MAX)
        try:
            yield
        finally:
            server.close()
            for writer in self._open:
                writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= CONNECTIONS_MAX:
            next(iter(self._open)).transport.abort()
        self._open[writer] = None
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                writer.write(self._response(await reader.readuntil(b"\r\n\r\n")))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever is late, gone, or has too much to say is not waited for
        finally:
            writer.transport.abort()
            self._open.pop(writer, None)

    def _response(self, head: bytes) -> bytes:
        request, *lines = head.decode("latin-1").split("\r\n")
        method, target, *_ = *request.split(" "), ""
        host = next((line[5:].strip() for line in lines if line.lower().startswith("host:")), "")
        if not self._answers_to(host):
            what = {"hint": "Ask by its address, by a name without a dot, or by PUMASI_HEALTH_HOST."}
            found = Answer(HTTPStatus.MISDIRECTED_REQUEST, _JSON, json.dumps(what).encode())
        elif method not in ("GET", "HEAD"):
            found = Answer(HTTPStatus.METHOD_NOT_ALLOWED, _JSON, b'{"hint":"GET."}')
        else:
            here = b'{"hint":"Here are /livez, /readyz and /metrics."}'
            found = self.answer(target.partition("?")[0]) or Answer(HTTPStatus.NOT_FOUND, _JSON, here)
        status, media_type, body = found
        told = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {media_type}\r\ncontent-length: {len(body)}\r\n"
        )
        told += "connection: close\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n\r\n"
        return told.encode("latin-1") + (b"" if method == "HEAD" else body)

    def _answers_to(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return "." not in name or name == self._named.lower() or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _listener(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise SettingError(
            f"PUMASI_HEALTH_PORT: can't listen on {host}:{port} ({error.strerror})",
            hint="Each process on a machine needs a port of its own; 0 takes any free one.",
        ) from None
