"""What `projections` reads for the pure plan, and where it keeps the result: the statements of its store in Python."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from projections import plan as planning
from projections.fold import Kind, Step
from projections.messages import render_account, render_balance
from projections.plan import FoldPlan, PositionRange, Reading, UsageTotal
from projections.steps import BalanceKey, NonUsageEvent, collect_steps
from schemas.events import ACCOUNT_CODES, CODES, USAGE_CODES
from schemas.identity import OWN_SOURCE
from schemas.records import Accepted
from tests.simulation.database import Database, Folds

GRANTED: Final = CODES["credits.granted.v1"]


async def fold(database: Database, shard: int, most: int) -> FoldPlan | None:
    """In one transaction; the shard's lock is held in it, so nobody comes between reading and writing."""
    waiting = find_range(database, shard, most)
    if waiting is None:
        return None
    planned = planning.plan(read_range(database, waiting))
    write(database.folds, planned)
    return planned


def find_range(database: Database, shard: int, most: int) -> PositionRange | None:
    """It never ends between an opening and the free grants that were stored behind it."""
    rows, after = database.events.rows(shard), database.folds.cursors[shard]
    if after >= len(rows):
        return None
    begun = database.generations.get(shard, ())
    end = min([len(rows), *(begins - 1 for _number, begins in begun if begins - 1 > after)])
    upto = min(end, after + most)
    while upto < len(rows) and is_derived(rows[upto]):
        upto += 1
    return PositionRange(shard, after, upto, generation_behind(database, shard, after))


def generation_behind(database: Database, shard: int, after: int) -> int:
    """That in which the next position was stored."""
    begun = database.generations.get(shard, ())
    return max((number for number, begins in begun if begins - 1 <= after), default=1)


def is_before_generation(database: Database, shard: int) -> bool:
    """Whether the fold has not come to where the newest generation begins: then nothing is sent again yet."""
    begun = database.generations.get(shard, ())
    return any(begins - 1 > database.folds.cursors[shard] for _number, begins in begun)


def is_derived(row: Accepted) -> bool:
    return row.type == GRANTED and row.source == OWN_SOURCE


def read_range(database: Database, found: PositionRange) -> Reading:
    shard, after, upto, _generation = found
    rows = database.events.rows(shard)[after:upto]
    times = database.events.times[shard][after:upto]
    others = [
        read_other(shard, after + place, row, times[place - 1])
        for place, row in enumerate(rows, 1)
        if row.type not in USAGE_CODES
    ]
    steps = collect_steps(others)
    balances, accounts = database.folds.balances, database.folds.accounts
    names = {row.account_id for row in rows}
    return Reading(
        ranges=[found],
        totals=sum_usage(shard, after, rows, times, steps, balances),
        non_usage=others,
        steps=steps,
        balances={key: state for key, state in balances.items() if key[0] in names},
        accounts={name: state for name, state in accounts.items() if name in names},
    )


def read_other(shard: int, position: int, row: Accepted, at: datetime) -> NonUsageEvent:
    is_account = row.type in ACCOUNT_CODES
    return NonUsageEvent(
        shard, position, row.type, row.account_id, row.resource, row.amount, row.occurred_at, at,
        row.data if is_account else None, row.source == OWN_SOURCE,
        row.source if is_account else None, row.event_id if is_account else None,
    )  # fmt: skip


def sum_usage(
    shard: int,
    after: int,
    rows: Sequence[Accepted],
    times: Sequence[datetime],
    steps: Mapping[BalanceKey, Sequence[Step]],
    balances: Mapping[BalanceKey, Any],
) -> list[UsageTotal]:
    """Runs of usage, cut by steps of other kinds."""
    cuts = {key: [step.position for step in own] for key, own in steps.items()}
    runs: dict[tuple[BalanceKey, int], UsageTotal] = {}
    for position, (row, at) in enumerate(zip(rows, times, strict=True), after + 1):
        if row.type in USAGE_CODES and row.resource is not None:
            key = row.account_id, row.resource
            run = key, bisect_right(cuts.get(key, ()), position)
            before = runs.get(run)
            amount, events, as_of = row.amount, 1, at
            if before is not None:
                amount, events = amount + before.step.amount, before.events + 1
                as_of = max(at, before.step.as_of)
            runs[run] = UsageTotal(key, shard, events, Step(Kind.USAGE, amount, position, as_of), balances.get(key))
    return list(runs.values())


def write(folds: Folds, planned: FoldPlan) -> None:
    for state in (*planned.consumed, *planned.balances):
        folds.balances[state.account_id, state.resource] = state
    for account in planned.accounts:
        folds.accounts[account.account_id] = account
    for message in planned.messages:
        folds.outbox[message.shard].append(message)
    for found in planned.ranges:
        folds.cursors[found.shard] = found.upto


async def republish(database: Database, shard: int) -> None:
    """The present state of every account of the shard, as `meter recover` asks for."""
    folds, generation = database.folds, database.generation(shard)
    folds.republish.discard(shard)
    for name, account in sorted(folds.accounts.items()):
        if account.shard == shard and account.opened:
            folds.outbox[shard].append(render_account(account, generation))
            folds.outbox[shard] += [
                render_balance(state, generation)
                for key, state in sorted(folds.balances.items())
                if key[0] == name and state.epoch > 0
            ]
