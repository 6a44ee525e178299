"""Traces: what a producer's `traceparent` asks for. Import the port from here; only `otlp` touches OpenTelemetry."""

from meter.runtime.tracing.opening import open_traces
from meter.runtime.tracing.port import NO_TRACES, SPANS_TOGETHER, NoTraces, Span, Traces
from meter.runtime.tracing.traceparent import (
    ATTRIBUTE,
    TraceParent,
    find_traceparent,
    header_traceparent,
    read_traceparent,
)

__all__ = [
    "ATTRIBUTE",
    "NO_TRACES",
    "SPANS_TOGETHER",
    "NoTraces",
    "Span",
    "TraceParent",
    "Traces",
    "find_traceparent",
    "header_traceparent",
    "open_traces",
    "read_traceparent",
]
