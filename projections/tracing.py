"""From the traces that producers asked for to the messages and spans of a fold. Pure; used only while traces are on."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from meter.runtime.tracing import SPANS_TOGETHER, Span, TraceParent

FOLD: Final = "fold"
Causes = Mapping[str, Sequence["TracedEvent"]]  # by account, in the order of positions


class TracedEvent(NamedTuple):
    """An event of the log whose producer wants to see what becomes of it. `resource` is None for one of an account."""

    shard: int
    position: int
    account_id: str
    resource: int | None
    recorded_at: datetime
    parent: TraceParent


def by_account(events: Iterable[TracedEvent]) -> Causes:
    found: dict[str, list[TracedEvent]] = {}
    for event in events:
        found.setdefault(event.account_id, []).append(event)
    return found


def cause_of(causes: Causes, account_id: str, position: int, resource: int | None = None) -> TraceParent | None:
    """Of a message that tells the state at a position: the newest event that it may follow from."""
    for event in reversed(causes.get(account_id, ())):
        if event.position <= position and (resource is None or event.resource in (None, resource)):
            return event.parent
    return None


def fold_spans(causes: Causes, ended: datetime) -> list[Span]:
    """One for each producer's span, from the moment at which the event was stored. The last of an account's events has
    links to the others: what is told of the account follows from all of them."""
    spans = [span for events in causes.values() for span in account_spans(events, ended)]
    return spans[:SPANS_TOGETHER]


def account_spans(events: Sequence[TracedEvent], ended: datetime) -> list[Span]:
    newest = {event.parent: event for event in events}
    last = events[-1].parent
    others = tuple(parent for parent in newest if parent != last)[-SPANS_TOGETHER:]
    return [fold_span(event, ended, others if parent == last else ()) for parent, event in newest.items()]


def fold_span(event: TracedEvent, ended: datetime, links: Sequence[TraceParent]) -> Span:
    place: dict[str, str | int] = {"metering.shard": event.shard, "metering.position": event.position}
    return Span(FOLD, event.parent, event.recorded_at, ended, links=links, attributes=place)
