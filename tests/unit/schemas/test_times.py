from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.times import format_time, parse_time, say_beyond, say_span, say_time

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31t12:00:00z", NOON),
        ("2026-01-31T14:00:00+02:00", NOON),
        ("2026-01-31T12:00:00-00:00", NOON),
        ("2026-01-31T12:00:00.5Z", NOON + timedelta(milliseconds=500)),
        ("2026-01-31T12:00:00.123456789Z", NOON + timedelta(microseconds=123_456)),
    ],
)
def test_rfc_3339_is_read(text: str, moment: datetime) -> None:
    read = parse_time(text)
    assert read == moment
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "", "2026-01-31", "2026-01-31T12:00:00", "2026-01-31 12:00:00Z", "2026-01-31T12:00Z", "20260131T120000Z",
        "2026-W05-6T12:00:00Z", "2026-13-01T12:00:00Z", "2026-02-30T12:00:00Z", "2026-01-31T24:00:01Z",
        "2026-01-31T12:00:60Z", "2026-01-31T12:00:00,5Z", "2026-01-31T12:00:00.Z", "2026-01-31T12:00:00+2:00",
        "2026-01-31T12:00:00+25:00", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00Z",
        "2026-01-31T12:00:00Z\n", "٢٠٢٦-01-31T12:00:00Z", "1772000000", "2026-01-31T12:00:00ZZ",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_survive_text(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment


def test_times_are_written_in_utc() -> None:
    assert format_time(NOON.astimezone(timezone(timedelta(hours=2)))) == "2026-01-31T12:00:00.000000Z"
    with pytest.raises(ValueError, match="without offset"):
        format_time(datetime(2026, 1, 31))


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(0), "0 s"),
        (timedelta(seconds=59, milliseconds=900), "59 s"),
        (timedelta(hours=1), "1 h"),
        (timedelta(hours=2, minutes=5, seconds=9), "2 h 5 min"),
        (timedelta(days=1, minutes=7), "1 day"),
        (timedelta(days=400, hours=3), "400 days 3 h"),
    ],
)
def test_a_span_has_its_units(span: timedelta, said: str) -> None:
    assert say_span(span) == said


def test_what_is_just_beyond_a_limit_does_not_look_like_the_limit() -> None:
    hour = timedelta(hours=1)
    assert say_beyond(hour + timedelta(milliseconds=1), hour) == "a little over 1 h"
    assert say_beyond(2 * hour, hour) == "2 h"


def test_a_time_for_people_is_in_utc() -> None:
    assert say_time(datetime(2026, 11, 27, 3, 10, 59, tzinfo=timezone(timedelta(hours=1)))) == "2026-11-27 02:10:59 UTC"
