"""The doors, said once (for `GET /`, for every 404, and for OpenAPI), and described at the door itself: documents, and pages of them.

The documents are the golden files, which a test compares with the code. The pages are made of them once, when they are first
asked for: HTML and a style, no script, nothing from elsewhere.
"""

from __future__ import annotations

import asyncio
from functools import cache, partial
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from schemas.generate import HERE, VERSION


class Door(NamedTuple):
    """A method, a path (in braces what is to be filled in), and what is there."""

    method: str
    path: str
    what: str


DOORS = (
    Door("POST", "/v1/events", "Send events: one, or a batch of up to 1,000"),
    Door("GET", "/v1/receipts/{receipt}", "What became of an event; with ?wait=10s as soon as it is decided"),
    Door("GET", "/docs", "This HTTP API as a page"),
    Door("GET", "/docs/topics", "The Kafka topics as a page"),
    Door("GET", "/openapi.json", "This HTTP API as OpenAPI 3.1"),
    Door("GET", "/asyncapi.json", "The Kafka topics as AsyncAPI 3.0"),
    Door("GET", "/livez", "200 while the process serves"),
    Door("GET", "/readyz", "200 while what is sent gets its answer, else why not"),
    Door("GET", "/healthz", "The same as /readyz"),
    Door("GET", "/metrics", "What is measured, for Prometheus; nothing of money or people"),
    Door("GET", "/", "This list"),
)


def told() -> list[dict[str, str]]:
    """The doors as JSON has them."""
    return [door._asdict() for door in DOORS]


def routes() -> list[Route]:
    """The paths of the list itself, the documents and their pages."""
    pages = {"/docs": "openapi.json", "/docs/topics": "asyncapi.json"}
    return [
        Route("/", _index, methods=["GET"]),
        *(Route(f"/{name}", partial(_given, name), methods=["GET"]) for name in pages.values()),
        *(Route(path, partial(_page, name), methods=["GET"]) for path, name in pages.items()),
    ]


async def _index(request: Request) -> Response:
    """The doors; a browser is led to the page that explains them."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/docs", 303)
    return JSONResponse({"name": "Pumasi", "version": VERSION, "doors": told()})


async def _given(name: str, _request: Request) -> Response:
    return Response(_document(name), media_type="application/json")


async def _page(name: str, _request: Request) -> Response:
    html, policy = await asyncio.to_thread(_rendered, name)
    return HTMLResponse(html, headers={"content-security-policy": policy})


@cache
def _document(name: str) -> bytes:
    return (HERE / "golden" / VERSION / name).read_bytes()


@cache
def _rendered(name: str) -> tuple[str, str]:
    """The page, and what a browser may load for it."""
    from services.intake.pages import rendered  # Jinja comes when somebody asks for a page, and not before

    return rendered(_document(name))
