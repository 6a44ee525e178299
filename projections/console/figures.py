"""Figures of usage for people: at most two decimals, cut off as those of a balance are (`schemas.figures`). Pure."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Final

from babel import Locale

LOCALE: Final = "en"
# Names from Babel once: to format a date with it takes longer than all else of a cell.
ENGLISH: Final = Locale.parse(LOCALE)
WEEKDAYS: Final = ENGLISH.days["format"]["abbreviated"]  # from Monday, which is 0
MONTHS: Final = ENGLISH.months["format"]["abbreviated"]  # from January, which is 1
CENT: Final = Decimal("0.01")
MINUS: Final = "\u2212"
UNITS: Final = {"model_credits": ("credit", "credits"), "tool_runs": ("run", "runs")}
NAMES: Final = {"model_credits": "Model credits", "tool_runs": "Tool runs"}


def show_amount(amount: Decimal) -> str:
    """1,234.5, cut off: a grant is the allocation that comes of it, and usage is what its balance has as used. "<0.01"
    for what is more than nothing and would be shown as nothing."""
    shown = amount.quantize(CENT, ROUND_DOWN)
    if shown == 0 and amount != 0:
        return "<0.01" if amount > 0 else "0"
    text = grouped(abs(shown)).rstrip("0").rstrip(".")
    return MINUS + text if shown < 0 else text


def show_cell(amount: Decimal) -> str:
    """In a column: always two decimals, so that points stand below each other; nothing is 0."""
    text = show_amount(amount)
    if amount == 0 or text.startswith("<"):
        return text
    whole, _, cents = text.partition(".")
    return f"{whole}.{cents.ljust(2, '0')}"


def grouped(number: Decimal | int) -> str:
    """With the decimals that it has. What Babel says in English (a test holds it), in a tenth of the time: a page of a
    year has thousands of figures."""
    return f"{number:,f}" if isinstance(number, Decimal) else f"{number:,}"


def show_percent(percent: Decimal) -> str:
    """Two decimals, as the balance has them."""
    return f"{grouped(percent.quantize(CENT, ROUND_HALF_EVEN))}\u00a0%"


def show_count(count: int) -> str:
    return grouped(count)


def show_share(part: Decimal, whole: Decimal) -> str:
    """The percent that a part is of the whole; nothing where there is no whole."""
    return show_percent((part * 100 / whole).quantize(CENT, ROUND_FLOOR)) if whole > 0 else ""


def show_moment(at: datetime) -> str:
    """Thu 5 Mar 2026, 14:00: of the zone that the time is in."""
    return f"{WEEKDAYS[at.weekday()]} {show_day(at)}, {show_time(at)}"


def show_time(at: datetime) -> str:
    return f"{at.hour:02d}:{at.minute:02d}"


def show_day(day: date) -> str:
    """5 Mar 2026; of a time the day in its zone."""
    return f"{show_day_of_month(day)} {day.year}"


def show_day_of_month(day: date) -> str:
    return f"{day.day} {MONTHS[day.month]}"


def show_month(day: date) -> str:
    return f"{MONTHS[day.month]} {day.year}"


def show_days(first: date, last: date) -> str:
    """28 Oct to 26 Nov 2026; the year twice where it is not the same."""
    if first == last:
        return show_day(last)
    start = show_day_of_month(first) if first.year == last.year else show_day(first)
    return f"{start} to {show_day(last)}"


def show_ago(age: timedelta) -> str:
    """In the largest unit that says enough: 2 s, 3 min, 5 h, 4 days."""
    seconds = max(0, int(age.total_seconds()))
    steps: Sequence[tuple[int, str]] = ((86_400, "day"), (3600, "h"), (60, "min"))
    for size, unit in steps:
        if seconds >= size:
            number = seconds // size
            return f"{number} {unit}{'s' if unit == 'day' and number > 1 else ''}"
    return f"{seconds} s"


def show_duration(seconds: Decimal | int) -> str:
    """Hours and minutes: 1:05 h."""
    minutes = int(seconds) // 60
    return f"{minutes // 60:,}:{minutes % 60:02d} h"


def by_share(part: Decimal, whole: Decimal) -> Decimal:
    return part * 100 / whole if whole > 0 else Decimal(0)
