"""Amounts for people: rounded, and still true."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.amounts import MAX_AMOUNT, MICRO
from schemas.figures import STEP, TOO_LITTLE, Figures, count_of, say_amount, show_amount, show_balance, unit_of

amounts = st.one_of(st.integers(0, 5 * MICRO), st.integers(0, 100 * MAX_AMOUNT))


@pytest.mark.parametrize(
    ("micro", "text"),
    [
        (0, "0"), (1, "less than 0.01"), (9_999, "less than 0.01"), (10_000, "0.01"), (12_500_000, "12.5"),
        (MICRO, "1"), (1_999_999, "1.99"), (10_000 * MICRO, "10,000"), (1_234_567_899_999, "1,234,567.89"),
    ],
)  # fmt: skip
def test_amounts_have_two_decimals_at_most_and_thousands_marked(micro: int, text: str) -> None:
    assert show_amount(micro) == text


def test_one_is_singular_and_thousands_are_marked() -> None:
    counted = [
        count_of(0, "shard"),
        count_of(1, "shard"),
        count_of(1, "batch", "batches"),
        count_of(1000, "batch", "batches"),
    ]
    assert counted == ["0 shards", "1 shard", "1 batch", "1,000 batches"]


@pytest.mark.parametrize(
    ("consumed", "allocation", "figures"),
    [
        (0, 75 * MICRO, Figures("75", "0", "75", "0")),
        (1, 75 * MICRO, Figures("75", "less than 0.01", "74.99", "0")),
        (52_500_001, 75 * MICRO, Figures("75", "52.5", "22.5", "0")),
        (74_999_000, 75 * MICRO, Figures("75", "74.99", "less than 0.01", "0")),
        (75 * MICRO - 1, 75 * MICRO, Figures("75", "74.99", "less than 0.01", "0")),
        (75_001_000, 75_004_000, Figures("75", "74.99", "less than 0.01", "0")),
        (75 * MICRO, 75 * MICRO, Figures("75", "75", "0", "0")),
        (75 * MICRO + 1, 75 * MICRO, Figures("75", "75", "0", "less than 0.01")),
        (80_500_000, 75 * MICRO, Figures("75", "80.5", "0", "5.5")),
        (5 * MICRO, 0, Figures("0", "5", "0", "5")),
        (0, 0, Figures("0", "0", "0", "0")),
        (0, 5_000, Figures("less than 0.01", "0", "less than 0.01", "0")),
        (4_000, 5_000, Figures("less than 0.01", "less than 0.01", "less than 0.01", "0")),
        (-3, 75 * MICRO, Figures("75", "0", "75", "0")),
    ],
)
def test_a_balance_in_figures(consumed: int, allocation: int, figures: Figures) -> None:
    assert show_balance(consumed, allocation) == figures


@pytest.mark.parametrize(
    ("micro", "resource", "text"),
    [
        (MICRO, "tool_runs", "1 tool run"),
        (MICRO, "model_credits", "1 model credit"),
        (MICRO + 1, "model_credits", "1 model credit"),  # as it reads
        (1_500_000, "model_credits", "1.5 model credits"),
        (0, "tool_runs", "0 tool runs"),
        (3, "model_credits", "less than 0.01 model credits"),
    ],
)
def test_each_amount_has_its_unit(micro: int, resource: str, text: str) -> None:
    assert say_amount(micro, resource) == text


def test_one_is_singular_alone() -> None:
    assert [unit_of("tool_runs", shown) for shown in ("0", "1", "1.01", "11")] == [
        "tool runs", "tool run", "tool runs", "tool runs",
    ]  # fmt: skip


def number(shown: str) -> Decimal:
    return Decimal(shown.replace(",", ""))


@given(amounts)
def test_an_amount_is_off_by_less_than_one_step_and_never_above(micro: int) -> None:
    shown = show_amount(micro)
    if shown == TOO_LITTLE:
        assert 0 < micro < STEP
    else:
        assert 0 <= Decimal(micro) / MICRO - number(shown) < Decimal("0.01")


@given(amounts, st.integers(2 * STEP, 100 * MAX_AMOUNT))
def test_a_balance_never_reads_as_more_or_less_than_it_is(consumed: int, allocation: int) -> None:
    figures = show_balance(consumed, allocation)
    left = allocation - consumed
    assert (figures.left == "0") == (left <= 0)
    assert (figures.used == "0") == (consumed == 0)
    assert (figures.over == "0") == (left >= 0)
    if left > 0 and figures.used != TOO_LITTLE:
        assert number(figures.used) < number(figures.allocation)
    if consumed > 0 and left > 0 and figures.left != TOO_LITTLE:
        assert number(figures.left) < number(figures.allocation)
    if left > 0 and TOO_LITTLE not in figures:
        assert number(figures.used) + number(figures.left) == number(figures.allocation)
