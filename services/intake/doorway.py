"""What every request and every answer passes: which names this door answers to, and what no page may do with an answer.

A browser lured to somebody else's page sends whatever that page likes, under a name that resolves to this machine. The request
gives it away: its `Host` is not one of ours, or its `Origin` is not. Both are refused. Answers are no web pages: nothing may
frame or cache them. The pages that explain this door are an exception: each says what it may load, its own style.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.intake.problems import problem

ANY = "*"
_HERE = ("localhost", "127.0.0.1", "::1")
_ANSWERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


_HSTS = "max-age=31536000"
"""Once a browser has reached the door by TLS, it uses nothing else for a year."""


def hosts_of(named: str | None, listens_on: str) -> frozenset[str]:
    """The names that a door answers to.

    Args:
        named: the setting, names with commas between; None: those of this machine, and the address that the door listens on.
        listens_on: that address.
    """
    names = (*_HERE, listens_on) if named is None else named.split(",")
    return frozenset(name.strip().lower() for name in names)


class Doorway:
    """Around an application; `hosts` are the names that it answers to."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def closed(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = MutableHeaders(scope=message)
                for name, value in _ANSWERS.items():
                    told.setdefault(name, value)
                if scope["scheme"] == "https":
                    told["strict-transport-security"] = _HSTS
            await send(message)

        headers, answer = Headers(scope=scope), self._app
        if not self._answers_to(f"//{headers.get('host', '')}"):
            answer = problem("unknown_host", "this door doesn't answer to that name (PUMASI_HTTP_HOSTS)")
        elif "origin" in headers and not self._answers_to(headers["origin"]):
            answer = problem("foreign_origin", "this door takes nothing from another site's page")
        await answer(scope, receive, closed)

    def _answers_to(self, url: str) -> bool:
        try:
            name = urlsplit(url).hostname
        except ValueError:
            return False
        return ANY in self._hosts or name in self._hosts
