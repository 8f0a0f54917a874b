"""Traces, switched on here and nowhere else: which steps an event took, and how long each was; never of whom it was.

With `PUMASI_TRACES` a process tells an OpenTelemetry receiver of its steps (spans). Without, nothing of OpenTelemetry is imported and
nothing is measured.

A trace begins at our doors. What a sender sends as `traceparent` is not looked at: 48 digits that somebody else chooses can say
what they like, a telephone's number too, and would stand on the ledger for ever. One event is one trace; several in one request have a
trace each, linked to the request's, so that a `traceparent` tells no more of what belongs together than the ledger does. It goes
unchanged from the command to its entries and their notices, whether or not the services on the way trace: so a ledger's bytes are those
that its commands make, in any case.

A step has places, types, counts and outcomes, and never an id or an amount. What failed is named by its class.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from services.errors import PumasiError, SettingError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

    from services.settings import Settings

Kind = Literal["INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]
_FLUSH_SECONDS = 3.0
_tracer: Tracer | None = None
_provider: TracerProvider | None = None


def begin(settings: Settings, service: str) -> None:
    """As a service begins: trace, if its settings say where to. What is not sent yet as it ends is sent then.

    Raises:
        SettingError: if what that needs is not installed.
    """
    global _tracer, _provider
    if settings.traces is None:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise SettingError(
            "PUMASI_TRACES is set, and OpenTelemetry is not installed",
            hint="Install requirements-otel.lock in place of requirements.lock (`pip install pumasi[otel]`), or unset it.",
        ) from None
    exporter = OTLPSpanExporter(f"{settings.traces.rstrip('/')}/v1/traces")
    _provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
    _provider.add_span_processor(BatchSpanProcessor(exporter))
    _flush_at_exit(_provider.force_flush, exporter.shutdown)
    _tracer = _provider.get_tracer("pumasi")


def _flush_at_exit(flush: Callable[[], object], give_up: Callable[[], object]) -> None:
    """OpenTelemetry's own would hold up the end for half a minute, where the receiver is away. At the exit no thread can be started."""
    ending, flushed = threading.Event(), threading.Event()

    def wait_and_flush() -> None:
        ending.wait()
        flush()
        flushed.set()

    def end() -> None:
        ending.set()
        if not flushed.wait(_FLUSH_SECONDS):
            give_up()

    threading.Thread(target=wait_and_flush, daemon=True).start()
    atexit.register(end)


def is_on() -> bool:
    """Whether this process traces."""
    return _tracer is not None


def middlewares() -> Sequence[Any]:
    """FastStream's own, around every handler of a broker: a span for each poll that brought something."""
    if _provider is None:
        return ()
    from faststream.kafka.opentelemetry import KafkaTelemetryMiddleware

    return (KafkaTelemetryMiddleware(tracer_provider=_provider),)


class Step:
    """A step under way, or nothing where nobody traces.

    Attributes:
        traceparent: the header for what comes of it; None if it is not among those that are traced.
    """

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: Span | None = None) -> None:
        self._span = span
        self.traceparent: bytes | None = None
        if span is not None and (place := span.get_span_context()).trace_flags.sampled:
            self.traceparent = f"00-{place.trace_id:032x}-{place.span_id:016x}-01".encode()

    def tell(self, **attributes: str | int) -> None:
        """Say more of it; `__` in a name is a full stop."""
        if self._span is not None:
            self._span.set_attributes(_named(attributes))

    def end(self, error: BaseException | None = None) -> None:
        """It is over, and has failed if there is an error."""
        if self._span is None:
            return
        if error is not None:
            from opentelemetry.trace import StatusCode

            self._span.set_attribute(
                "error.type", error.code if isinstance(error, PumasiError) else type(error).__qualname__
            )
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


def begun(name: str, kind: Kind = "INTERNAL", *, linked: bool = False, **attributes: str | int) -> Step:
    """Begin a step, part of the one that goes on here; to be ended.

    Args:
        name: of few kinds, such as `publish pumasi.pledge.made`.
        kind: OpenTelemetry's.
        linked: it begins a trace of its own, linked to what goes on here.
        attributes: as `Step.tell` has them.
    """
    if _tracer is None:
        return Step()
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, get_current_span

    here = get_current_span().get_span_context()
    links = [Link(here)] if linked and here.is_valid else []
    context = Context() if linked else None
    return Step(_tracer.start_span(name, context, SpanKind[kind], _named(attributes), links))


@contextmanager
def step(name: str, kind: Kind = "INTERNAL", **attributes: str | int) -> Iterator[Step]:
    """A step that goes on for as long as the block, which what is begun in it is part of."""
    one = begun(name, kind, linked=False, **attributes)
    with _ended(one):
        if one._span is None:
            yield one
            return
        from opentelemetry.trace import use_span

        with use_span(one._span, record_exception=False, set_status_on_exception=False):  # which would tell its words
            yield one


@contextmanager
def following(trace: bytes | None, name: str, kind: Kind = "INTERNAL", **attributes: str | int) -> Iterator[Step]:
    """A step that follows from a record with the header `traceparent`; of one without, nothing is told."""
    with _ended(Step() if _tracer is None or trace is None else _after(trace, name, kind, attributes)) as one:
        yield one


@contextmanager
def _ended(one: Step) -> Iterator[Step]:
    try:
        yield one
    except BaseException as error:
        one.end(error)
        raise
    one.end()


def tell(trace: bytes, name: str, kind: Kind, began_ns: int, **attributes: str | int) -> None:
    """Tell of a step that follows from a record, and is over now.

    Args:
        name, kind, attributes: as `begun` has them.
        began_ns: when it began, as `time.time_ns` has it.
    """
    _after(trace, name, kind, attributes, began_ns).end()


def _after(trace: bytes, name: str, kind: Kind, attributes: dict[str, str | int], began_ns: int | None = None) -> Step:
    from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context

    assert _tracer is not None, "asked before"
    _version, whole, former, _flags = trace.split(b"-")
    before = SpanContext(int(whole, 16), int(former, 16), True, TraceFlags(TraceFlags.SAMPLED))
    context = set_span_in_context(NonRecordingSpan(before))
    return Step(
        _tracer.start_span(name, context, SpanKind[kind], _named(attributes), start_time=began_ns or time.time_ns())
    )


def _named(attributes: dict[str, str | int]) -> dict[str, str | int]:
    return {name.replace("__", "."): value for name, value in attributes.items()}
