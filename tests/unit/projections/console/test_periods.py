"""Periods in the account's own zone: days of 23, 24 and 25 hours, quarter-hour zones, never the future."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from projections.console.periods import LABELS, PRESETS, PeriodError, midnight, period_of

NOW = datetime(2026, 11, 26, 9, 20, tzinfo=UTC)
BERLIN, KATHMANDU, LORD_HOWE = (ZoneInfo(name) for name in ("Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"))


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("7d", date(2026, 11, 20), date(2026, 11, 26)),
        ("30d", date(2026, 10, 28), date(2026, 11, 26)),
        ("90d", date(2026, 8, 29), date(2026, 11, 26)),
        ("this-month", date(2026, 11, 1), date(2026, 11, 26)),
        ("last-month", date(2026, 10, 1), date(2026, 10, 31)),
        ("this-year", date(2026, 1, 1), date(2026, 11, 26)),
        ("last-year", date(2025, 1, 1), date(2025, 12, 31)),
    ],
)
def test_presets_are_days_of_the_zone(name: str, first: date, last: date) -> None:
    period = period_of(name, NOW, BERLIN)
    assert (period.first, period.last, period.unit) == (first, last, "day")
    assert len(period.points()) == (last - first).days + 1
    assert period.points()[0] == midnight(first, BERLIN)


def test_every_preset_has_a_label() -> None:
    assert LABELS.keys() == {"24h", "custom", *PRESETS}


def test_24_hours_end_with_the_present_hour() -> None:
    period = period_of("24h", NOW, BERLIN)
    assert (period.end, period.end - period.start) == (datetime(2026, 11, 26, 10, tzinfo=UTC), timedelta(hours=24))
    assert len(period.points()) == 24


@pytest.mark.parametrize(
    ("day", "zone", "hours", "offset"),
    [
        ("2026-03-29", BERLIN, 23, 0),
        ("2026-10-25", BERLIN, 25, 0),
        ("2026-11-24", BERLIN, 24, 0),
        ("2026-11-24", KATHMANDU, 24, 15),
        ("2026-10-04", LORD_HOWE, 24, 30),
    ],
)
def test_a_day_by_the_hour_is_as_long_as_it_is_there(day: str, zone: ZoneInfo, hours: int, offset: int) -> None:
    period = period_of("custom", NOW, zone, day)
    points = period.points()
    assert period.unit == "hour"
    assert len(points) == hours
    assert points[0].isoformat().startswith(f"{day}T00:00")
    assert period.start.minute == offset
    assert all(point.astimezone(zone).date() == date.fromisoformat(day) for point in points)


def test_where_clocks_skip_midnight_the_day_begins_at_its_first_instant() -> None:
    cairo = ZoneInfo("Africa/Cairo")  # on 2026-04-24 clocks go from 00:00 to 01:00
    assert midnight(date(2026, 4, 24), cairo).hour == 1
    assert len(period_of("custom", NOW, cairo, "2026-04-24").points()) == 23


def test_the_day_is_the_zones_own() -> None:
    late = datetime(2026, 11, 26, 20, tzinfo=UTC)
    assert period_of("7d", late, KATHMANDU).last == date(2026, 11, 27)
    assert period_of("7d", late, BERLIN).last == date(2026, 11, 26)


def test_a_range_may_reach_into_the_present_and_is_cut_there() -> None:
    assert period_of("custom", NOW, BERLIN, "2026-11-20", "2027-01-01").last == date(2026, 11, 26)


@pytest.mark.parametrize(
    ("first", "last", "fault"),
    [
        ("", "", "a date is missing"),
        ("2026-13-01", "", "a date is missing"),
        ("x" * 10_000, "", "a date is missing"),
        ("2026-11-27", "", "future"),
        ("2025-11-01", "2025-12-01", "more than a year"),
        ("2026-11-20", "2026-11-10", "ends before"),
    ],
)
def test_what_cannot_be_shown_is_said(first: str, last: str, fault: str) -> None:
    with pytest.raises(PeriodError, match=fault):
        period_of("custom", NOW, BERLIN, first, last)


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(PeriodError, match="no period 'forever'"):
        period_of("forever", NOW, BERLIN)
