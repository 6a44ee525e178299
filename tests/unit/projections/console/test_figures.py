"""Figures and dates are what Babel makes of them; ours take a tenth of the time."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_DOWN, Decimal

import pytest
from babel.dates import format_date, format_datetime, format_time
from babel.numbers import format_decimal
from hypothesis import given
from hypothesis import strategies as st

from projections.console import figures
from projections.console.figures import MINUS
from schemas import figures as figures_of_balances
from schemas.amounts import MICRO

CENT = Decimal("0.01")
amounts = st.decimals(min_value=-(10**12), max_value=10**12, places=6, allow_nan=False)
zones = st.integers(-12 * 4, 14 * 4).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))
moments = st.datetimes(datetime(1, 1, 2), datetime(9998, 1, 1), timezones=zones)  # with the zones given


def in_babel(amount: Decimal, pattern: str) -> str:
    text: str = format_decimal(amount.quantize(CENT, ROUND_DOWN), format=pattern, locale="en")
    return text.replace("-", MINUS)


@given(amounts)
def test_amounts(amount: Decimal) -> None:
    if abs(amount) < CENT:
        assert figures.show_amount(amount) == ("<0.01" if amount > 0 else "0")
        return
    assert figures.show_amount(amount) == in_babel(amount, "#,##0.##")
    assert figures.show_cell(amount) == in_babel(amount, "#,##0.00")


@pytest.mark.parametrize(
    ("amount", "shown", "cell"),
    [("0", "0", "0"), ("0.009", "<0.01", "<0.01"), ("1000", "1,000", "1,000.00"), ("74.999999", "74.99", "74.99"),
     ("-2.509", "−2.5", "−2.50"), ("1E+3", "1,000", "1,000.00"), ("100.10", "100.1", "100.10")],
)  # fmt: skip
def test_amounts_at_their_edges(amount: str, shown: str, cell: str) -> None:
    assert (figures.show_amount(Decimal(amount)), figures.show_cell(Decimal(amount))) == (shown, cell)


@given(st.integers(figures_of_balances.STEP, 10**18))
def test_an_amount_looks_as_it_does_in_a_balance(micro: int) -> None:
    """A grant stands beside the allocation that comes of it, and usage beside what is used of it."""
    assert figures.show_amount(Decimal(micro) / MICRO) == figures_of_balances.show_amount(micro)


@given(st.integers(0, 10**15))
def test_counts(count: int) -> None:
    assert figures.show_count(count) == format_decimal(count, locale="en")


@given(moments)
def test_dates(at: datetime) -> None:
    day = at.date()
    assert figures.show_moment(at) == format_datetime(at, "EEE d MMM y, HH:mm", tzinfo=at.tzinfo, locale="en")
    assert figures.show_time(at) == format_time(at, "HH:mm", tzinfo=at.tzinfo, locale="en")
    assert figures.show_day(at) == figures.show_day(day) == format_date(day, "d MMM y", locale="en")
    assert figures.show_day_of_month(day) == format_date(day, "d MMM", locale="en")
    assert figures.show_month(day) == format_date(day, "MMM y", locale="en")


def test_a_moment() -> None:
    assert figures.show_moment(datetime(2026, 3, 5, 14, tzinfo=UTC)) == "Thu 5 Mar 2026, 14:00"
