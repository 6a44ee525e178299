"""`projections rebuild`: compute the read models of every shard again from the log and replace the rows that differ.

It uses the fold, but publishes nothing: the service published each change when it happened. It reads a shard in ranges
while the service runs. It locks the shard's cursor only for the last few events and the exchange of rows, in one
transaction; meanwhile the service skips that shard and folds the others. Usage has a cursor and a rebuild of its own
(`usage_rebuild.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from meter.runtime.errors import RefusalError
from meter.runtime.postgres import Executor, Pool
from projections.accounts import AccountState
from projections.fold import BalanceState
from projections.models import Model as Model
from projections.plan import PositionRange, Reading, check_contiguous, fold_reading
from projections.rebuild_steps import mend_steps
from projections.steps import BalanceKey, collect_steps, split_positions
from projections.store import (
    PROJECTION,
    account_row,
    as_usage_total,
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
        rebuilt = ShardRebuild(shard, self._progress)
        async with connection.transaction(isolation="repeatable_read"):
            await connection.execute(sql("prepare_long_read"))
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
            if Model.BALANCES in models:
                mended = await mend_steps(connection, shard, position, timeout_s=STATEMENT_TIMEOUT_S)
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
    """The balances and accounts of one shard as they grow, in memory."""

    def __init__(self, shard: int, progress: Callable[[int], None]) -> None:
        self.shard = shard
        self._progress = progress
        self._position = 0
        self.is_behind_moves = False  # what is read from now on has no gaps
        self._balances: dict[BalanceKey, BalanceState] = {}
        self._accounts: dict[str, AccountState] = {}

    async def read_up_to(self, connection: Executor, position: int) -> None:
        while True:
            cut = PositionRange(self.shard, self._position, min(self._position + RANGE_EVENTS, position))
            # Never beyond the cursor: the version before may have left it between an opening and its free grants.
            [of] = [cut] if cut.upto == position else await keep_openings_whole(connection, [cut])
            last = of.upto == position
            self._apply(await self._read(connection, of))
            self._progress(of.upto - of.after)
            self._position = of.upto
            if last:
                return

    async def _read(self, connection: Executor, of: PositionRange) -> Reading:
        non_usage = open_events(await self._fetch(connection, "fetch_account_events", *columns([of])))
        steps = collect_steps(non_usage)
        rows = await self._fetch(connection, "sum_usage", *columns([of]), *split_positions(steps))
        # Not beside the balances that are stored, but beside those that were rebuilt so far.
        totals = [total._replace(state=self._balances.get(total.key)) for total in map(as_usage_total, rows)]
        return Reading(
            ranges=[of],
            totals=totals,
            non_usage=non_usage,
            steps=steps,
            balances=self._balances,
            accounts=self._accounts,
        )

    async def _fetch(self, connection: Executor, name: str, *arguments: object) -> Sequence[Any]:
        return await connection.fetch(sql(name), *arguments, timeout=STATEMENT_TIMEOUT_S)

    def _apply(self, reading: Reading) -> None:
        if self.is_behind_moves:
            check_contiguous(reading)
        folded = fold_reading(reading)
        for balance in (*folded.consumed, *folded.balances):
            self._balances[balance.account_id, balance.resource] = balance
        for account in folded.accounts:
            self._accounts[account.account_id] = account

    async def save(self, connection: Executor) -> None:
        """Balances and accounts into their shadow tables."""
        await copy(connection, "rebuilt_balances", BALANCE_COLUMNS, list(self._balances.values()))
        await copy(connection, "rebuilt_accounts", ACCOUNT_COLUMNS, list(map(account_row, self._accounts.values())))


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
