"""Errors as the HTTP door returns them: RFC 9457 problem details, each with a stable `code`: PROBLEMS lists them."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from services.errors import PumasiError, TooMany
from services.intake.documents import told

PROBLEMS: dict[str, tuple[HTTPStatus, str]] = {
    "malformed": (HTTPStatus.BAD_REQUEST, "no CloudEvent; with `pointer` to the attribute, where there is one (and `event`)"),
    "unauthenticated": (HTTPStatus.UNAUTHORIZED, "no bearer key, or one that doesn't count"),
    "forbidden": (HTTPStatus.FORBIDDEN, "the key lacks the `scope`, or isn't for the `fund` (and `event`)"),
    "foreign_origin": (HTTPStatus.FORBIDDEN, "a page of another site's sent it"),
    "not_found": (HTTPStatus.NOT_FOUND, "no such path; `doors` names those there are"),
    "unknown_receipt": (HTTPStatus.NOT_FOUND, "no receipt of this service"),
    "method_not_allowed": (HTTPStatus.METHOD_NOT_ALLOWED, "the path takes another method"),
    "too_slow": (HTTPStatus.REQUEST_TIMEOUT, "the body did not come in time"),
    "id_conflict": (HTTPStatus.CONFLICT, "the same id with other data"),
    "too_large": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "an event, a batch or a body beyond the limits (and `event`)"),
    "unsupported_media_type": (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "none of the three modes"),
    "unknown_host": (HTTPStatus.MISDIRECTED_REQUEST, "no name that this door answers to"),
    "invalid_submission": (HTTPStatus.UNPROCESSABLE_ENTITY, "with `errors`: a pointer, a code and a message for each field"),
    "too_busy": (HTTPStatus.TOO_MANY_REQUESTS, "all senders together; with Retry-After"),
    "too_many": (HTTPStatus.TOO_MANY_REQUESTS, "this sender or address, or conflicts of this sender; with Retry-After"),
    "internal": (HTTPStatus.INTERNAL_SERVER_ERROR, "a bug; nothing of it is told"),
    "kafka_unreachable": (HTTPStatus.SERVICE_UNAVAILABLE, "with Retry-After; a repeat is safe"),
    "clock_off": (HTTPStatus.SERVICE_UNAVAILABLE, "likewise: this intake's clock is off, another's may be right"),
    "key_moved": (HTTPStatus.SERVICE_UNAVAILABLE, "likewise: it holds what was sealed for a key that is being replaced"),
    "key_changing": (HTTPStatus.SERVICE_UNAVAILABLE, "likewise: a new pseudonym key is about to serve, and no fund begins"),
    "unknown_fact": (HTTPStatus.SERVICE_UNAVAILABLE, "of receipts alone: the ledger is newer than this intake"),
    "stuck": (HTTPStatus.SERVICE_UNAVAILABLE, "of /readyz alone: submissions on the topic don't get through"),
    "topic_unreadable": (HTTPStatus.SERVICE_UNAVAILABLE, "a topic can't be read from some place on"),
    "warming_up": (HTTPStatus.SERVICE_UNAVAILABLE, "of /readyz alone: what came before is still being read"),
    "not_answered": (HTTPStatus.SERVICE_UNAVAILABLE, "of /readyz alone: a command has waited long for its answer"),
}  # fmt: skip
"""Every code: its status, and what it means."""

REFUSED = "pumasi.refused"
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1

_MEMBERS = {"hint": "hint", "errors": "findings", **{name: name for name in ("pointer", "scope", "fund", "event")}}
"""What a problem tells beside code and detail, and which of an error's attributes that is, where the error has it."""
_TITLES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content",
}


class Refusal(JSONResponse):
    """A problem; whoever looks at the request's scope afterwards finds its code under REFUSED."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[REFUSED] = json.loads(bytes(self.body))["code"]
        await super().__call__(scope, receive, send)


def problem(code: str, detail: str, status: HTTPStatus | None = None, **more: Any) -> JSONResponse:
    """A problem as a response.

    Args:
        code: stable; other software may switch on it.
        detail: one line for people, without anything that was sent.
        status: the HTTP status, where the code is none of PROBLEMS.
        more: extension members; those that are None are left out.
    """
    status = status or PROBLEMS[code][0]
    body = {"type": "about:blank", "title": _TITLES.get(status, status.phrase), "status": int(status), "code": code}
    body["detail"] = detail
    if status is HTTPStatus.NOT_FOUND:
        more["doors"] = told()
    body.update({name: value for name, value in more.items() if value is not None})
    headers = {}
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        headers["retry-after"] = str(RETRY_AFTER_SECONDS)
    if status is HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    return Refusal(body, int(status), headers, MEDIA_TYPE)


def problem_of(error: PumasiError) -> JSONResponse:
    """An error of ours as a response, with the status of its code, else of its parent's; where none of them has one, a 500."""
    codes = (kind.code for kind in type(error).__mro__ if issubclass(kind, PumasiError))
    status, _ = next((PROBLEMS[code] for code in codes if code in PROBLEMS), PROBLEMS["internal"])
    more = {name: getattr(error, of, None) for name, of in _MEMBERS.items()}
    response = problem(error.code, error.message, status, **more)
    if isinstance(error, TooMany):
        response.headers["retry-after"] = str(error.retry_after_s)
    return response
