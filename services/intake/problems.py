"""Errors as the HTTP door tells them: RFC 9457 problem details, each with a stable `code`.

400 malformed            no CloudEvent; with `pointer` to the attribute, where there is one (and `event`)
401 unauthenticated      no bearer key, or one that doesn't count
403 forbidden            with the `scope` that the key lacks, or the `fund` that it isn't for (and `event`)
403 foreign_origin       a page of another site's sent it
404 not_found, unknown_receipt
405 method_not_allowed
408 too_slow             the body did not come in time
409 id_conflict          the same id with other data
413 too_large
415 unsupported_media_type
421 unknown_host         no name that this door answers to
422 invalid_submission   with `errors`: a pointer, a code and a message for each field (and `event`, its place in a batch)
429 too_busy, too_many   with Retry-After: all senders together, this sender or address, or conflicts of this sender
500 internal             a bug; nothing of it is told
503 kafka_unreachable    with Retry-After; a repeat is safe
503 clock_off            likewise: this intake's clock is off, another's may be right
503 key_moved            likewise: what it holds of a person was sealed for a key that is being replaced
503 unknown_fact         of receipts alone: the ledger is newer than this intake, and what it would tell may be false
503 stuck                of /healthz alone: submissions on the topic don't get through
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

from services.errors import (
    ClockOff,
    Conflict,
    Forbidden,
    InvalidSubmission,
    KafkaUnreachable,
    KeyChanging,
    KeyMoved,
    PumasiError,
    TooMany,
    Unauthenticated,
    UnknownFact,
)
from services.intake.cloudevents import Malformed, TooLarge, UnknownMedia

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1

_STATUS: dict[type[PumasiError], HTTPStatus] = {
    Malformed: HTTPStatus.BAD_REQUEST,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    Conflict: HTTPStatus.CONFLICT,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnknownMedia: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    InvalidSubmission: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooMany: HTTPStatus.TOO_MANY_REQUESTS,
    KafkaUnreachable: HTTPStatus.SERVICE_UNAVAILABLE,
    ClockOff: HTTPStatus.SERVICE_UNAVAILABLE,
    KeyChanging: HTTPStatus.SERVICE_UNAVAILABLE,
    KeyMoved: HTTPStatus.SERVICE_UNAVAILABLE,
    UnknownFact: HTTPStatus.SERVICE_UNAVAILABLE,
}
_TITLES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content",
}


def problem(status: HTTPStatus, code: str, detail: str, **more: Any) -> JSONResponse:
    """A problem as a response.

    Args:
        status: the HTTP status.
        code: stable; other software may switch on it.
        detail: one line for people, without anything that was sent.
        more: extension members; those that are None are left out.
    """
    body = {"type": "about:blank", "title": _TITLES.get(status, status.phrase), "status": int(status), "code": code}
    body["detail"] = detail
    body.update({name: value for name, value in more.items() if value is not None})
    headers = {}
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        headers["retry-after"] = str(RETRY_AFTER_SECONDS)
    if status is HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(body, int(status), headers, MEDIA_TYPE)


def problem_of(error: PumasiError) -> JSONResponse:
    """An error of ours as a response; one without a status of its own is a 500."""
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
    findings = error.findings if isinstance(error, InvalidSubmission) else None
    place: dict[str, Any] = {}
    if isinstance(error, Malformed):
        place = {"pointer": error.pointer, "event": error.event}
    elif isinstance(error, Forbidden):
        place = {"scope": error.scope, "fund": error.fund, "event": error.event}
    response = problem(status, error.code, error.message, hint=error.hint, errors=findings, **place)
    if isinstance(error, TooMany):
        response.headers["retry-after"] = str(error.retry_after_s)
    return response
