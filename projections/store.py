"""The tables of the projections, and the event log read only. One method a statement; `fold` is the transaction."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import orjson

from meter.runtime.fault_points import fault_point
from meter.runtime.looks import MOST_UNOPENED
from meter.runtime.postgres import Executor, Pool, load_sql, takes_one_shard, transpose, write_transaction
from meter.runtime.tracing import SPANS_TOGETHER, read_traceparent
from meter.sealing import unseal
from projections.accounts import AccountState
from projections.contact_ids import Named
from projections.fold import BalanceState, Kind, Step
from projections.messages import OutboxMessage
from projections.plan import Added, FoldPlan, LogDamagedError, PositionRange, Reading, UsageTotal
from projections.steps import BalanceKey, NonUsageEvent, collect_steps, split_positions
from projections.tracing import Causes, TracedEvent, by_account

PROJECTION = "balance"
Plan = Callable[[Reading], FoldPlan]


class ShardLag(NamedTuple):
    """`waits_s`: for how long the first event that is not folded yet is stored."""

    shard: int
    folded: int
    behind: int
    waits_s: float


class FoldStore:
    """Reads ranges of the log and writes what was planned from them, in one transaction under the shards' cursors."""

    def __init__(self, pool: Pool, *, most_events: int, traced: bool = False) -> None:
        """`traced`: read as well which producers asked for a trace."""
        self._pool = pool
        self._traced = traced
        self._most_events = most_events

    async def fold(self, plan: Plan, *, apart: Sequence[int] = (), only: int | None = None) -> FoldPlan | None:
        """Fold what comes next, but not of the shards `apart`; or of one shard only. None: no events wait, or other
        workers have claimed every shard that has some. Where tables are distributed, of one shard in any case."""
        if only is None and await takes_one_shard(self._pool):
            behind = [shard for shard in await self.find_behind() if shard not in apart]
            random.shuffle(behind)  # other workers are at them as well
            for shard in behind:
                if (planned := await self._fold(plan, apart, shard)) is not None:
                    return replace(planned, more=planned.more or len(behind) > 1)
            return None
        return await self._fold(plan, apart, only)

    async def _fold(self, plan: Plan, apart: Sequence[int], only: int | None) -> FoldPlan | None:
        async with self._pool.acquire() as connection:
            async with write_transaction(connection):
                ranges, more, others = await self.claim_shards(connection, apart, only)
                if not ranges:
                    return None
                reading = await read_ranges(connection, ranges, others=others)
                if self._traced:
                    reading = replace(reading, causes=await fetch_causes(connection, ranges))
                await fault_point("after_fetch")
                planned = plan(reading)
                await write(connection, planned)
                await fault_point("before_commit")
            await fault_point("after_commit")
        return replace(planned, more=more)

    async def claim_shards(
        self, connection: Executor, apart: Sequence[int] = (), only: int | None = None
    ) -> tuple[list[PositionRange], bool, bool]:
        """Lock the cursors of shards with events, and share `most_events` between them. And whether they have more, and
        whether some of it may not be usage."""
        chosen = None if only is None else [only]
        rows = await connection.fetch(sql("claim_shards"), PROJECTION, self._most_events, list(apart), chosen)
        waiting = [PositionRange(row["shard"], row["after"], row["head"], row["generation"]) for row in rows]
        shared = share(waiting, self._most_events)
        others = any(row["others"] for row in rows)
        if shared == waiting:  # the log ends where a batch of the meter ends, which has the whole opening
            return shared, any(row["more"] for row in rows), others
        return await keep_openings_whole(connection, shared), True, others

    async def measure_lag(self) -> list[ShardLag]:
        return [ShardLag(*row) for row in await self._pool.fetch(sql("measure_lag"), PROJECTION)]

    async def count_unopened(self) -> int:
        """Accounts with usage or grants that nobody opened; of more than MOST_UNOPENED as many."""
        return int(await self._pool.fetchval(sql("count_unopened"), MOST_UNOPENED))

    async def find_behind(self) -> list[int]:
        """The shards with events that are not folded yet."""
        rows = await self._pool.fetch(sql("measure_shards"), PROJECTION)
        return [row["shard"] for row in rows if row["head"] > row["position"]]


def sql(name: str) -> str:
    return load_sql("projections", name)


async def fetch_position(connection: Executor, projection: str, shard: int) -> int:
    rows = await connection.fetch(sql("fetch_cursors"), projection)
    return next(int(row["position"]) for row in rows if row["shard"] == shard)


async def count_log(connection: Executor, shard: int, position: int, timeout_s: float) -> int:
    """How many events there are for the positions of a shard's log, up to one of them. Fewer: the log has holes."""
    holders = await connection.fetch(sql("list_relatives"), shard, position, timeout=timeout_s)
    return sum([await connection.fetchval(sql("count_log"), *holder, timeout=timeout_s) for holder in holders])


async def check_log(connection: Executor, shard: int, position: int, timeout_s: float) -> None:
    """Before rows are exchanged. Raises LogDamagedError when events up to the position are missing."""
    count = await count_log(connection, shard, position, timeout_s)
    if count != position:
        raise LogDamagedError(
            f"shard {shard}: of the events up to position {position:,} only {count:,} are in meter.events. Nothing of "
            "the shard was exchanged. Check the log with `meter verify` and restore what is missing"
        )


def share(ranges: Iterable[PositionRange], most_events: int) -> list[PositionRange]:
    """The ranges in their order, cut so that together they have at most `most_events` events."""
    shared = []
    for each in ranges:
        upto = min(each.upto, each.after + most_events)
        most_events -= upto - each.after
        if upto > each.after:
            shared.append(each._replace(upto=upto))
    return shared


async def keep_openings_whole(connection: Executor, ranges: Sequence[PositionRange]) -> list[PositionRange]:
    """The ranges, longer by the free grants of an opening that they would be cut off from."""
    shards, _, upto = columns(ranges)
    rows = await connection.fetch(sql("find_range_ends"), shards, upto) if ranges else []
    ends = {row["shard"]: row["upto"] for row in rows}
    return [r._replace(upto=ends[r.shard]) for r in ranges]


def columns(ranges: Sequence[PositionRange]) -> tuple[list[int], list[int], list[int]]:
    return [r.shard for r in ranges], [r.after for r in ranges], [r.upto for r in ranges]


async def read_ranges(connection: Executor, ranges: Sequence[PositionRange], *, others: bool) -> Reading:
    """Add the usage that nobody is told of, and read everything else of the ranges, with the states that it changes.
    Moves the cursors on behind them. Without `others` there is nothing but usage."""
    found = await connection.fetch(sql("fetch_account_events"), *columns(ranges)) if others else []
    non_usage = open_events(found)
    steps = collect_steps(non_usage)
    rows = await connection.fetch(sql("add_usage"), *columns(ranges), *split_positions(steps))
    added = [as_added(row) for row in rows if row["account_id"] is None]
    totals = [as_usage_total(row) for row in rows if row["account_id"] is not None]
    stepped = sorted({account_id for account_id, _resource in steps})
    shards = columns(ranges)[0]
    balances = await fetch_balances(connection, stepped, shards) if stepped else {}
    asked = {o.account_id for o in non_usage if o.data is not None}
    # A balance that is not stored yet must know whether its account was opened.
    asked |= {account_id for account_id, resource in steps if (account_id, resource) not in balances}
    asked |= {total.key[0] for total in totals if total.state is None}
    accounts = await fetch_accounts(connection, sorted(asked), shards) if asked else {}
    return Reading(
        ranges=ranges,
        totals=totals,
        non_usage=non_usage,
        steps=steps,
        balances=balances,
        accounts=accounts,
        added=added,
    )


async def fetch_causes(connection: Executor, ranges: Sequence[PositionRange]) -> Causes:
    rows = await connection.fetch(sql("fetch_traces"), *columns(ranges), SPANS_TOGETHER)
    return by_account(event for row in rows if (event := as_traced_event(row)) is not None)


def as_traced_event(row: Iterable[Any]) -> TracedEvent | None:
    shard, position, account_id, resource, recorded_at, text = row
    parent = read_traceparent(text)
    return None if parent is None else TracedEvent(shard, position, account_id, resource, recorded_at, parent)


def open_events(rows: Iterable[Iterable[Any]]) -> list[NonUsageEvent]:
    """Rows with the columns of an event, and behind them the key of its account. What was forgotten is left out."""
    found = []
    for *row, key in rows:
        event = NonUsageEvent(*row)
        if event.data is not None:
            event = event._replace(data=unseal(event.type, event.data, event.account_id, key))
        found.append(event)
    return found


def as_added(row: Any) -> Added:
    return Added(row["shard"], row["events"], row["amount"], row["as_of"])


def as_usage_total(row: Iterable[Any]) -> UsageTotal:
    """A row of `add_usage`."""
    account_id, resource, shard, events, amount, position, as_of, *stored = row
    state = None if stored[0] is None else as_balance_state((account_id, resource, shard, *stored))
    return UsageTotal((account_id, resource), shard, events, Step(Kind.USAGE, amount, position, as_of), state)


def as_balance_state(row: Iterable[Any]) -> BalanceState:
    """A row with the columns of `projections.balance_states`, in the order of the fields. Totals are NUMERIC there, and
    come as text, which takes half the time of a Decimal; from here on they are integers."""
    account_id, resource, shard, granted, consumed, base, epoch, boundaries, *rest = row
    totals = int(granted), int(consumed), int(base)
    return BalanceState(account_id, resource, shard, *totals, epoch, tuple(map(int, boundaries)), *rest)


async def fetch_balances(
    connection: Executor, accounts: Sequence[str], shards: Sequence[int]
) -> dict[BalanceKey, BalanceState]:
    """Those of accounts that are in these shards."""
    rows = await connection.fetch(sql("fetch_balances"), accounts, shards)
    return {(row[0], row[1]): as_balance_state(row) for row in rows}


async def fetch_accounts(
    connection: Executor, accounts: Sequence[str], shards: Sequence[int]
) -> dict[str, AccountState]:
    rows = await connection.fetch(sql("fetch_accounts"), accounts, shards)
    return {row["account_id"]: as_account_state(row) for row in rows}


def as_account_state(row: Iterable[Any]) -> AccountState:
    """A row with the columns of `projections.account_states`, in the order of the fields; contacts and their ids as
    JSON text."""
    state = AccountState(*row)
    contacts = None if state.contacts is None else tuple(orjson.loads(str(state.contacts)))
    known = tuple(Named(*pair) for pair in orjson.loads(str(state.contact_ids)))
    return state._replace(contacts=contacts, contact_ids=known)


async def write(connection: Executor, planned: FoldPlan) -> None:
    """Everything of the plan; the cursors are behind its ranges already."""
    if planned.consumed:
        await connection.execute(sql("update_consumed"), *transpose([consumed_row(s) for s in planned.consumed], 6))
    await save_balances(connection, planned.balances)
    await save_accounts(connection, planned.accounts)
    await append_exhaustion_steps(connection, planned.published)
    await append_outbox(connection, planned.messages)


def consumed_row(s: BalanceState) -> tuple[object, ...]:
    return s.account_id, s.resource, str(s.consumed), s.position, s.as_of, s.shard


def balance_row(s: BalanceState) -> tuple[object, ...]:
    """The opposite of `as_balance_state`."""
    totals = str(s.granted), str(s.consumed), str(s.base)
    return (*s[:3], *totals, s.epoch, as_array(s.boundaries), *s[8:])


def as_array(totals: Iterable[int]) -> str:
    """As Postgres reads an array: integers of any size."""
    return "{" + ",".join(map(str, totals)) + "}"


def account_row(s: AccountState) -> tuple[object, ...]:
    contacts = None if s.contacts is None else orjson.dumps(s.contacts).decode()
    known = orjson.dumps([list(named) for named in s.contact_ids]).decode()
    return tuple(s._replace(contacts=contacts, contact_ids=known))  # type: ignore[arg-type]  # as JSON text


async def save_balances(connection: Executor, states: Sequence[BalanceState]) -> None:
    if states:
        await connection.execute(
            sql("save_balances"), *transpose([balance_row(s) for s in states], len(BalanceState._fields))
        )


async def save_accounts(connection: Executor, states: Sequence[AccountState]) -> None:
    if states:
        await connection.execute(
            sql("save_accounts"), *transpose([account_row(s) for s in states], len(AccountState._fields))
        )


async def append_exhaustion_steps(connection: Executor, states: Sequence[BalanceState]) -> None:
    if states:
        rows = [
            (s.shard, s.account_id, s.resource, s.position, s.epoch, str(s.allocation), str(s.used), s.as_of)
            for s in states
        ]
        await connection.execute(sql("append_exhaustion_steps"), *transpose(rows, 8))


async def append_outbox(connection: Executor, messages: Sequence[OutboxMessage]) -> None:
    if messages:
        rows = [(m.shard, m.key, m.value) for m in messages]
        await connection.execute(sql("append_outbox"), *transpose(rows, 3))
        await connection.execute(sql("notify_outbox"))
