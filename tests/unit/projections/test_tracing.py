"""What of producers' traces a fold passes on, and the spans it makes."""

import json
from datetime import UTC, datetime, timedelta

from meter.runtime.tracing import SPANS_TOGETHER, TraceParent
from projections.messages import render_balance
from projections.tracing import TracedEvent, by_account, cause_of, fold_spans
from tests.unit.projections.test_messages import balance

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
A, B, C = (TraceParent(number, number) for number in (1, 2, 3))
CREDITS, RUNS = 1, 2


def event(position: int, parent: TraceParent, account: str = "acct-1", resource: int | None = CREDITS) -> TracedEvent:
    return TracedEvent(0, position, account, resource, NOON, parent)


def test_a_message_follows_from_the_newest_event_it_may_follow_from() -> None:
    causes = by_account([event(3, A), event(5, B), event(6, C, resource=RUNS), event(9, C)])
    assert cause_of(causes, "acct-1", 7, CREDITS) == B
    assert cause_of(causes, "acct-1", 7, RUNS) == C
    assert cause_of(causes, "acct-1", 4) == A
    assert cause_of(causes, "acct-1", 2) is None and cause_of(causes, "acct-2", 7) is None


def test_what_happens_to_an_account_moves_both_balances() -> None:
    assert cause_of(by_account([event(3, A, resource=None)]), "acct-1", 3, RUNS) == A


def test_a_message_carries_it_as_an_attribute_and_else_has_the_same_bytes() -> None:
    plain, traced = (json.loads(render_balance(balance("60", 75), 1, parent).value) for parent in (None, A))
    assert traced.pop("traceparent") == str(A) and traced == plain


def test_a_fold_makes_a_span_of_each_trace_and_links_what_one_change_follows_from() -> None:
    spans = fold_spans(
        by_account([event(1, A), event(2, B), event(3, A, account="acct-2")]), NOON + timedelta(seconds=1)
    )
    assert [(span.name, span.parent, tuple(span.links)) for span in spans] == [
        ("fold", A, ()), ("fold", B, (A,)), ("fold", A, ()),
    ]  # fmt: skip
    assert spans[1].attributes == {"metering.shard": 0, "metering.position": 2}


def test_spans_and_links_of_a_fold_are_bounded() -> None:
    events = [event(position, TraceParent(position, 1)) for position in range(1, 5_000)]
    spans = fold_spans(by_account(events), NOON)
    assert len(spans) == SPANS_TOGETHER and max(len(span.links) for span in spans) <= SPANS_TOGETHER
