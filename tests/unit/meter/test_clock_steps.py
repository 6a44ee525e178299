"""The meter's clock is wrong by an hour or a day: what becomes of an event, and of the same event afterwards."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from meter.bounds import Room
from projections.fold import Kind, Step, apply, empty_state
from schemas.build import encode_event
from schemas.parsing.parse import parse
from schemas.reasons import Reason
from schemas.records import Accepted, Limits, Outcome, Record, Rejected
from schemas.topics import USAGE

SENT = datetime(2026, 11, 26, 12, tzinfo=UTC)
LIMITS = Limits(partitions=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
VALUE = encode_event(
    "usage.tool_run.v1",
    "acct-1",
    {"tool": "search"},
    event_id="0193a1f2-7c00-7000-8000-000000000001",
    time=SENT,
    source="//agents.example.com",
)


def read_at(now: datetime, value: bytes = VALUE) -> Outcome:
    headers = (("content-type", b"application/cloudevents+json"),)
    record = Record(USAGE, 0, 0, int(SENT.timestamp() * 1000), b"acct-1", value, headers)
    return parse(record, now, LIMITS)


@pytest.mark.parametrize("step", [-HOUR, timedelta(0), DAY])
def test_an_hour_back_and_a_day_forward_an_event_is_the_same_event(step: timedelta) -> None:
    right, found = read_at(SENT), read_at(SENT + step)
    assert isinstance(right, Accepted) and isinstance(found, Accepted)
    assert (found.key, found.occurred_at) == (right.key, SENT)


def test_beyond_the_limit_it_is_rejected_with_its_bytes_and_good_once_the_clock_is_right() -> None:
    refused = read_at(SENT - HOUR - timedelta(seconds=1))
    assert isinstance(refused, Rejected) and refused.reason is Reason.TIME_AHEAD
    assert refused.record.value == VALUE, "so it can be replayed"
    assert isinstance(read_at(SENT), Accepted)


@pytest.mark.parametrize("step", [-HOUR, timedelta(0), DAY])
def test_an_event_without_a_time_has_that_of_its_record_whatever_the_meters_clock_says(step: timedelta) -> None:
    envelope = json.loads(VALUE)
    del envelope["time"]
    found = read_at(SENT + step, json.dumps(envelope).encode())
    assert isinstance(found, Accepted) and found.occurred_at == SENT


@pytest.mark.parametrize("step", [-HOUR, DAY])
def test_the_order_of_the_log_is_that_of_positions(step: timedelta) -> None:
    """A step between two batches: balances are the same, and "as of" never goes back."""
    first = apply(empty_state("acct-1", 1, 0, SENT), Step(Kind.GRANT, 100, 1, SENT))
    second = apply(first, Step(Kind.USAGE, 40, 2, SENT + step))
    right = apply(first, Step(Kind.USAGE, 40, 2, SENT))
    assert second._replace(as_of=right.as_of) == right
    assert second.as_of == max(SENT, SENT + step)


@pytest.mark.parametrize(("step", "left"), [(-HOUR, 200), (DAY, 1000)])
def test_room_for_evidence_is_never_below_what_is_left_nor_above_all(step: timedelta, left: int) -> None:
    room = Room(1000)
    room.use(0, 800, SENT)
    assert room.left(0, SENT + step) == left
    assert room.left(0, SENT + timedelta(minutes=1)) == 1000
