"""The balance fold: pure, exact integers in micro-units, no clock.

A run of consumption may be folded as one step: within it exhaustion only rises, so its end is its peak. Grants and
reversals are folded one by one. Hence balances, epochs and the highest percentage of each epoch are the same wherever a
batch is cut; tests/unit/projections/test_fold_properties.py holds this to account.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import NamedTuple

from schemas.exhaustion import exhaustion_of, percent_of
from schemas.outputs import Status


class Kind(IntEnum):
    USAGE = 0
    GRANT = 1
    REVERSAL = 2


class Step(NamedTuple):
    """One grant, one reversal, or a run of consumption with neither inside; `position` and `as_of` are its last."""

    kind: Kind
    amount: int
    position: int
    as_of: datetime


class BalanceState(NamedTuple):
    """Of one account and resource. `boundaries` are the cumulative totals after each grant, ascending.

    NamedTuple rather than a dataclass: tens of thousands are made per second, at a third of the cost.
    """

    account_id: str
    resource: int  # code of meter.resources
    shard: int
    granted: int  # lifetime
    consumed: int  # lifetime, less what was reversed
    base: int  # the boundary the current epoch starts at
    epoch: int  # 0: nothing was granted yet
    boundaries: tuple[int, ...]
    position: int
    as_of: datetime

    @property
    def allocation(self) -> int:
        return self.granted - self.base

    @property
    def used(self) -> int:
        """Consumed of this epoch's allocation; negative when reversals reach back behind the epoch's start."""
        return self.consumed - self.base

    @property
    def remaining(self) -> int:
        return self.granted - self.consumed

    @property
    def percent(self) -> int:
        """Whole percent of exhaustion, rounded down, not capped; of an allocation of nothing 100 if nothing is left."""
        return percent_of(self.used, self.allocation)

    @property
    def exhaustion(self) -> Decimal:
        """The percent with two decimals, rounded down, as `projections.balances` shows it."""
        return exhaustion_of(self.used, self.allocation)

    @property
    def exhausted(self) -> bool:
        return self.remaining <= 0

    @property
    def allowed(self) -> bool:
        return self.epoch > 0 and self.remaining > 0

    @property
    def status(self) -> Status:
        """By what remains: above 75 % good, from 25 to 75 % moderate, below low, nothing exhausted."""
        if not self.allowed:
            return "exhausted"
        left = self.remaining * 100
        if left < self.allocation * 25:
            return "low"
        return "moderate" if left <= self.allocation * 75 else "good"


def empty_state(account_id: str, resource: int, shard: int, as_of: datetime) -> BalanceState:
    """Before the first event of the account."""
    return BalanceState(account_id, resource, shard, 0, 0, 0, 0, (), 0, as_of)


def fold(state: BalanceState, steps: Iterable[Step]) -> tuple[BalanceState, list[BalanceState]]:
    """Apply steps in the order of positions; the state after them, and every state on the way that must be published.

    A step that is not newer than the state is a repeat and changes nothing.
    """
    published: list[BalanceState] = []
    for step in steps:
        if step.position <= state.position:
            continue
        before, state = state, apply(state, step)
        if must_publish(before, state):
            published.append(state)
    return state, published


def apply(state: BalanceState, step: Step) -> BalanceState:
    """The state after one step."""
    as_of = max(state.as_of, step.as_of)  # clocks of two writers may differ; positions do not
    if step.kind is Kind.GRANT:
        return start_epoch(state, step.amount)._replace(position=step.position, as_of=as_of)
    change = step.amount if step.kind is Kind.USAGE else -step.amount
    return state._replace(consumed=state.consumed + change, position=step.position, as_of=as_of)


def start_epoch(state: BalanceState, amount: int) -> BalanceState:
    """A grant: those that are used up drop out, so that an exhausted account given 100 stands at 0 of 100."""
    granted = state.granted + amount
    boundaries = (*state.boundaries, granted)
    base = max((boundary for boundary in boundaries if boundary <= state.consumed), default=0)
    return state._replace(granted=granted, boundaries=boundaries, base=base, epoch=state.epoch + 1)


def must_publish(before: BalanceState, after: BalanceState) -> bool:
    """Whether the change goes to Kafka. The number of messages depends on accounts and percents, not on events."""
    return after.epoch > 0 and (
        before.epoch != after.epoch or before.percent != after.percent or before.exhausted != after.exhausted
    )
