"""One event's way as one trace, told by three processes to a real receiver: HTTP → command → ledger entry → notice → webhook.

And what nobody may find in a trace: a word, an amount or an id of what was sent, or what a sender calls a `traceparent`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from services.bus.embedded import EmbeddedKafka
from services.bus.topics import COMMANDS, LEDGER, NOTICES, SUBMISSIONS
from tests.broker.test_console import pumasi
from tests.broker.test_intake import read
from tests.broker.test_logs import DEADLINE_S, STRUCTURED, service
from tests.waiting import until

SENT = "00-" + "13912345678" * 2 + "0123456789-1391234567800000-01"
"""What a sender would have us carry: it says a number."""
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01")


class Told(NamedTuple):
    """A span, and the service that told of it."""

    service: str
    span: Span


class Receiver:
    """An OpenTelemetry collector and a webhook's receiver in one: it keeps what is posted to it."""

    def __init__(self) -> None:
        self.spans: list[Told] = []
        self.bytes = b""
        self.webhooks: list[dict[str, str]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                headers = {
                    name.lower(): value for name, value in (line.split(": ", 1) for line in head.split("\r\n")[1:-2])
                }
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if head.startswith("POST /v1/traces "):
                    self._take(body)
                else:
                    self.webhooks.append(headers | {"kind": json.loads(body)["data"]["kind"]})
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
                await writer.drain()
        writer.close()

    def _take(self, body: bytes) -> None:
        self.bytes += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            [name] = [one.value.string_value for one in resource.resource.attributes if one.key == "service.name"]
            self.spans += [Told(name, span) for scope in resource.scope_spans for span in scope.spans]

    def named(self, name: str, trace: str | None = None) -> list[Told]:
        return [one for one in self.spans if one.span.name == name and trace in (None, one.span.trace_id.hex())]


@contextlib.asynccontextmanager
async def receiver() -> AsyncIterator[tuple[Receiver, str]]:
    told = Receiver()
    server = await asyncio.start_server(told.serve, "127.0.0.1", 0, limit=1 << 24)
    async with server:
        yield told, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def event(number: int, kind: str, **data: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": f"e-{number}", "source": "/me", "type": f"pumasi.{kind}", "data": data}


EVENTS = [
    event(1, "fund.configured", fund="jilin", currency="CNY", vouchers_required=0),
    event(2, "case.submitted", fund="jilin", case="c-canary", beneficiary="b-canary", need="treatment", route="clinic",
          priority="urgent", goal=7_654_321),
    event(3, "pledge.made", fund="jilin", pledge="p-canary", donor="d-canary", amount=5_432_198, currency="CNY"),
]  # fmt: skip
BATCH = [
    event(4, "pledge.made", fund="jilin", pledge="p-4", donor="d-4", amount=1, currency="CNY"),
    event(5, "pledge.made", fund="jilin", pledge="p-5", donor="d-5", amount=1, currency="CNY"),
]


QUOTE = event(6, "rate.quoted", fund="jilin", currency="USD", rate="7.1")
"""Goes through the topic."""


async def put(kafka: EmbeddedKafka) -> None:
    headers = [("content-type", b"application/cloudevents+json"), ("traceparent", SENT.encode())]
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        await producer.send_and_wait(SUBMISSIONS, json.dumps(QUOTE).encode(), headers=headers)


async def send(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=DEADLINE_S) as door:
        for one in EVENTS:
            answer = await door.post("/v1/events", json=one, headers={**STRUCTURED, "traceparent": SENT})
            assert answer.status_code == 202, answer.text
        batch = {"content-type": "application/cloudevents-batch+json", "traceparent": SENT}
        assert (await door.post("/v1/events", json=BATCH, headers=batch)).status_code == 202


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets a receiver for notices and traces."""

    def at(url: str) -> None:
        monkeypatch.setenv("PUMASI_WEBHOOK_URL", f"{url}/hook")
        monkeypatch.setenv("PUMASI_WEBHOOK_SECRET", "whsec_" + base64.b64encode(b"k" * 32).decode())
        monkeypatch.setenv("PUMASI_WEBHOOK_ALLOW_PRIVATE", "1")
        monkeypatch.setenv("PUMASI_TRACES", url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")

    return at


async def headers_of(kafka: EmbeddedKafka, topic: str, name: str) -> dict[str, list[str | None]]:
    """The `traceparent` of the records of a topic, by what a header says."""
    found: dict[str, list[str | None]] = {}
    for record in await read(kafka.bootstrap, topic):
        told = {key: (value or b"").decode() for key, value in record.headers}
        found.setdefault(told[name], []).append(told.get("traceparent"))
    return found


@pytest.mark.broker
async def test_one_pledge_is_one_trace_from_http_to_its_notice(
    quick: EmbeddedKafka, tmp_path: Path, webhook: Callable[[str], None]
) -> None:
    async with receiver() as (told, url):
        webhook(url)
        async with (
            service("notifier", quick.bootstrap, tmp_path),
            service("matcher", quick.bootstrap, tmp_path),
            service("intake", quick.bootstrap, tmp_path) as intake,
        ):
            await send(intake.ready["http"])
            await put(quick)
            await until(lambda: len(told.named("publish pumasi.pledge.made")) == 3)
            pledge = next(one.span for one in told.named("publish pumasi.pledge.made") if one.span.parent_span_id)
            trace = pledge.trace_id.hex()
            await until(lambda: told.named("tell matched", trace) and told.named("answer pumasi.pledge.made", trace))
            await until(lambda: len(told.named("tell matched")) >= 3)
            await until(lambda: told.named("answer pumasi.rate.quoted") and told.named(f"{SUBMISSIONS} process"))
            await until(lambda: any(one["kind"] == "matched" and trace in one["traceparent"] for one in told.webhooks))
            status, _, err = await pumasi(quick, "audit", "--json")
            assert status == 0, err
        rows = [_as_row(one) for one in told.spans if one.span.trace_id.hex() == trace]
        (tmp_path / "spans.json").write_text(json.dumps(rows))  # for whoever wants to draw it

    [request] = told.named("POST /v1/events", trace)
    [answer] = told.named("answer pumasi.pledge.made", trace)
    notices = [one for one in told.spans if one.span.name.startswith("tell ") and one.span.trace_id.hex() == trace]
    assert not request.span.parent_span_id, "it begins here, whatever the sender sent"
    assert pledge.parent_span_id == request.span.span_id
    assert {one.span.parent_span_id for one in (answer, *notices)} == {pledge.span_id}
    services = [request.service, answer.service, *{one.service for one in notices}]
    assert services == ["pumasi-intake", "pumasi-matcher", "pumasi-notifier"]
    assert request.span.start_time_unix_nano <= pledge.start_time_unix_nano <= answer.span.start_time_unix_nano
    assert answer.span.end_time_unix_nano <= min(one.span.start_time_unix_nano for one in notices) + 10**8

    carried = f"00-{trace}-{pledge.span_id.hex()}-01"
    assert carried in (await headers_of(quick, COMMANDS, "ce_type"))["pumasi.pledge.made"]
    assert carried in (await headers_of(quick, LEDGER, "ce_type"))["pumasi.ledger.entry"]
    assert carried in (await headers_of(quick, NOTICES, "ce_type"))["pumasi.notice.told"]
    hooked = {one["traceparent"] for one in told.webhooks if trace in one.get("traceparent", "")}
    assert hooked == {f"00-{trace}-{one.span.span_id.hex()}-01" for one in notices}

    batch = [one.span for one in told.named("publish pumasi.pledge.made") if not one.span.parent_span_id]
    requests = {one.span.span_id for one in told.named("POST /v1/events")}
    assert len({one.trace_id for one in batch}) == 2, "each event of a batch is a trace of its own"
    assert all(one.links[0].span_id in requests for one in batch)
    [quoted], answered = told.named("publish pumasi.rate.quoted"), told.named("answer pumasi.rate.quoted")
    parents = {one.span.span_id for one in told.named(f"{SUBMISSIONS} process") if one.service == "pumasi-intake"}
    assert quoted.span.parent_span_id in parents, "on the topic a trace begins with the poll, as FastStream tells it"
    assert [one.span.parent_span_id for one in answered] == [quoted.span.span_id]
    polls = [one for one in told.named(f"{LEDGER} process") if one.service == "pumasi-notifier"]
    assert trace in {link.trace_id.hex() for one in told.named(f"{LEDGER} create") for link in one.span.links}
    assert polls, "FastStream tells of each poll"
    await nothing_of_a_value(quick, told)


def _as_row(told: Told) -> dict[str, Any]:
    span = told.span
    return {
        "service": told.service, "name": span.name, "id": span.span_id.hex(), "parent": span.parent_span_id.hex(),
        "start": span.start_time_unix_nano, "end": span.end_time_unix_nano,
    }  # fmt: skip


async def nothing_of_a_value(kafka: EmbeddedKafka, told: Receiver) -> None:
    """In no span, and not what the sender called a trace, on no topic either."""
    for word in (b"canary", b"jilin", b"7654321", b"5432198", b"127.0.0.1", b"13912345678", bytes.fromhex(SENT[3:35])):
        assert word not in told.bytes, word
    for one in told.spans:
        for attribute in one.span.attributes:
            assert attribute.value.int_value not in (7_654_321, 5_432_198), attribute
    for topic in (COMMANDS, LEDGER, NOTICES):
        for traces in (await headers_of(kafka, topic, "ce_type")).values():
            assert all(one is None or (TRACEPARENT.fullmatch(one) and "13912345678" not in one) for one in traces)


@pytest.mark.broker
async def test_a_matcher_and_a_notifier_that_do_not_trace_carry_what_intake_began(
    quick: EmbeddedKafka, tmp_path: Path, webhook: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiver() as (told, url):
        webhook(url)
        async with service("intake", quick.bootstrap, tmp_path) as intake:
            monkeypatch.delenv("PUMASI_TRACES")
            async with service("matcher", quick.bootstrap, tmp_path), service("notifier", quick.bootstrap, tmp_path):
                await send(intake.ready["http"])
                await until(lambda: sum(one["kind"] == "matched" for one in told.webhooks) >= 3)
            status, _, err = await pumasi(quick, "audit", "--json")
            assert status == 0, err
    assert {one.service for one in told.spans} == {"pumasi-intake"}
    given = [one for traces in (await headers_of(quick, COMMANDS, "ce_type")).values() for one in traces if one]
    entries = [one for one in (await headers_of(quick, LEDGER, "ce_type"))["pumasi.ledger.entry"] if one]
    assert sorted(entries) == sorted(given)
    assert len(given) == len(EVENTS) + len(BATCH)
    assert {one["traceparent"] for one in told.webhooks} <= set(given)
