"""Spans to a collector over OTLP (HTTP, protobuf), by OpenTelemetry's own SDK: the extra `traces`.

Every span is recorded when its work is done, as a child of the span that the producer was in: what a service writes for
the next one is the producer's `traceparent`, so its bytes are the same however often they are made.
"""

import threading
from datetime import datetime
from importlib.metadata import version
from types import MappingProxyType
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from meter.runtime.process.distribution import DISTRIBUTION
from meter.runtime.tracing.port import Span
from meter.runtime.tracing.traceparent import TraceParent

EXPORT_TIMEOUT_S: Final = 5
CLOSE_TIMEOUT_S: Final = 3
# While the collector is away the newest wait, and older ones are dropped.
MOST_WAITING: Final = 2048
PAUSE_MS: Final = 1000
KINDS: Final = MappingProxyType(
    {"consumer": SpanKind.CONSUMER, "internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT}
)


class OtlpTraces:
    on = True

    def __init__(self, service: str, endpoint: str, cafile: str | None) -> None:
        exporter = OTLPSpanExporter(endpoint, certificate_file=cafile, timeout=EXPORT_TIMEOUT_S)
        resource = Resource({"service.name": f"credit-{service}", "service.version": version(DISTRIBUTION)})
        # Producers have decided already what is sampled; the atexit hook would wait for a collector that is away.
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(
                exporter, max_queue_size=MOST_WAITING, schedule_delay_millis=PAUSE_MS,
                export_timeout_millis=EXPORT_TIMEOUT_S * 1000,
            )
        )  # fmt: skip
        self._tracer = self._provider.get_tracer(DISTRIBUTION)

    def record(self, span: Span) -> None:
        made = self._tracer.start_span(
            span.name,
            context=set_span_in_context(NonRecordingSpan(as_context(span.parent)), Context()),
            kind=KINDS[span.kind],
            attributes=dict(span.attributes),
            links=[Link(as_context(other)) for other in span.links],
            start_time=nanoseconds(span.started),
        )
        if span.failed is not None:
            made.set_status(Status(StatusCode.ERROR, span.failed))
        made.end(max(nanoseconds(span.started), nanoseconds(span.ended)))

    def close(self) -> None:
        """In a thread that nobody waits for any longer: a collector that is away must hold up no drain."""
        closing = threading.Thread(target=self._provider.shutdown, name="traces-close", daemon=True)
        closing.start()
        closing.join(CLOSE_TIMEOUT_S)


def as_context(parent: TraceParent) -> SpanContext:
    return SpanContext(parent.trace_id, parent.span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1000
