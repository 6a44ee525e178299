"""Times that people ask for: presets and dates in the account's own zone, as instants. Pure, given the time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Final, Literal
from zoneinfo import ZoneInfo

Unit = Literal["hour", "day"]
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
YEAR_DAYS: Final = 366
DEFAULT: Final = "7d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From an instant to another, and the days of the zone it touches. `first` and `last` are included."""

    name: str
    start: datetime
    end: datetime
    first: date
    last: date
    unit: Unit
    zone: ZoneInfo
    counted: bool = True  # whether the account's days are added up in this zone

    @property
    def whole_days(self) -> bool:
        """Whether it begins and ends with days as they are added up, so that sums by day answer it."""
        return self.unit == "day" and self.counted

    def points(self) -> list[datetime]:
        """When each hour or day begins, in the zone. A day has 23 to 25 hours where clocks change."""
        if self.unit == "hour":
            count = -((self.start - self.end) // HOUR)
            return [(self.start + n * HOUR).astimezone(self.zone) for n in range(count)]
        return [midnight(self.first + n * DAY, self.zone) for n in range((self.last - self.first).days + 1)]


class PeriodError(ValueError):
    """The period asked for is none; the message follows "That period cannot be shown: "."""


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The beginning of a day in its zone: the first instant that has this date, also where clocks skip midnight."""
    wall = datetime(day.year, day.month, day.day, tzinfo=zone)
    return wall.astimezone(UTC).astimezone(zone)


def find_zone(name: str | None, default: str) -> ZoneInfo:
    """The account's own, or that of the installation; a name that this machine does not know is UTC."""
    try:
        return ZoneInfo(name or default)
    except (ValueError, OSError, LookupError):
        return ZoneInfo("UTC")


def is_counted(name: str | None, zone: ZoneInfo) -> bool:
    """Whether the days of an account with this zone of its own (None: UTC) are added up in the zone that is shown."""
    return zone.key == (name or "UTC")


def in_zone(at: datetime | None, zone: ZoneInfo) -> datetime | None:
    return None if at is None else at.astimezone(zone)


def period_of(name: str, now: datetime, zone: ZoneInfo, first: str = "", last: str = "") -> Period:
    """Raises PeriodError. A preset by name, or "custom" with ISO dates; one date is a day by the hour."""
    today = now.astimezone(zone).date()
    if name == "24h":
        end = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + HOUR
        start = end - 24 * HOUR
        return Period(
            name=name, start=start, end=end, first=start.astimezone(zone).date(), last=today, unit="hour", zone=zone
        )
    if name == "custom":
        return days(name, *custom_days(first, last, today), today, zone)
    if name not in PRESETS:
        raise PeriodError(f"there is no period {name[:20]!r}: take one of {', '.join(PRESETS)}, 24h or custom")
    return days(name, *PRESETS[name](today), today, zone)


def days(name: str, first: date, last: date, today: date, zone: ZoneInfo) -> Period:
    last = min(last, today)
    return Period(
        name=name,
        start=midnight(first, zone).astimezone(UTC),
        end=midnight(last + DAY, zone).astimezone(UTC),
        first=first,
        last=last,
        unit="hour" if first == last else "day",
        zone=zone,
    )


def custom_days(first: str, last: str, today: date) -> tuple[date, date]:
    start = read_day(first)
    end = read_day(last) if last else start
    if start > end:
        raise PeriodError("it ends before it begins")
    if start > today:
        raise PeriodError("it lies in the future")
    if start < today - YEAR_DAYS * DAY:
        raise PeriodError("it begins more than a year ago")
    return start, end


def read_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise PeriodError("a date is missing or is none: 2026-03-29 is one") from None


def back(count: int) -> Callable[[date], tuple[date, date]]:
    """This many days, today included."""
    return lambda today: (today - (count - 1) * DAY, today)


def this_month(today: date) -> tuple[date, date]:
    return today.replace(day=1), today


def last_month(today: date) -> tuple[date, date]:
    end = today.replace(day=1) - DAY
    return end.replace(day=1), end


def this_year(today: date) -> tuple[date, date]:
    return date(today.year, 1, 1), today


def last_year(today: date) -> tuple[date, date]:
    return date(today.year - 1, 1, 1), date(today.year - 1, 12, 31)


PRESETS: Final[Mapping[str, Callable[[date], tuple[date, date]]]] = MappingProxyType(
    {
        "7d": back(7), "30d": back(30), "90d": back(90), "this-month": this_month, "last-month": last_month,
        "this-year": this_year, "last-year": last_year,
    }
)  # fmt: skip
LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "24h": "24 hours", "7d": "7 days", "30d": "30 days", "90d": "90 days", "this-month": "This month",
        "last-month": "Last month", "this-year": "This year", "last-year": "Last year", "custom": "Custom",
    }
)  # fmt: skip
