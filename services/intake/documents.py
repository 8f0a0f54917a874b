"""The doors, described at the door itself: `GET /`, the OpenAPI and AsyncAPI documents, and a page of each for people.

The documents are the golden files, which a test compares with the code. The pages are made of them once, when they are first
asked for: HTML and a style, no script, nothing from elsewhere.
"""

from __future__ import annotations

import asyncio
from functools import cache

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from schemas.generate import HERE, VERSION
from services.intake.doors import told

NAME = "Pumasi"


def routes() -> list[Route]:
    """The paths of all this."""
    return [
        Route("/", index, methods=["GET"]),
        Route("/openapi.json", openapi, methods=["GET"]),
        Route("/asyncapi.json", asyncapi, methods=["GET"]),
        Route("/docs", http_page, methods=["GET"]),
        Route("/docs/topics", topics_page, methods=["GET"]),
    ]


async def index(request: Request) -> Response:
    """The doors; a browser is led to the page that explains them."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/docs", 303)
    return JSONResponse({"name": NAME, "version": VERSION, "doors": told()})


async def openapi(_request: Request) -> Response:
    """The HTTP API as OpenAPI 3.1."""
    return Response(_document("openapi.json"), media_type="application/json")


async def asyncapi(_request: Request) -> Response:
    """The topics as AsyncAPI 3.0."""
    return Response(_document("asyncapi.json"), media_type="application/json")


async def http_page(_request: Request) -> Response:
    """The OpenAPI document for people."""
    return await _page("openapi.json")


async def topics_page(_request: Request) -> Response:
    """The AsyncAPI document for people."""
    return await _page("asyncapi.json")


async def _page(name: str) -> Response:
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
