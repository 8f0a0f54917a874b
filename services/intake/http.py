"""HTTP: `POST /v1/events`, `GET /v1/receipts/{receipt}`, `/livez`, `/readyz` (`/healthz` is the same), `/metrics`, `documents`.

A 202 says that every in-sync replica has the command; whatever is not known to be so is a problem, never a 202. The number of
requests at work and the size of each are bounded, so a flood gets `429` or `413` instead of taking the memory; its bodies are
read to their ends and thrown away, or the answer would be lost. The key is checked before the body is read (401), its rights as
each event is read (403); a receipt needs no key, being a secret itself. A batch is checked in slices, one batch at a time, so
that it holds up nobody else. Nothing of a body is logged or sent back, least of all a traceback: it may hold values.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services import traces
from services.bus.produce.publisher import Publisher
from services.errors import Conflict, Finding, InvalidSubmission, PumasiError
from services.intake import documents
from services.intake.admission import Admitted, admit
from services.intake.cloudevents import Event, Malformed, TooLarge, numbered, read_http
from services.intake.contacts import Sealer
from services.intake.documents import DOORS
from services.intake.doorway import ANY, Doorway
from services.intake.findings import FINDINGS_MAX, bounded
from services.intake.floods import Floods
from services.intake.makers import VOUCHED
from services.intake.problems import REFUSED, RETRY_AFTER_SECONDS, problem, problem_of
from services.intake.progress import Progress
from services.intake.rates import Rates
from services.intake.receipts import Receipts
from services.intake.senders import Known, Senders
from services.intake.sequencer import Desk
from services.intake.turns import Turns
from services.intake.waiters import Waiters, seconds_of
from services.metrics import EVENTS, OTHER, REFUSALS, REQUEST_SECONDS, Metrics
from services.metrics import MEDIA_TYPE as PROMETHEUS

log = logging.getLogger("pumasi.intake")

EVENTS_PATH = "/v1/events"
RECEIPTS = "/v1/receipts"
BODY_BYTES_MAX = 4 << 20
"""The largest request body, in bytes."""
DRAINED_BYTES_MAX = 64 << 20
"""How much of a body that is refused is read and thrown away. Most clients look for the answer only when they have sent all."""
DRAIN_SECONDS = 10.0
"""How long such a body may take."""
BODY_SECONDS = 20.0
"""How long a body may take to come."""
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
BODIES_PER_SENDER_MAX = 64
"""Bodies of one sender under way at once; one more gets 429."""
REQUESTS_MAX = 64
"""Submissions at work at once; one more gets 429."""


class HttpDoor:
    """What answers behind the HTTP port.

    Args:
        requests_max: submissions at work at once; one counts once its body is there.
        amiss: a code and a sentence that say why an event taken now would not be answered; None if it would.
        hosts: the names that the door answers to (`doorway`).
        body_seconds: how long a body may take to come.
    """

    def __init__(
        self,
        desk: Desk,
        sealer: Sealer,
        receipts: Receipts,
        progress: Progress,
        publisher: Publisher,
        senders: Senders,
        rates: Rates,
        floods: Floods,
        requests_max: int = REQUESTS_MAX,
        amiss: Callable[[], tuple[str, str] | None] = lambda: None,
        hosts: Collection[str] = (ANY,),
        body_seconds: float = BODY_SECONDS,
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics or Metrics("intake")
        self._desk, self._sealer, self._receipts = desk, sealer, receipts
        self._progress, self._publisher, self._amiss = progress, publisher, amiss
        self._senders, self._rates, self._floods = senders, rates, floods
        self._checking = asyncio.Lock()
        self._requests_max, self._at_work = requests_max, 0
        self._hosts, self._body_seconds = hosts, body_seconds
        self._bodies = Counter[str]()
        self.waiters = Waiters()

    def application(self, lifespan: Callable[[Starlette], Any] | None = None) -> Starlette:
        """The application; what else there is to intake lives in its lifespan."""
        routes = [
            Route(EVENTS_PATH, self.events, methods=["POST"]),
            Route(f"{RECEIPTS}/{{receipt}}", self.receipt, methods=["GET"]),
            Route("/livez", self.alive, methods=["GET"]),
            Route("/readyz", self.health, methods=["GET"]),
            Route("/healthz", self.health, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
            *documents.routes(),
        ]
        handlers: dict[Any, Any] = {HTTPException: _http_problem, PumasiError: _problem}
        around = [Middleware(_Watched, metrics=self._metrics), Middleware(Doorway, hosts=self._hosts)]
        made = Starlette(routes=routes, exception_handlers=handlers, middleware=around, lifespan=lifespan)
        made.router.redirect_slashes = False  # many clients don't send a body after a redirect; a problem says where to
        return made

    async def events(self, request: Request) -> Response:
        """Take a submission, or a batch of them: all or none."""
        with traces.step("POST /v1/events", "SERVER", http__request__method="POST", http__route="/v1/events") as step:
            try:
                answer = await self._take(request)
            except PumasiError as error:
                answer = problem_of(error)
            except ClientDisconnect:
                answer = Response(status_code=HTTPStatus.BAD_REQUEST)
            step.tell(http__response__status_code=answer.status_code)
            return answer

    async def _take(self, request: Request) -> Response:
        try:
            self._rates.came(_address(request))
            sender = self._senders.bearing(request.headers.get("authorization"))
        except PumasiError:
            await _drain(request)
            raise
        try:
            body = await self._body_of(request, sender)
        except TimeoutError:
            return problem("too_slow", f"a body has {self._body_seconds:g} s to come")
        if body is None:
            await _drain(request)
        if body is None or self._at_work >= self._requests_max:
            return problem("too_busy", "too many submissions at once; try again in a moment")
        self._at_work += 1
        try:
            headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in request.headers.raw]
            admitted = await self._admit(sender, headers, body)
            vouched = ((one.fund, one.names["case"]) for one in admitted if one.type == VOUCHED)
            self._floods.hold_batch(sender.name, vouched)
            if (held_off := self._floods.told(sender.name)) is not None and self._desk.repeats.stands(admitted):
                raise held_off
            places = await self._desk.take(admitted)
        except Conflict as error:
            raise self._floods.count(sender.name) or error from None
        finally:
            self._at_work -= 1
        answers = [
            {"id": one.sent_id, "fund": one.fund, **one.names, "receipt": self._receipts.write(place)}
            for one, place in zip(admitted, places, strict=True)
        ]
        one = {"location": f"{RECEIPTS}/{answers[0]['receipt']}"} if len(answers) == 1 else None
        return JSONResponse({"accepted": answers}, HTTPStatus.ACCEPTED, one)

    async def _body_of(self, request: Request, sender: Known) -> bytes | None:
        """The body, once all of it is there; None if its sender has too many under way. Raises TooLarge, TimeoutError."""
        if self._bodies[sender.name] >= BODIES_PER_SENDER_MAX:
            return None
        self._bodies[sender.name] += 1
        try:
            async with asyncio.timeout(self._body_seconds):
                return await _body(request)
        finally:
            self._bodies[sender.name] -= 1
            if not self._bodies[sender.name]:
                del self._bodies[sender.name]

    async def receipt(self, request: Request) -> Response:
        """What became of a submission: `accepted`, `applied` or `rejected`; a refused one that came again, its new receipt.

        `?wait=10s` answers once it is decided, or after that time.
        Details about an id are told only to whoever made it (`makers`).
        """
        self._rates.came(_address(request))
        seconds = seconds_of(request.query_params.get("wait", "0"))
        text = request.path_params["receipt"]
        place = self._receipts.read(text)
        if place is None:
            return problem("unknown_receipt", "no receipt of this service")
        if seconds and (decision := self._progress.decision(place)) is not None:
            await self.waiters.wait(decision, request, seconds)
        told = {"receipt": text, **self._progress.tell(place)}
        if told["state"] == "rejected" and (successor := self._desk.repeats.successor(place)) is not None:
            told["superseded_by"] = self._receipts.write(successor)
        again = {"retry-after": str(RETRY_AFTER_SECONDS)} if told["state"] == "accepted" else {}
        return JSONResponse(told, headers={"cache-control": "no-store", **again})

    async def alive(self, _request: Request) -> Response:
        """200: the process serves."""
        return JSONResponse({"status": "ok"})

    async def health(self, _request: Request) -> Response:
        """200 while an event taken now would be answered, else 503 and why not; for load balancers."""
        if not self._publisher.in_reach.is_set():
            return problem("kafka_unreachable", "Kafka is out of reach")
        self._desk.check_clock()
        if (amiss := self._amiss()) is not None:
            return problem(*amiss)
        return JSONResponse({"status": "ok"})

    async def metrics(self, request: Request) -> Response:
        """What is measured of this door, for Prometheus; nothing of money or people, nor of what came by the topic."""
        self._rates.came(_address(request))
        return Response(self._metrics.public_text(), media_type=PROMETHEUS)

    async def _admit(self, sender: Known, headers: list[tuple[str, str]], body: bytes) -> list[Admitted]:
        """Read and check a request, all of it or none.

        Raises:
            PumasiError: if something is wrong with it; what nobody foresaw makes it Malformed.
        """
        try:
            events, is_batch = read_http(headers, body)
            async with self._checking if is_batch else contextlib.nullcontext():
                return await self._admit_all(sender, events, is_batch)
        except (PumasiError, MemoryError):  # memory is ours to have: the same request can be read another time
            raise
        except Exception as error:  # noqa: BLE001  # whatever reading raises, it is this request that can't be read
            told = {"event": "submission_not_read", "cause": type(error).__name__}
            log.error("a submission could not be read (%(cause)s)", told)
            raise Malformed(f"could not be read ({type(error).__name__})") from None

    async def _admit_all(self, sender: Known, coming: Iterator[Event], is_batch: bool) -> list[Admitted]:
        """Check each event; they count for their sender before that, since refusing one is as much work as taking it."""
        events: list[Event] = []
        admitted: list[Admitted] = []
        findings: list[Finding] = []
        last, turns = None, Turns()
        for event in coming:
            events.append(event)
            await turns.breathe()
        self._rates.sends(sender.name, len(events))
        for number, event in enumerate(events):
            if len(findings) >= FINDINGS_MAX:
                last = number - 1
                break
            try:
                with numbered(number if is_batch else None):
                    admitted.append(admit(event, self._sealer, sender, clear_contact=True))
            except InvalidSubmission as invalid:
                findings += invalid.findings
            await turns.breathe()
        if findings:
            told = bounded(findings, last)
            raise InvalidSubmission("the submission breaks the contract; see each of `errors`", told)
        return admitted


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


async def _body(request: Request) -> bytes:
    """The body, up to the limit.

    Raises:
        TooLarge: if it is larger.
    """
    too_large = TooLarge(f"a request's body is at most {BODY_BYTES_MAX} bytes", hint="Send several smaller batches.")
    if _declared(request) > BODY_BYTES_MAX:
        await _drain(request)
        raise too_large
    parts, size, stream = list[bytes](), 0, request.stream()
    async for part in stream:
        size += len(part)
        if size > BODY_BYTES_MAX:
            parts.clear()
            await _drain(request, stream)
            raise too_large
        parts.append(part)
    return b"".join(parts)


def _declared(request: Request) -> int:
    declared = request.headers.get("content-length", "0")
    return int(declared) if declared.isdecimal() and len(declared) < 20 else 0


async def _drain(request: Request, stream: AsyncIterator[bytes] | None = None) -> None:
    """Throw away what is left of a body, within bounds. A connection closed on unread bytes is reset, and the answer lost.

    Not for a client that waits for `100 Continue`: it gets its answer before it sends. Nor beyond the bounds: that one is cut off.
    """
    if request.headers.get("expect", "").lower() == "100-continue" and stream is None:
        return
    if _declared(request) > DRAINED_BYTES_MAX:
        return
    left = DRAINED_BYTES_MAX
    with contextlib.suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for part in stream or request.stream():
                left -= len(part)
                if left < 0:
                    return


async def _http_problem(request: Request, error: Exception) -> Response:
    """What the router says: no such path, or another method."""
    assert isinstance(error, HTTPException), "registered for it alone"
    status, headers = HTTPStatus(error.status_code), dict(error.headers or {})
    detail, hint = status.description or status.phrase, None
    if allowed := sorted(headers.get("Allow", "").split(", ")) if status is HTTPStatus.METHOD_NOT_ALLOWED else []:
        headers["Allow"] = ", ".join(allowed)
        detail = f"this path takes {' and '.join(allowed)}"
    elif (path := request.url.path.rstrip("/")) != request.url.path and any(door.path == path for door in DOORS):
        hint = f"It is {path}, without a slash at its end."
    response = problem(status.phrase.lower().replace(" ", "_"), detail, status, hint=hint)
    response.headers.update(headers)
    return response


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, PumasiError), "registered for it alone"
    return problem_of(error)


class _Watched:
    """Around all else: measures how long each request took, by the path as it stands in `documents.DOORS`, and why events were refused.

    A defect of ours is a 500, and a line in the log without its words: Starlette would have the server log a traceback. What is
    answered in part already is cut off.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001  # nothing of it may come further
            log.error("a request failed (%(cause)s)", {"event": "request_failed", "cause": type(error).__name__})
            if not status:
                await problem("internal", "something went wrong on our side")(scope, receive, watched)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else OTHER
            route = getattr(scope.get("route"), "path", OTHER)
            self._metrics.observe(REQUEST_SECONDS, time.perf_counter() - began, route, method, str(status))
            if scope["path"] == EVENTS_PATH and (code := scope.get(REFUSED)) is not None:
                self._metrics.count(REFUSALS, "http", code)
                self._metrics.count(EVENTS, "http", "refused")
