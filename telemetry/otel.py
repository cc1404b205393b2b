"""Tracing by OpenTelemetry, sent by OTLP over HTTP. Imported only where an endpoint is set."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Thread
from typing import Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.util.types import Attributes

from telemetry.redaction import clean
from telemetry.spans import Fact, Span

CLOSE_WITHIN_S: Final = 2.0


class OtelSpan:
    """One of OpenTelemetry's spans."""

    def __init__(self, span: trace.Span) -> None:
        self.inner = span

    @property
    def trace_id(self) -> str:
        """Of its trace, 32 hexadecimal digits."""
        return _trace_id(self.inner)

    def name_it(self, name: str, **facts: Fact) -> None:
        """Give it its final name, and say more of it."""
        self.inner.update_name(name)
        self.inner.set_attributes(facts)

    def fail(self, why: str) -> None:
        """Mark it as failed."""
        self.inner.set_status(Status(StatusCode.ERROR, why))

    def end(self, at_ns: int | None = None) -> None:
        """End it, now or at a wall clock's time."""
        self.inner.end(at_ns)


class OtelTracing:
    """Spans of one process."""

    def __init__(self, service: str, instance: str, exporter: SpanExporter) -> None:
        """`service` and `instance` are said of each span; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES go before."""
        ours = Resource({"service.name": service, "service.instance.id": instance})
        self.provider = TracerProvider(resource=ours.merge(_given(Resource.create())))
        self.provider.add_span_processor(BatchSpanProcessor(Redacting(exporter)))
        self.tracer = self.provider.get_tracer("greenroom")

    @contextmanager
    def serving(self, name: str, headers: Mapping[str, str]) -> Iterator[Span]:
        """The span of a request, current inside; the child of what its `traceparent` says."""
        with self.tracer.start_as_current_span(name, extract(headers), kind=SpanKind.SERVER) as span:
            yield OtelSpan(span)

    def trace_id(self) -> str:
        """Of the span that is current here; empty where none is."""
        return _trace_id(trace.get_current_span())

    def begin(
        self, name: str, facts: Mapping[str, Fact], *, within: Span | None = None, began_ns: int | None = None
    ) -> Span:
        """A span below another, or below the one that is current here."""
        context = trace.set_span_in_context(within.inner) if isinstance(within, OtelSpan) else None
        return OtelSpan(self.tracer.start_span(name, context, start_time=began_ns, attributes=facts))

    def close(self) -> None:
        """Send what is left, for two seconds at most: a collector that is away must hold no process up."""
        closing = Thread(target=self.provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_WITHIN_S)


def otlp_tracing(service: str, instance: str) -> OtelTracing:
    """Spans to the endpoint, with the headers and time limits, that the standard OTEL_ variables name."""
    return OtelTracing(service, instance, OTLPSpanExporter())


class Redacting(SpanExporter):
    """Takes what looks like a secret out of every text of a span: an exception's message may quote one."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand on cleaned copies."""
        return self._inner.export([_cleaned(span) for span in spans])

    def shutdown(self) -> None:
        """Shut the other down."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the other."""
        return self._inner.force_flush(timeout_millis)


def _cleaned(span: ReadableSpan) -> ReadableSpan:
    status = Status(span.status.status_code, clean(span.status.description or "") or None)
    return ReadableSpan(
        name=clean(span.name),
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=_clean_attributes(span.attributes),
        events=[Event(one.name, _clean_attributes(one.attributes), one.timestamp) for one in span.events],
        links=span.links,
        kind=span.kind,
        status=status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _clean_attributes(attributes: Attributes) -> Attributes:
    return {key: clean(value) if isinstance(value, str) else value for key, value in (attributes or {}).items()}


def _given(found: Resource) -> Resource:
    """What the environment says of this process, without the SDK's stand-in for a name."""
    said = {key: value for key, value in found.attributes.items() if not str(value).startswith("unknown_service")}
    return Resource(said)


def _trace_id(span: trace.Span) -> str:
    context = span.get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ""
