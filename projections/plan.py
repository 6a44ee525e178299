"""Plans what to write from what was read of the log. Pure; the plan is a value that a test can print."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from meter.runtime.errors import RefusalError
from projections import accounts as account_fold
from projections.accounts import AccountEvent, AccountState
from projections.fold import BalanceState, Step, empty_state, fold, must_publish
from projections.messages import OutboxMessage, render_account, render_balance
from projections.steps import ITEM_CODES, STEP_KINDS, BalanceKey, NonUsageEvent
from projections.tracing import Causes, cause_of
from schemas.codes import ACCOUNT_CODES

position_of = attrgetter("position")
Keep = Callable[[BalanceState, BalanceState], bool]


class LogDamagedError(RefusalError):
    """The event log is not what it must be; to go on would make balances wrong for ever."""


class PositionRange(NamedTuple):
    """Positions of a shard: those above `after`, up to and including `upto`."""

    shard: int
    after: int
    upto: int
    generation: int = 1  # of these positions


class UsageTotal(NamedTuple):
    """What an account used of a resource within a range, with its balance before. A range has one total for each run of
    usage; steps of other kinds separate the runs."""

    key: BalanceKey
    shard: int
    events: int
    step: Step
    state: BalanceState | None


class Added(NamedTuple):
    """Usage of a shard that nobody is told of, added to its balances already: so many events of so many balances, which
    are as of then."""

    shard: int
    events: int
    balances: int
    as_of: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Everything of some ranges, but for what was added already.

    `balances` has the stored balances of the accounts with steps, `accounts` the stored accounts with events of their
    own, and those of balances that are not stored yet.
    """

    ranges: Sequence[PositionRange]
    totals: Sequence[UsageTotal]
    non_usage: Sequence[NonUsageEvent]
    steps: Mapping[BalanceKey, Sequence[Step]]  # of the events that are not usage
    balances: Mapping[BalanceKey, BalanceState]
    accounts: Mapping[str, AccountState]
    added: Sequence[Added] = ()
    causes: Causes = field(default_factory=dict)  # events whose producers asked for a trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """The states after a reading. `consumed` are the balances of which only the consumption changed."""

    consumed: Sequence[BalanceState]
    balances: Sequence[BalanceState]
    accounts: Sequence[AccountState]
    published: Sequence[BalanceState]  # every state to publish, in order
    published_accounts: Sequence[AccountState]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldPlan:
    """What to write."""

    ranges: Sequence[PositionRange]
    events: int
    consumed: Sequence[BalanceState]
    balances: Sequence[BalanceState]
    accounts: Sequence[AccountState]
    published: Sequence[BalanceState]  # the states of balances that messages tell, kept as well
    messages: Sequence[OutboxMessage]
    added: Sequence[Added] = ()
    causes: Causes = field(default_factory=dict)
    more: bool = False  # whether events waited that the ranges do not have


def plan(reading: Reading) -> FoldPlan:
    """Fold a reading and render what must be published. Raises LogDamagedError when events are missing from it."""
    check_contiguous(reading)
    folded = fold_reading(reading)
    # The account first where one event changes both.
    generations = {r.shard: r.generation for r in reading.ranges}
    causes = reading.causes
    messages = [
        render_account(s, generations[s.shard], cause_of(causes, s.account_id, s.position))
        for s in folded.published_accounts
    ] + [
        render_balance(s, generations[s.shard], cause_of(causes, s.account_id, s.position, s.resource))
        for s in folded.published
    ]
    messages.sort(key=lambda message: (message.shard, message.position))
    return FoldPlan(
        ranges=reading.ranges,
        events=count_events(reading.ranges),
        consumed=folded.consumed,
        balances=folded.balances,
        accounts=folded.accounts,
        published=folded.published,
        messages=messages,
        added=reading.added,
        causes=causes,
    )


def fold_reading(reading: Reading, keep: Keep = must_publish) -> Folded:
    """The states, and nothing rendered; `keep` says which of them are published. The caller has found that no event is
    missing."""
    published: list[BalanceState] = []
    consumed, balances = fold_totals(reading, published, keep)
    balances += fold_stepwise(reading, published, keep)
    accounts, published_accounts = fold_accounts(reading)
    return Folded(
        consumed=consumed,
        balances=balances,
        accounts=accounts,
        published=published,
        published_accounts=published_accounts,
    )


def count_events(ranges: Iterable[PositionRange]) -> int:
    return sum(r.upto - r.after for r in ranges)


def check_contiguous(reading: Reading) -> None:
    """Positions have no gaps by construction, so a wrong count means that someone changed the log. Only what was stored
    before accounts moved to further shards has gaps, and that is folded: `meter split` waits for it."""
    found: Counter[int] = Counter()
    for added in reading.added:
        found[added.shard] += added.events
    for total in reading.totals:
        found[total.shard] += total.events
    for other in reading.non_usage:
        found[other.shard] += 1
    for shard, after, upto, _generation in reading.ranges:
        if found[shard] != upto - after:
            raise LogDamagedError(
                f"shard {shard}: of the events at positions {after + 1} to {upto} only {found[shard]} of "
                f"{upto - after} are in meter.events. Nothing was folded. Check the log with `meter verify` and "
                "restore what is missing"
            )


def start_state(reading: Reading, key: BalanceKey, shard: int, as_of: datetime) -> BalanceState:
    """Of a balance that is not stored yet."""
    account = reading.accounts.get(key[0])
    opened, closed = (account.opened, account.closed) if account is not None else (False, False)
    return empty_state(*key, shard, as_of, opened=opened, closed=closed)


def fold_totals(
    reading: Reading, published: list[BalanceState], keep: Keep
) -> tuple[list[BalanceState], list[BalanceState]]:
    """Balances with nothing but usage in the range, one step each: stored ones, and new ones."""
    consumed: list[BalanceState] = []
    new: list[BalanceState] = []
    for key, shard, _events, step, before in reading.totals:
        if key in reading.steps:
            continue
        after, published_here = fold(before or start_state(reading, key, shard, step.as_of), (step,), keep)
        (new if before is None else consumed).append(after)
        published += published_here
    return consumed, new


def fold_stepwise(reading: Reading, published: list[BalanceState], keep: Keep) -> list[BalanceState]:
    """Balances with other steps in the range, step by step in the order of positions. What happens to an account makes
    no balance of a resource that it has none of."""
    steps = {key: list(own) for key, own in reading.steps.items()}
    shards = {o.account_id: o.shard for o in reading.non_usage}
    for total in reading.totals:
        if total.key in steps:
            steps[total.key].append(total.step)
            shards[total.key[0]] = total.shard
    folded = []
    for key, own in steps.items():
        own.sort(key=position_of)
        before = reading.balances.get(key)
        if before is None:
            moving = next((step for step in own if step.moves), None)
            if moving is None:
                continue
            before = start_state(reading, key, shards[key[0]], moving.as_of)
        after, published_here = fold(before, own, keep)
        folded.append(after)
        published += published_here
    return folded


def fold_accounts(reading: Reading) -> tuple[list[AccountState], list[AccountState]]:
    """The accounts after their last event, and every state that must be published."""
    states: dict[str, AccountState] = {}
    published: list[AccountState] = []
    for o in reading.non_usage:
        if o.type in STEP_KINDS or o.type in ITEM_CODES:
            continue
        before = states.get(o.account_id) or reading.accounts.get(o.account_id)
        after = account_fold.apply(before, as_account_event(o))
        if after is not None and after is not before:
            states[o.account_id] = after
            if must_publish_account(before, after):
                published.append(after)
    return list(states.values()), published


def as_account_event(o: NonUsageEvent) -> AccountEvent:
    if o.type not in ACCOUNT_CODES or o.data is None:
        raise LogDamagedError(
            f"shard {o.shard}, position {o.position}: this version does not know events of type code {o.type}. "
            "Run a version of projections at least as new as the meter's"
        )
    identity = o.source or "", o.event_id or ""
    return AccountEvent(o.account_id, o.shard, o.position, o.type, o.data, o.occurred_at, o.recorded_at, *identity)


def must_publish_account(before: AccountState | None, after: AccountState) -> bool:
    """What is kept before the opening is told to nobody."""
    return after.opened and (before is None or told_of(before) != told_of(after))


def told_of(state: AccountState) -> tuple[object, ...]:
    return state.opened, state.plan, state.contacts, state.display_name, state.closed, state.time_zone, state.forgotten
