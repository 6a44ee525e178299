"""`projections rebuild`: compute the read models of every shard again from the log and replace the rows that differ.

It uses the fold, but publishes nothing: the service published each change when it happened. It reads a shard in ranges
while the service runs. It locks the shard's cursor only for the last few events and the exchange of rows, in one
transaction; meanwhile the service skips that shard and folds the others. Usage has a cursor and a rebuild of its own
(`usage_rebuild.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from meter.runtime.errors import RefusalError
from meter.runtime.postgres import Executor, Pool
from projections.accounts import AccountState
from projections.fold import BalanceState, Kind, Step
from projections.models import Model as Model
from projections.plan import PositionRange, Reading, UsageTotal, check_contiguous, fold_reading
from projections.rebuild_steps import (
    FIRST_POSITION,
    LAST_POSITION,
    KeptState,
    KeptStates,
    StepJudge,
    keep_every,
    mend_steps,
)
from projections.steps import BalanceKey, collect_steps, split_positions
from projections.store import (
    PROJECTION,
    account_row,
    check_log,
    columns,
    fetch_position,
    keep_openings_whole,
    open_events,
    sql,
)
from projections.store_usage import USAGE
from projections.usage_rebuild import Changes, UsageRebuild

RANGE_EVENTS: Final = 500_000
STATEMENT_TIMEOUT_S: Final = 24 * 3600
COLLECTED: Final = ("balances", "accounts", "slots", "names")  # tables rebuilt_…
BALANCE_COLUMNS: Final = BalanceState._fields
ACCOUNT_COLUMNS: Final = AccountState._fields


class Exchange(NamedTuple):
    """Of one read model: all `rows` after the exchange, and the numbers of rows that differed."""

    model: Model
    rows: int
    added: int
    changed: int
    removed: int


class Rebuild:
    """`progress` is called with the number of events read since the last call."""

    def __init__(
        self,
        pool: Pool,
        models: Sequence[Model],
        *,
        progress: Callable[[int], None],
        dry_run: bool = False,
        workers: int = 2,
    ) -> None:
        self._pool = pool
        self._models = models
        self._progress = progress
        self._dry_run = dry_run
        self._slots = asyncio.Semaphore(workers)

    async def run(self) -> list[Exchange]:
        """All shards; the sums by model. Raises RefusalError while another rebuild runs or when the log has holes."""
        async with self._pool.acquire() as holder, holder.transaction():
            await holder.execute(sql("prepare_long_read"))
            if not await holder.fetch(sql("lock_rebuild")):
                raise RefusalError("another rebuild is under way: wait until it has ended")
            try:
                await clear_rebuilt(self._pool)
                shards = [row["shard"] for row in await self._pool.fetch(sql("fetch_cursors"), PROJECTION)]
                tasks = [asyncio.ensure_future(self._rebuild_shard(shard)) for shard in shards]
                return sum_up(self._models, await gather(tasks))
            finally:
                await clear_rebuilt(self._pool)

    async def _rebuild_shard(self, shard: int) -> list[Exchange]:
        async with self._slots, self._pool.acquire() as connection:
            exchanged = []
            if folded := [model for model in self._models if model is not Model.USAGE]:
                exchanged += await self._rebuild_folded(connection, shard, folded)
            if Model.USAGE in self._models:
                exchanged.append(Exchange(Model.USAGE, *await self._rebuild_usage(connection, shard)))
            return exchanged

    async def _rebuild_folded(self, connection: Executor, shard: int, models: Sequence[Model]) -> list[Exchange]:
        """Balances and accounts."""
        rebuilt = ShardRebuild(shard, self._progress, with_steps=Model.BALANCES in models)
        async with connection.transaction(isolation="repeatable_read"):
            await connection.execute(sql("prepare_long_read"))
            await connection.execute(sql("read_along_key"))
            position = await fetch_position(connection, PROJECTION, shard)
            await rebuilt.read_up_to(connection, position)
            await check_log(connection, shard, position, STATEMENT_TIMEOUT_S)
        rebuilt.is_behind_moves = True
        async with exchange_transaction(connection, take_back=self._dry_run):
            await connection.execute(sql("prepare_long_read"))
            position = await connection.fetchval(sql("lock_cursor"), PROJECTION, shard)
            await rebuilt.read_up_to(connection, position)
            await rebuilt.save(connection)
            exchanged = []
            for model in models:
                rows = await connection.fetch(sql(f"replace_{model}"), shard, timeout=STATEMENT_TIMEOUT_S)
                exchanged.append(Exchange(model, *rows[0]))
            if rebuilt.judge is not None:
                mended = await mend_steps(connection, shard, rebuilt.judge, timeout_s=STATEMENT_TIMEOUT_S)
                exchanged.append(Exchange(Model.BALANCES, 0, mended.added, 0, mended.removed))
            return exchanged

    async def _rebuild_usage(self, connection: Executor, shard: int) -> Changes:
        rebuilt = UsageRebuild(shard, self._progress, range_events=RANGE_EVENTS, timeout_s=STATEMENT_TIMEOUT_S)
        # In transactions of their own: ranges are collected once, and no snapshot is held meanwhile.
        await rebuilt.read_up_to(connection, await fetch_position(connection, USAGE, shard))
        async with exchange_transaction(connection, take_back=self._dry_run):
            await connection.execute(sql("prepare_long_read"))
            await rebuilt.read_up_to(connection, await connection.fetchval(sql("lock_cursor"), USAGE, shard))
            return await rebuilt.replace(connection)


async def clear_rebuilt(pool: Pool) -> None:
    """Leave nothing in the tables that a rebuild collects in."""
    for table in COLLECTED:
        await pool.execute(sql(f"clear_rebuilt_{table}"))


async def count_events(pool: Pool, models: Sequence[Model]) -> int:
    """About how many events there are to read: the service may fold more meanwhile. Usage is read by itself."""
    projections = {USAGE if model is Model.USAGE else PROJECTION for model in models}
    rows = [row for projection in projections for row in await pool.fetch(sql("fetch_cursors"), projection)]
    return sum(row["position"] for row in rows)


class ShardRebuild:
    """The balances and accounts of one shard as they grow, in memory; `with_steps`: what is kept of the states that
    were published is judged beside them."""

    def __init__(self, shard: int, progress: Callable[[int], None], *, with_steps: bool) -> None:
        self.shard = shard
        self.judge = StepJudge() if with_steps else None
        self._progress = progress
        self._position = 0
        self.is_behind_moves = False  # what is read from now on has no gaps
        self._balances: dict[BalanceKey, BalanceState] = {}
        self._accounts: dict[str, AccountState] = {}

    async def read_up_to(self, connection: Executor, position: int) -> None:
        """Within a transaction. What is kept behind the cursor comes with the last range that is read under its
        lock."""
        steps = None
        if self.judge is not None:
            first = self._position + 1 if self._position else FIRST_POSITION
            steps = await KeptStates.open(connection, self.shard, first, timeout_s=STATEMENT_TIMEOUT_S)
        while True:
            cut = PositionRange(self.shard, self._position, min(self._position + RANGE_EVENTS, position))
            [whole] = await keep_openings_whole(connection, [cut])
            # Never beyond the cursor: the version before may have left it between an opening and its free grants.
            of = whole._replace(upto=min(whole.upto, position))
            last = of.upto == position
            upto = LAST_POSITION if last and self.is_behind_moves else of.upto
            kept = await steps.take_up_to(upto) if steps is not None else []
            self._apply(await self._read(connection, of, kept), kept)
            self._progress(of.upto - of.after)
            self._position = of.upto
            if last:
                return

    async def _read(self, connection: Executor, of: PositionRange, kept: Sequence[KeptState]) -> Reading:
        """Usage is cut behind the states that are kept as well, so that the fold stops there; that of an account's
        other resource, too, so all of it is folded step by step."""
        non_usage = open_events(await self._fetch(connection, "fetch_account_events", *columns([of])))
        steps: dict[BalanceKey, Sequence[Step]] = dict(collect_steps(non_usage))
        stops = [each for each in kept if of.after < each.position <= of.upto]
        rows = await self._fetch(connection, "sum_usage", of.shard, of.after, of.upto, *find_cuts(steps, stops))
        # Not beside the balances that are stored, but beside those that were rebuilt so far.
        totals = [
            UsageTotal(key, of.shard, events, Step(Kind.USAGE, *run), self._balances.get(key))
            for key, events, run in ((tuple(row[:2]), row[2], row[3:]) for row in rows)
        ]
        return Reading(
            ranges=[of],
            totals=totals,
            non_usage=non_usage,
            steps=dict.fromkeys((total.key for total in totals), ()) | steps,
            balances=self._balances,
            accounts=self._accounts,
        )

    async def _fetch(self, connection: Executor, name: str, *arguments: object) -> Sequence[Any]:
        return await connection.fetch(sql(name), *arguments, timeout=STATEMENT_TIMEOUT_S)

    def _apply(self, reading: Reading, kept: Sequence[KeptState]) -> None:
        if self.is_behind_moves:
            check_contiguous(reading)
        folded = fold_reading(reading) if self.judge is None else fold_reading(reading, keep_every)
        if self.judge is not None:
            self.judge.take(kept, folded.published)
        for balance in (*folded.consumed, *folded.balances):
            self._balances[balance.account_id, balance.resource] = balance
        for account in folded.accounts:
            self._accounts[account.account_id] = account

    async def save(self, connection: Executor) -> None:
        """Balances and accounts into their shadow tables."""
        await copy(connection, "rebuilt_balances", BALANCE_COLUMNS, list(self._balances.values()))
        await copy(connection, "rebuilt_accounts", ACCOUNT_COLUMNS, list(map(account_row, self._accounts.values())))


def find_cuts(steps: Mapping[BalanceKey, Sequence[Step]], stops: Sequence[KeptState]) -> tuple[list[str], list[int]]:
    """Accounts and positions at which a run of usage begins."""
    accounts, _resources, positions = split_positions(steps)
    return accounts + [each.account_id for each in stops], positions + [each.position + 1 for each in stops]


@asynccontextmanager
async def exchange_transaction(connection: Executor, *, take_back: bool) -> AsyncIterator[None]:
    """A transaction; with `take_back` it is rolled back at the end, so the caller sees only what it would do."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    except BaseException:
        await transaction.rollback()
        raise
    if take_back:
        await transaction.rollback()
    else:
        await transaction.commit()


async def copy(connection: Executor, table: str, names: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
    await connection.copy_records_to_table(
        table, schema_name="projections", columns=names, records=rows, timeout=STATEMENT_TIMEOUT_S
    )


async def gather(tasks: Sequence["asyncio.Future[list[Exchange]]"]) -> list[Exchange]:
    """All results; after the first error the others are ended before it is raised."""
    try:
        return [exchange for own in await asyncio.gather(*tasks) for exchange in own]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def sum_up(models: Sequence[Model], exchanges: Sequence[Exchange]) -> list[Exchange]:
    sums = []
    for model in models:
        own = [exchange for exchange in exchanges if exchange.model is model]
        sums.append(Exchange(model, *(sum(e[i] for e in own) for i in range(1, len(Exchange._fields)))))  # type: ignore[misc]
    return sums
