"""Exhaustion: how much of an allocation is consumed. Pure and exact: integers in micro-units, never a float.

The one implementation: the projections store and publish by it, the notifier warns by it.
"""

from decimal import Decimal
from typing import Final

EXHAUSTED_PERCENT: Final = 100
# Whole percents that people are warned at, unless the settings say otherwise.
DEFAULT_BANNER_THRESHOLDS: Final = (20, 50, 70, 80, 90, 100)
DEFAULT_EMAIL_THRESHOLDS: Final = (50, 70, 80, 90)


def percent_of(consumed: int, allocation: int) -> int:
    """The whole percent of `allocation` that is consumed: rounded down, at least 0, not capped at 100.

    Both are micro-units. An allocation of 0 or less has no percentage: it counts as 100 when nothing remains of it
    (`consumed >= allocation`), otherwise as 0.
    """
    return hundredths_of(consumed, allocation) // 100


def exhaustion_of(consumed: int, allocation: int) -> Decimal:
    """The percent as people read it: as `percent_of`, with two decimals, rounded down. 74.999 of 75 is 99.99.

    Never 100 while something is left. `projections.balances` has the same rule in SQL.
    """
    return Decimal(hundredths_of(consumed, allocation)).scaleb(-2)


def hundredths_of(consumed: int, allocation: int) -> int:
    if allocation <= 0:
        return EXHAUSTED_PERCENT * 100 if consumed >= allocation else 0
    return max(0, consumed * 10_000 // allocation)


def reaches(consumed: int, allocation: int, threshold: int) -> bool:
    """Whether `consumed` of `allocation` (micro-units) is at `threshold` (whole percent) or above it.

    A value exactly at the threshold reaches it. An allocation of 0 is reached, at every threshold, by 0 consumed.
    """
    return consumed * 100 >= threshold * allocation
