"""Times in letters: in the account's own zone, without two readings."""

from datetime import UTC, datetime

import pytest

from notifier.moments import show_moment

NOON = datetime(2026, 3, 5, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        (None, "5 March 2026, 12:30 UTC"),
        ("UTC", "5 March 2026, 12:30 UTC"),
        ("Europe/Berlin", "5 March 2026, 13:30 (Europe/Berlin, UTC+1)"),
        ("Asia/Kathmandu", "5 March 2026, 18:15 (Asia/Kathmandu, UTC+5:45)"),
        ("America/St_Johns", "5 March 2026, 09:00 (America/St_Johns, UTC-3:30)"),
        ("Pacific/Kiritimati", "6 March 2026, 02:30 (Pacific/Kiritimati, UTC+14)"),
        ("Nowhere/Land", "5 March 2026, 12:30 UTC"),
        ("Europe", "5 March 2026, 12:30 UTC"),
        ("../etc/passwd", "5 March 2026, 12:30 UTC"),
    ],
)
def test_the_zone_stands_beside_the_clock(zone: str | None, text: str) -> None:
    assert show_moment(NOON, zone) == text


def test_the_hour_that_comes_twice_is_told_apart() -> None:
    hours = [show_moment(datetime(2026, 10, 25, hour, 30, tzinfo=UTC), "Europe/Berlin") for hour in (0, 1)]
    assert hours == [f"25 October 2026, 02:30 (Europe/Berlin, UTC+{offset})" for offset in (2, 1)]


def test_no_time_is_no_text() -> None:
    assert show_moment(None) is None
