"""Which spans a batch makes, and what of a record's headers comes into the log."""

import json
from datetime import timedelta

import pytest

from meter.runtime.tracing import SPANS_TOGETHER, TraceParent
from meter.tracing import batch_spans, carry_headers
from schemas.parsing.parse import parse_all
from schemas.reasons import Reason
from schemas.records import Accepted, Limits, Rejected, Remark, Remarked
from schemas.topics import USAGE
from tests.contract.rows import MOMENT, plan, usage
from tests.support.builders import NOON, STRUCTURED, encode, model_inference, record

PARENT = TraceParent(0xABC, 0x123)
LATER = MOMENT + timedelta(seconds=1)


def traced(offset: int, parent: TraceParent | str, **more: str) -> Accepted:
    return usage(offset, extensions=json.dumps({"traceparent": str(parent), **more}))


def test_a_stored_event_continues_its_producers_span() -> None:
    [span] = batch_spans(plan(usage(0), traced(1, PARENT), usage(2, extensions='{"tenant":"x"}')), LATER)
    assert (span.name, span.parent, span.failed) == ("store", PARENT, None)
    assert (span.started, span.ended) == (MOMENT, LATER)
    assert span.attributes["messaging.kafka.offset"] == 1


def test_events_of_one_producers_span_make_one() -> None:
    assert len(batch_spans(plan(*(traced(offset, PARENT) for offset in range(10))), LATER)) == 1


def test_thousands_of_traces_in_a_batch_make_a_bounded_number_of_spans() -> None:
    rows = [traced(offset, TraceParent(offset + 1, 1)) for offset in range(5_000)]
    assert len(batch_spans(plan(*rows), LATER)) == SPANS_TOGETHER


def test_what_is_refused_says_so_in_the_producers_trace_and_comes_first() -> None:
    bad = record(encode(model_inference("-1", traceparent=str(PARENT))), 1)
    [refused] = parse_all([bad], NOON, Limits(partitions=3))
    assert isinstance(refused, Rejected)
    rows = [traced(offset, TraceParent(offset + 7, 1)) for offset in range(100)]
    spans = batch_spans(plan(*rows, refused), LATER)
    assert (spans[0].parent, spans[0].failed) == (PARENT, Reason.INVALID_AMOUNT.value)
    assert len(spans) == SPANS_TOGETHER


@pytest.mark.parametrize("hostile", ["x" * 10_000, "99-zz", f"ff-{'a' * 32}-{'b' * 16}-01", "\u2028", "00-" * 3_000])
def test_a_hostile_traceparent_is_kept_as_sent_and_makes_no_span(hostile: str) -> None:
    sent = record(model_inference(traceparent=hostile))
    [event] = parse_all([sent], NOON, Limits(partitions=3))
    assert isinstance(event, Accepted) and json.loads(event.extensions or "") == {"traceparent": hostile}
    assert batch_spans(plan(event._replace(topic=USAGE)), LATER) == []


@pytest.mark.parametrize("value", [17, True, {"a": 1}])
def test_a_traceparent_that_is_no_text_stops_nothing(value: object) -> None:
    outcomes = parse_all([record(model_inference(traceparent=value))], NOON, Limits(partitions=3))
    assert batch_spans(plan(*outcomes), LATER) == []


def test_what_instrumentation_put_into_the_headers_becomes_an_attribute() -> None:
    headers = (*STRUCTURED, ("traceparent", str(PARENT).encode()))
    records = [record(model_inference(), headers=headers), record(model_inference(tenant="x"), headers=headers)]
    first, second = carry_headers(records, parse_all(records, NOON, Limits(partitions=3)))
    assert isinstance(first, Accepted) and json.loads(first.extensions or "") == {"traceparent": str(PARENT)}
    assert isinstance(second, Accepted)
    assert json.loads(second.extensions or "") == {"tenant": "x", "traceparent": str(PARENT)}
    assert len(batch_spans(plan(first, second), LATER)) == 1


def test_an_attribute_of_the_event_wins_over_a_header() -> None:
    other = str(TraceParent(1, 1))
    sent = record(model_inference(traceparent=other), headers=(*STRUCTURED, ("traceparent", str(PARENT).encode())))
    [event] = carry_headers([sent], parse_all([sent], NOON, Limits(partitions=3)))
    assert isinstance(event, Accepted) and json.loads(event.extensions or "") == {"traceparent": other}


def test_a_header_changes_neither_identity_nor_content() -> None:
    sent = record(model_inference(), headers=(*STRUCTURED, ("traceparent", str(PARENT).encode())))
    [plain] = parse_all([sent], NOON, Limits(partitions=3))
    [event] = carry_headers([sent], [plain])
    assert isinstance(event, Accepted) and isinstance(plain, Accepted)
    assert event._replace(extensions=None) == plain
    [remarked] = carry_headers([sent], [Remarked(plain, (Remark("status", "why"),))])
    assert isinstance(remarked, Remarked) and remarked.event == event
    refused = Rejected(sent, Reason.NOT_JSON, "why")
    assert carry_headers([sent], [refused]) == [refused]
