"""Traces: off, nothing of them is there; on, a step has classes and places; what is carried has one form, and moves no hashed byte."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from services import traces
from services.bus.client.record_batch import laid_out
from services.bus.deadletters.letter import NOTHING, WITHHELD, dead_letter
from services.bus.envelope import carried, entry_headers, read_command, trace_of
from services.errors import KafkaUnreachable, SettingError
from services.matcher.audit import Audit, hold
from services.settings import Settings, load
from tests.properties.test_ways import PLAIN, answered, assert_same, opened, told
from tests.records import CommandRecord

ROOT = Path(__file__).parents[2]
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CANARY = "Kim-Yongsun-13912345678"


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    begun = f"import sys\nfrom services import traces\nfrom services.settings import load\n{code}"
    return subprocess.run(
        [sys.executable, "-P", "-c", begun], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What this process tells of, as if `begin` had been called."""
    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(traces, "_tracer", provider.get_tracer("pumasi"))
    yield kept
    provider.shutdown()


def test_without_the_setting_nothing_of_opentelemetry_is_imported_and_no_step_is_told() -> None:
    done = run("""
import services.intake.app, services.matcher.app, services.notifier.app
traces.begin(load(), "pumasi-intake")
with traces.step("a") as one: one.tell(x=1)
with traces.following(b"x", "b") as two: pass
assert not traces.is_on() and one.traceparent is two.traceparent is None and traces.middlewares() == ()
theirs = "opentelemetry.semconv"  # by which FastStream looks whether it is installed
assert {name for name in sys.modules if name.startswith("opentelemetry")} <= {"opentelemetry", theirs}, "imported"
""")
    assert done.returncode == 0, done.stderr


def test_a_setting_that_is_no_place_and_what_is_not_installed_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for odd in ("localhost:4318", "ftp://x", "http://user:secret@x", "http://x/?token=1"):
        with pytest.raises(SettingError, match="traces"):
            load(traces=odd)
    assert load(traces=" ").traces is None
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(SettingError, match="not installed") as found:
        traces.begin(Settings(traces="http://127.0.0.1:1"), "pumasi-intake")
    assert "requirements-otel.lock" in str(found.value.hint)
    assert not traces.is_on()


def test_a_receiver_that_is_not_there_holds_up_neither_a_step_nor_the_end() -> None:
    done = run(
        """
import atexit, time
from services import logs
atexit.register(lambda: print(time.monotonic() - over))  # after what is registered later
logs.set_up("DEBUG", True)
traces.begin(load(), "pumasi-intake")
for n in range(3000):
    with traces.step("a"): pass
over = time.monotonic()
""",
        PUMASI_TRACES="http://127.0.0.1:9",
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 12, "seconds; OpenTelemetry itself waits for half a minute"
    assert all(line.startswith("{") for line in done.stderr.splitlines()), done.stderr


def test_a_step_that_fails_is_told_by_its_class_or_our_code_and_never_in_words(spans: InMemorySpanExporter) -> None:
    for error in (ValueError(CANARY), KafkaUnreachable(CANARY)):
        with pytest.raises(type(error)), traces.step("outer"), traces.step("inner"):
            raise error
        with pytest.raises(type(error)), traces.following(TRACE, "after"):
            raise error
    told = spans.get_finished_spans()
    assert CANARY not in "".join(one.to_json() for one in told)
    assert [one.attributes["error.type"] for one in told] == ["ValueError"] * 3 + ["kafka_unreachable"] * 3
    assert not any(one.events for one in told), "no traceback, which quotes"


def test_steps_within_are_part_of_it_and_linked_ones_begin_a_trace(spans: InMemorySpanExporter) -> None:
    with traces.step("request") as request:
        within, beside = traces.begun("one", "PRODUCER"), traces.begun("two", linked=True)
        within.end()
        beside.end()
    one, two, outer = spans.get_finished_spans()
    assert one.parent.span_id == outer.context.span_id
    assert two.parent is None
    assert two.context.trace_id != outer.context.trace_id
    assert [link.context.span_id for link in two.links] == [outer.context.span_id]
    assert carried(request.traceparent) == request.traceparent
    assert request.traceparent.decode().split("-")[1:3] == [
        f"{outer.context.trace_id:032x}",
        f"{outer.context.span_id:016x}",
    ]


def test_what_is_not_sampled_is_not_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "_tracer", TracerProvider(sampler=ALWAYS_OFF).get_tracer("pumasi"))
    with traces.step("request") as one:
        assert traces.begun("publish").traceparent is None
    assert one.traceparent is None


def test_a_step_that_follows_a_record_is_the_child_of_whoever_made_it(spans: InMemorySpanExporter) -> None:
    traces.tell(TRACE, "answer", "CONSUMER", 5, a__b=1)
    [one] = spans.get_finished_spans()
    assert f"00-{one.parent.trace_id:032x}-{one.parent.span_id:016x}-01".encode() == TRACE
    assert (one.start_time, dict(one.attributes)) == (5, {"a.b": 1})


@pytest.mark.parametrize("odd", [
    None, b"", TRACE.upper(), TRACE[:-1] + b"0", TRACE + b"\n", TRACE + b"-x", b"01" + TRACE[2:], b" " + TRACE, b"\xff" + TRACE[1:],
    b"00-" + b"0" * 32 + TRACE[35:], TRACE[:36] + b"0" * 16 + b"-01", CANARY.encode(),
    b"00-" + b"+8613912345678".ljust(32) + TRACE[35:],
])  # fmt: skip
def test_nothing_is_carried_but_what_intake_could_have_written(odd: bytes | None) -> None:
    assert carried(odd) is None
    assert carried(TRACE) == TRACE
    one = pledge(20, odd)
    assert getattr(read_command(one, 1), "trace", None) is None
    assert trace_of(one) is None


def pledge(offset: int, *traced: bytes | None, wall: int | None = None) -> CommandRecord:
    one = told(offset, "pledge.made", PLAIN | {"pledge": f"p-{offset}"}, wall=wall)
    sender = (("pumasi_sender", b"clinic"), ("pumasi_mac", b"a" * 26)) if offset % 2 else ()
    return one._replace(headers=(*one.headers, *sender, *(("traceparent", trace) for trace in traced)))


def test_a_traced_pledge_has_the_same_entry_by_whichever_way_and_the_header_besides() -> None:
    from tests.properties.test_ways import NOW_MS

    walls = [NOW_MS if number % 3 else None for number in range(20, 60)]
    plain = [pledge(20 + at, wall=wall) for at, wall in enumerate(walls)]
    traced = [pledge(20 + at, *([TRACE] if at % 4 == 0 else []), wall=wall) for at, wall in enumerate(walls)]
    assert_same([*opened(), *plain])
    assert assert_same([*opened(), *traced]) in (len(opened()) + len(traced), None), "what is traced is as sound"
    rows, _, (*_, digest, seq, watermark, _bytes, _verdicts) = answered([*opened(), *traced])
    bare, _, (*_, bare_digest, bare_seq, bare_watermark, _bytes, _verdicts) = answered([*opened(), *plain])
    assert (digest, seq, watermark) == (bare_digest, bare_seq, bare_watermark), "no hash knows of it"
    count, header = len(entry_headers(0, 1, "")), laid_out([("traceparent", TRACE)])[1:]
    changed = [(one, other) for one, other in zip(rows, bare, strict=True) if one != other]
    assert len(changed) == 10
    for one, other in changed:
        assert one.endswith(header)
        assert one.removesuffix(header).replace(bytes([2 * (count + 1)]), bytes([2 * count])) == other.replace(
            bytes([2 * (count + 1)]), bytes([2 * count])
        )


def test_a_traceparent_that_comes_twice_is_the_last_of_them_and_stops_nobody() -> None:
    command = read_command(pledge(20, b"x", TRACE), 1)
    assert command.trace == TRACE
    assert read_command(pledge(20, TRACE, b"x"), 1).trace is None
    assert assert_same([*opened(), pledge(20, TRACE, b"x"), pledge(21, b"\xff"), pledge(22, None)]) in (
        len(opened()),
        None,
    )


@pytest.mark.parametrize(("held", "findings"), [
    (TRACE, 0), (None, 1), (TRACE.replace(b"7", b"8"), 1),
])  # fmt: skip
async def test_the_audit_holds_an_entry_to_its_commands_traceparent(held: bytes | None, findings: int) -> None:
    commands = [*opened(), pledge(20, TRACE)]
    writer = Audit(0, 1)
    expected = [row for command in commands for row in writer.expected(command)]
    entries = [
        SimpleNamespace(partition=0, offset=number, value=value, headers=[
            *((name, text) for name, text in headers if name != "traceparent"),
            *([("traceparent", held)] if held and dict(headers).get("traceparent") else []),
        ])
        for number, headers, value in expected
    ]  # fmt: skip
    audit = Audit(0, 1)
    await hold(audit, _portion(commands), _portion(entries))
    found = audit.close().findings
    assert len(found) == findings, found
    assert all("headers" in one for one in found)


def test_a_letter_keeps_it_for_a_command_and_drops_what_a_sender_sent() -> None:
    digits = b"00-13912345678139123456780123456789-1391234567812345-01"
    for trace in (TRACE, digits):
        command = pledge(20, trace)
        assert (WITHHELD, NOTHING.encode()) in dead_letter(command, "unreadable", "why").headers
        assert (
            trace
            not in repr(dead_letter(command._replace(topic="pumasi.submissions.v1"), "unreadable", "why")).encode()
        )
    assert "Kim" not in repr(dead_letter(pledge(20, CANARY.encode()), "unreadable", "why"))


async def _portion(records: list[Any]) -> Any:
    yield list(records)
