"""Amounts as people read them: at most two decimals, thousands marked, a unit beside each number. Pure.

Exact amounts stand in events, views and tables (amounts.py). Here the rest behind two decimals is cut off, as it is in
a percent, and no figure says more than is true: what is used never looks like the whole allocation while something is
left, what is left never looks like nothing, and used and left add up to the allocation.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from schemas.amounts import MICRO
from schemas.resources import Resource

# One of them, and any other number of them.
UNITS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        Resource.MODEL_CREDITS.value: ("model credit", "model credits"),
        Resource.TOOL_RUNS.value: ("tool run", "tool runs"),
    }
)
STEPS: Final = 100  # of a credit or run: two decimals
STEP: Final = MICRO // STEPS
TOO_LITTLE: Final = f"less than {1 / STEPS}"


def count_of(number: int, one: str, many: str = "") -> str:
    """1 shard, 2 shards, 1,000 batches."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


class Figures(NamedTuple):
    """A balance in numbers without units. `over` is what was used beyond the allocation."""

    allocation: str
    used: str
    left: str
    over: str


def show_balance(consumed: int, allocation: int) -> Figures:
    """Of micro-units."""
    used, whole, left = max(0, consumed), max(0, allocation), allocation - consumed
    if left <= 0:
        return Figures(show_amount(whole), show_amount(used), "0", show_amount(-left))
    # Between one step and all but one, as long as both something was used and something is left.
    steps = min(max(1, used // STEP), whole // STEP - 1) if used > 0 else 0
    return Figures(
        show_amount(whole),
        TOO_LITTLE if used > 0 and min(steps, used // STEP) <= 0 else show_steps(steps),
        TOO_LITTLE if left < STEP else show_steps(whole // STEP - steps),
        "0",
    )


def show_amount(micro: int) -> str:
    """Not negative; rounded down, and never to nothing: 1,234.5, or `less than 0.01`."""
    return TOO_LITTLE if 0 < micro < STEP else show_steps(micro // STEP)


def show_steps(steps: int) -> str:
    whole, rest = divmod(steps, STEPS)
    return f"{whole:,}.{rest:02d}".rstrip("0").rstrip(".")


def unit_of(resource: str, shown: str) -> str:
    """The unit behind a number as it is shown: 1 model credit, 1.5 model credits."""
    one, others = UNITS[resource]
    return one if shown == "1" else others


def say_amount(micro: int, resource: str) -> str:
    """`1 tool run`, `0.25 model credits`."""
    shown = show_amount(micro)
    return f"{shown} {unit_of(resource, shown)}"
