"""Exhaustion: how much of an allocation is consumed. Pure, exact integers in micro-units, never a float.

The one implementation: the projections store and publish by it, the notifier warns by it.
"""

from typing import Final

EXHAUSTED_PERCENT: Final = 100


def percent_of(consumed: int, allocation: int) -> int:
    """The whole percent of `allocation` that is consumed: rounded down, at least 0, not capped at 100.

    Both are micro-units. An allocation of 0 or less has no percentage: it counts as 100 when nothing remains of it
    (`consumed >= allocation`), otherwise as 0.
    """
    if allocation <= 0:
        return EXHAUSTED_PERCENT if consumed >= allocation else 0
    return max(0, consumed * 100 // allocation)


def reaches(consumed: int, allocation: int, threshold: int) -> bool:
    """Whether `consumed` of `allocation` (micro-units) is at `threshold` (whole percent) or above it.

    A value exactly at the threshold reaches it. An allocation of 0 is reached, at every threshold, by 0 consumed.
    """
    return consumed * 100 >= threshold * allocation
