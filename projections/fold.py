"""The balance fold: pure, exact integers in micro-units, no clock.

A run of consumption may be folded as one step: within it exhaustion only rises, so its end is its peak. All other steps
are folded one by one. Hence balances, epochs and the highest percentage of each epoch are the same wherever a batch is
cut; tests/unit/projections/test_fold_properties.py holds this to account.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import Final, NamedTuple

from schemas.exhaustion import exhaustion_of, percent_of
from schemas.outputs import Status


class Kind(IntEnum):
    USAGE = 0
    GRANT = 1
    REVERSAL = 2
    FREE_GRANT = 3  # of the free allowance
    OPENING = 4  # of the account, with the free allowance that was stored with it
    REVOCATION = 5
    CLOSING = 6  # of the account
    REOPENING = 7


# Of these an opening with the free allowance alone is about the resource, too.
ACCOUNT_KINDS: Final = frozenset((Kind.OPENING, Kind.CLOSING, Kind.REOPENING))


class Step(NamedTuple):
    """A run of consumption, or one event of another kind; `position` and `as_of` are its last."""

    kind: Kind
    amount: int
    position: int
    as_of: datetime

    @property
    def moves(self) -> bool:
        """Whether it is about this resource, and not about the account alone."""
        return self.amount > 0 or self.kind not in ACCOUNT_KINDS


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
    epoch: int  # 0: the account was not opened yet, or nothing was granted
    boundaries: tuple[int, ...]
    position: int
    as_of: datetime
    opened: bool
    closed: bool
    free_only: bool  # nothing but the free allowance was ever granted

    @property
    def allocation(self) -> int:
        """What was granted before the opening is kept, and not allocated yet."""
        return self.granted - self.base if self.epoch else 0

    @property
    def used(self) -> int:
        """Consumed of this epoch's allocation; never negative."""
        return self.consumed - self.base

    @property
    def remaining(self) -> int:
        return self.allocation - self.used

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
        return self.epoch > 0 and not self.closed and self.remaining > 0

    @property
    def status(self) -> Status:
        """By what remains: above 75 % good, from 25 to 75 % moderate, below low, nothing exhausted."""
        if self.epoch == 0 or self.exhausted:
            return "exhausted"
        left = self.remaining * 100
        if left < self.allocation * 25:
            return "low"
        return "moderate" if left <= self.allocation * 75 else "good"


def empty_state(
    account_id: str, resource: int, shard: int, as_of: datetime, *, opened: bool = False, closed: bool = False
) -> BalanceState:
    """Before the first event of the account and resource."""
    return BalanceState(account_id, resource, shard, 0, 0, 0, 0, (), 0, as_of, opened, closed, True)


def must_publish(before: BalanceState, after: BalanceState) -> bool:
    """Whether the change goes to Kafka. The number of messages depends on accounts and percents, not on events."""
    return after.epoch > 0 and (
        before.epoch != after.epoch
        or before.percent != after.percent
        or before.exhausted != after.exhausted
        or before.allowed != after.allowed
    )


def fold(
    state: BalanceState, steps: Iterable[Step], keep: Callable[[BalanceState, BalanceState], bool] = must_publish
) -> tuple[BalanceState, list[BalanceState]]:
    """Apply steps in the order of positions; the state after them, and every state on the way that is to be kept: asked
    with the one before it.

    A step that is not newer than the state is a repeat and changes nothing.
    """
    kept: list[BalanceState] = []
    for step in steps:
        if step.position <= state.position:
            continue
        before, state = state, apply(state, step)
        if keep(before, state):
            kept.append(state)
    return state, kept


def apply(state: BalanceState, step: Step) -> BalanceState:
    """The state after one step. A step that changes nothing leaves position and time as they were."""
    if step.kind is Kind.USAGE:  # nearly all steps: one copy of the state instead of two
        as_of = max(state.as_of, step.as_of)
        return state._replace(consumed=state.consumed + step.amount, position=step.position, as_of=as_of)
    after = CHANGES[step.kind](state, step.amount)
    if after is state or not (step.moves or state.position):
        return after
    as_of = max(state.as_of, step.as_of)  # clocks of two writers may differ; positions do not
    return after._replace(position=step.position, as_of=as_of)


def reverse(state: BalanceState, amount: int) -> BalanceState:
    """A reversal that reaches back behind the start of the epoch begins another: 80 of 75 used, 100 granted and 20
    reversed is 60 of 175."""
    after = state._replace(consumed=state.consumed - amount)
    return after if after.used >= 0 else begin_epoch(after)


def grant(state: BalanceState, amount: int) -> BalanceState:
    return grant_free(state, amount)._replace(free_only=False)


def grant_free(state: BalanceState, amount: int) -> BalanceState:
    granted = state.granted + amount
    return begin_epoch(state._replace(granted=granted, boundaries=(*state.boundaries, granted)))


def revoke(state: BalanceState, amount: int) -> BalanceState:
    """What was granted becomes less, at most all of it; boundaries above are cut to it. 75 and 100 granted, 80 used and
    100 revoked is 5 of 0."""
    granted = state.granted - min(amount, state.granted)
    boundaries = tuple(min(boundary, granted) for boundary in state.boundaries)
    return begin_epoch(state._replace(granted=granted, boundaries=boundaries))


def open_account(state: BalanceState, amount: int) -> BalanceState:
    """Grants that were kept until now count in their order, then the free allowance, all in one epoch."""
    if state.opened:
        return grant_free(state, amount) if amount else state
    opened = state._replace(opened=True)
    return grant_free(opened, amount) if amount else begin_epoch(opened)


def close_account(state: BalanceState, _amount: int) -> BalanceState:
    return state if state.closed or not state.opened else state._replace(closed=True)


def reopen_account(state: BalanceState, _amount: int) -> BalanceState:
    return state._replace(closed=False) if state.closed else state


def begin_epoch(state: BalanceState) -> BalanceState:
    """Grants that are used up drop out, so that an exhausted account given 100 stands at 0 of 100.

    Before the opening there is no epoch to begin; nor after it, until something is granted.
    """
    base = find_base(state.boundaries if state.opened else (), state.consumed)
    begins = state.opened and (state.epoch > 0 or state.granted > 0)
    return state._replace(base=base, epoch=state.epoch + 1 if begins else state.epoch)


def find_base(boundaries: Iterable[int], consumed: int) -> int:
    """The largest boundary that is used up.

    A log from before reversals were checked may have reversed more than was ever used. Then the base lies below 0, and
    what was given back too much is part of the allocation.
    """
    return max((boundary for boundary in boundaries if boundary <= consumed), default=min(0, consumed))


# What each kind of step but usage does to a balance.
CHANGES: Final[Mapping[Kind, Callable[[BalanceState, int], BalanceState]]] = {
    Kind.GRANT: grant,
    Kind.REVERSAL: reverse,
    Kind.FREE_GRANT: grant_free,
    Kind.OPENING: open_account,
    Kind.REVOCATION: revoke,
    Kind.CLOSING: close_account,
    Kind.REOPENING: reopen_account,
}
