"""RFC 3339 times, always aware and UTC once read."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

# Fractions beyond microseconds (Go, Rust, Java send nanoseconds) are cut: Postgres keeps microseconds.
TIME_PATTERN: Final = (
    "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(?:\.[0-9]{1,18})?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_RFC3339: Final = re.compile(TIME_PATTERN)


def parse_time(text: str) -> datetime:
    """UTC of an RFC 3339 date and time with offset. Raises ValueError."""
    if not _RFC3339.fullmatch(text):
        raise ValueError("not an RFC 3339 date and time with offset")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError:
        raise ValueError("outside the years 1 to 9999") from None


def format_time(moment: datetime) -> str:
    """RFC 3339 text in UTC with microseconds. Raises ValueError for what is no datetime, and for a naive one."""
    if not isinstance(moment, datetime):
        # As of a time without offset: whoever writes events tells both alike.
        raise ValueError(f"{type(moment).__name__} is no time: give a datetime with its offset")  # noqa: TRY004
    if moment.utcoffset() is None:
        raise ValueError("a time without offset")
    try:
        return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
    except OverflowError:
        raise ValueError("outside the years 1 to 9999") from None


def say_time(moment: datetime) -> str:
    """For people, by the second and with its zone, wherever a time is shown: 2026-11-27 02:10:59 UTC. Programs get
    RFC 3339."""
    return f"{moment.astimezone(UTC).isoformat(' ', 'seconds')[:19]} UTC"


def say_span(span: timedelta) -> str:
    """For people, with units and not negative: 400 days; 1 h 5 min; 3 s. The two largest units, rounded down."""
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    counted = [(days, "day" if days == 1 else "days"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next((at for at, (number, _) in enumerate(counted) if number), len(counted) - 1)
    (number, unit), *smaller = counted[first : first + 2]
    return f"{number} {unit}" + "".join(f" {rest} {name}" for rest, name in smaller if rest)


def say_beyond(span: timedelta, most: timedelta) -> str:
    """`2 h 5 min`; of what is beyond a limit by less than this shows: `a little over 1 h`."""
    said = say_span(span)
    return f"a little over {said}" if said == say_span(most) else said
