"""RFC 3339 times, always aware and UTC once read."""

import re
from datetime import UTC, datetime
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
    """RFC 3339 text in UTC with microseconds. Raises ValueError for a naive time."""
    if moment.utcoffset() is None:
        raise ValueError("a time without offset")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
