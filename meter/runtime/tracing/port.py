"""What services say of their work to whoever collects traces. Nothing is collected unless a setting says where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, Protocol

from meter.runtime.tracing.traceparent import TraceParent

# Of one batch; thousands of events that each begin a trace of their own must not cost what a batch costs.
SPANS_TOGETHER: Final = 64

Kind = Literal["consumer", "internal", "client"]


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of work that is done. `parent` is the producer's span, `links` those of others that it served as well."""

    name: str
    parent: TraceParent
    started: datetime
    ended: datetime
    kind: Kind = "internal"
    links: Sequence[TraceParent] = ()
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    failed: str | None = None


class Traces(Protocol):
    on: bool

    def record(self, span: Span) -> None:
        """Hand it over; it is sent later, or dropped where the collector is away. Never waits, never raises."""
        ...

    def close(self) -> None:
        """Send what is left, within a bounded time."""
        ...


class NoTraces:
    on = False

    def record(self, span: Span) -> None: ...

    def close(self) -> None: ...


NO_TRACES: Final = NoTraces()
