"""Times as people read them: in the account's own time zone, with the zone beside the clock. Pure.

The rules of a zone are the machine's own, or those of the package `tzdata`, read once.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


def show_moment(at: datetime | None, time_zone: str | None = None, *, weekday: bool = False) -> str | None:
    """`5 March 2026, 10:30 (Europe/Berlin, UTC+1)`; in UTC where the account has no zone, or one nobody knows.
    With `weekday`: `Thursday, 5 March 2026, 10:30 …`.
    """
    if at is None:
        return None
    zone = find_zone(time_zone)
    local = at.astimezone(zone)
    clock = f"{local:%A, %-d %B %Y, %H:%M}" if weekday else f"{local:%-d %B %Y, %H:%M}"
    return f"{clock} UTC" if zone is UTC else f"{clock} ({time_zone}, {show_offset(local)})"


def find_zone(name: str | None) -> tzinfo:
    """UTC for a name that this machine does not know: older events may have one of which only the form was checked."""
    if name is None or name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # also for a name that is a directory of zones
        return UTC


def show_offset(local: datetime) -> str:
    """UTC+1, UTC-3:30: it tells the two hours apart that one clock shows when daylight saving time ends."""
    minutes = (local.utcoffset() or timedelta()) // MINUTE
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02d}" if rest else "")
