"""Percent and thresholds agree with exact fractions, at every boundary and for any size."""

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.amounts import MICRO
from schemas.exhaustion import percent_of, reaches

amounts = st.integers(0, 2**63 - 1)
allocations = st.integers(1, 2**63 - 1)


@pytest.mark.parametrize(
    ("consumed", "allocation", "percent"),
    [
        (0, 75 * MICRO, 0),
        (75 * MICRO // 2 - 1, 75 * MICRO, 49),
        (75 * MICRO // 2, 75 * MICRO, 50),
        (75 * MICRO - 1, 75 * MICRO, 99),
        (75 * MICRO, 75 * MICRO, 100),
        (150 * MICRO, 75 * MICRO, 200),
        (-1, 75 * MICRO, 0),
        (0, 0, 100),
        (1, 0, 100),
        (-1, 0, 0),
        (-5, -5, 100),
        (-6, -5, 0),
    ],
)
def test_percent_is_rounded_down_and_never_negative(consumed: int, allocation: int, percent: int) -> None:
    assert percent_of(consumed, allocation) == percent


@pytest.mark.parametrize("allocation", [1, 3, 7 * MICRO + 1, 75 * MICRO, 10_000 * MICRO])
@pytest.mark.parametrize("threshold", [1, 20, 50, 99, 100])
def test_a_threshold_is_reached_from_its_first_micro_unit_on(allocation: int, threshold: int) -> None:
    first = -(-threshold * allocation // 100)
    assert not reaches(first - 1, allocation, threshold)
    assert reaches(first, allocation, threshold)
    assert reaches(first + 1, allocation, threshold)


def test_an_allocation_of_nothing_is_reached_when_nothing_remains() -> None:
    assert reaches(0, 0, 20) and reaches(5, 0, 100)
    assert not reaches(-1, 0, 20)


@given(amounts, allocations)
def test_percent_is_the_floor_of_the_exact_fraction(consumed: int, allocation: int) -> None:
    assert percent_of(consumed, allocation) == floor(Fraction(consumed, allocation) * 100)


@given(amounts, allocations, st.integers(1, 100))
def test_a_threshold_is_reached_exactly_when_the_percent_is(consumed: int, allocation: int, threshold: int) -> None:
    assert reaches(consumed, allocation, threshold) == (percent_of(consumed, allocation) >= threshold)
