"""The sink: the webhook's receiver, which writes down what it is told, and sometimes pretends not to have heard.

A plain HTTP/1.1 server of some lines, since it shares two cores with everything it listens to. It checks each signature by itself
(Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`). Now and then it hears, notes, and answers 503 or not at all: a
notice must then come again, under the same id.

    told.jsonl   {"id": …, "n": how often, "data": {…}}, a line each id, written at the end
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
from pathlib import Path
from typing import Any

from services.bus.embedded.ports import HOST

DEAF_EVERY = 211
"""Every so many requests are noted, but answered 503, or by a reset in turn."""
_BODY_BYTES_MAX = 1 << 20


class Sink:
    """Use as an async context manager.

    Attributes:
        url, secret: what the notifiers are given.
        told: id → how often, and the data of the first time.
        wrong: what was wrong with a request, a line each.

    """

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self.url, self.secret = "", "whsec_" + base64.b64encode(self._key).decode()
        self.told: dict[str, tuple[int, bytes]] = {}
        self.wrong: list[str] = []
        self.requests = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Sink:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.url = f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}/notices"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    def write(self, path: Path) -> None:
        """Write down what was told."""
        with path.open("w", encoding="utf-8") as file:
            for name, (times, body) in self.told.items():
                data = json.loads(body)["data"]
                file.write(json.dumps({"id": name, "n": times, "data": data}, ensure_ascii=False) + "\n")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError, ValueError):
            while await self._answer(reader, writer):
                pass
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        length = int(headers.get("content-length", "0"))
        if length > _BODY_BYTES_MAX:
            return False
        body = await reader.readexactly(length)
        self.requests += 1
        self._note(headers, body)
        if self.requests % DEAF_EVERY == 0:
            if self.requests // DEAF_EVERY % 2:
                writer.transport.abort()
                return False
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        return True

    def _note(self, headers: dict[str, str], body: bytes) -> None:
        name, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        digest = hmac.new(self._key, f"{name}.{stamp}.".encode() + body, hashlib.sha256).digest()
        signature = "v1," + base64.b64encode(digest).decode()
        if not hmac.compare_digest(signature, headers.get("webhook-signature", "")):
            self.wrong.append(f"a notice with id {name} has a wrong signature")
            return
        times, first = self.told.get(name, (0, body))
        if times and _said(first) != _said(body):
            self.wrong.append(f"the notice {name} was told twice with different content")
        self.told[name] = times + 1, first


def _said(body: bytes) -> Any:
    """What a notice says, but for its words: their language may become known between two tellings."""
    data = json.loads(body)["data"]
    return {name: value for name, value in data.items() if name not in ("text", "language")}
