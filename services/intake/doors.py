"""What there is behind the HTTP port, said once: for `GET /`, for every 404, and for OpenAPI."""

from __future__ import annotations

from typing import NamedTuple


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
