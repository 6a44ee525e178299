"""The spans of a batch that the meter has stored. Pure; used only while traces are on."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Final

from meter.plan import AppendPlan
from meter.runtime.tracing import SPANS_TOGETHER, Span, TraceParent, find_traceparent, header_traceparent
from schemas.records import Accepted, Outcome, Record, Rejected, Remarked

STORE: Final = "store"
# Of a rejected record the attributes stand at the beginning, if they can be found at all.
LOOK_BYTES: Final = 8192
LOGGED: Final = 8


def carry_headers(records: Sequence[Record], outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes, with the `traceparent` that instrumentation put into a record's headers among the attributes of its
    event, where the event has none: the log keeps attributes and no headers, and who folds it reads the log alone."""
    return [carry_header(record, outcome) for record, outcome in zip(records, outcomes, strict=True)]


def carry_header(record: Record, outcome: Outcome) -> Outcome:
    parent = header_traceparent(record.headers) if record.headers else None
    if parent is None:
        return outcome
    if isinstance(outcome, Remarked):
        return outcome._replace(event=with_parent(outcome.event, parent))
    return with_parent(outcome, parent) if isinstance(outcome, Accepted) else outcome


def with_parent(event: Accepted, parent: TraceParent) -> Accepted:
    if event.extensions is None:
        return event._replace(extensions=f'{{"traceparent":"{parent}"}}')
    if '"traceparent"' in event.extensions:
        return event
    return event._replace(extensions=f'{event.extensions.rstrip()[:-1]},"traceparent":"{parent}"}}')


def batch_spans(plan: AppendPlan, ended: datetime) -> list[Span]:
    """One for each producer's span that events of the batch name, up to SPANS_TOGETHER. What is refused comes first: it
    is what a producer looks for."""
    stored = chain(plan.rows, plan.corrections)
    return [
        *(refusal_span(plan, rejected, parent, ended) for rejected, parent in traced_refusals(plan.rejections)),
        *(stored_span(plan, event, parent, ended) for event, parent in traced_events(stored)),
    ][:SPANS_TOGETHER]


def traced_events(rows: Iterable[Accepted]) -> Iterator[tuple[Accepted, TraceParent]]:
    seen: set[TraceParent] = set()
    for row in rows:
        if row.extensions is None or (parent := find_traceparent(row.extensions)) is None or parent in seen:
            continue
        seen.add(parent)
        yield row, parent
        if len(seen) == SPANS_TOGETHER:
            return


def traced_refusals(rejections: Sequence[Rejected]) -> Iterator[tuple[Rejected, TraceParent]]:
    for rejected in rejections[:SPANS_TOGETHER]:
        parent = parent_of(rejected.record)
        if parent is not None:
            yield rejected, parent


def parent_of(record: Record) -> TraceParent | None:
    """Of a record that may be no event at all."""
    return header_traceparent(record.headers) or find_traceparent((record.value or b"")[:LOOK_BYTES].decode("latin-1"))


def stored_span(plan: AppendPlan, event: Accepted, parent: TraceParent, ended: datetime) -> Span:
    return make_span(plan, event.topic, event.offset, parent, ended)


def refusal_span(plan: AppendPlan, rejected: Rejected, parent: TraceParent, ended: datetime) -> Span:
    record = rejected.record
    return make_span(plan, record.topic, record.offset, parent, ended, failed=rejected.reason.value)


def make_span(
    plan: AppendPlan, topic: str, offset: int, parent: TraceParent, ended: datetime, failed: str | None = None
) -> Span:
    """Without account and content: who follows a trace sees where the event is, and may read it there if they may."""
    place: dict[str, str | int] = {
        "messaging.destination.name": topic,
        "messaging.destination.partition.id": str(plan.shard),
        "messaging.kafka.offset": offset,
    }
    return Span(STORE, parent, plan.recorded_at, ended, "consumer", attributes=place, failed=failed)
