"""`projections rebuild`: compute the read models of every shard again from the log and replace the rows that differ.

It uses the fold, but publishes nothing: the service published each change when it happened. It reads a shard in ranges
while the service runs. It locks the shard's cursor only for the last few events and the exchange of rows, in one
transaction; meanwhile the service skips that shard and folds the others.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any, Final, NamedTuple

from meter.runtime.errors import RefusalError
from meter.runtime.postgres import Executor, Pool
from projections.accounts import AccountState
from projections.fold import BalanceState, Kind, Step
from projections.plan import PositionRange, Reading, UsageTotal, fold_reading
from projections.steps import BalanceKey, NonUsageEvent, collect_steps, split_positions
from projections.store import PROJECTION, account_row, columns, keep_openings_whole, sql

RANGE_EVENTS: Final = 500_000  # a line of usage by day costs more the more ranges add to it
STATEMENT_TIMEOUT_S: Final = 24 * 3600
BALANCE_COLUMNS: Final = BalanceState._fields
ACCOUNT_COLUMNS: Final = AccountState._fields


class Model(StrEnum):
    BALANCES = "balances"
    USAGE = "usage"
    ACCOUNTS = "accounts"


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
                await self._pool.execute(sql("clear_rebuilt"))
                shards = [row["shard"] for row in await self._pool.fetch(sql("fetch_cursors"), PROJECTION)]
                tasks = [asyncio.ensure_future(self._rebuild_shard(shard)) for shard in shards]
                return sum_up(self._models, await gather(tasks))
            finally:
                await self._pool.execute(sql("clear_rebuilt"))

    async def _rebuild_shard(self, shard: int) -> list[Exchange]:
        async with self._slots, self._pool.acquire() as connection:
            rebuilt = ShardRebuild(shard, self._progress)
            async with connection.transaction(isolation="repeatable_read"):
                await connection.execute(sql("prepare_long_read"))
                cursors = await connection.fetch(sql("fetch_cursors"), PROJECTION)
                position = next(row["position"] for row in cursors if row["shard"] == shard)
                await rebuilt.read_up_to(connection, position, less_stored=True)
            async with exchange_transaction(connection, take_back=self._dry_run):
                return await self._exchange(connection, rebuilt)

    async def _exchange(self, connection: Executor, rebuilt: "ShardRebuild") -> list[Exchange]:
        await connection.execute(sql("prepare_long_read"))
        position = await connection.fetchval(sql("lock_cursor"), PROJECTION, rebuilt.shard)
        # Before reading on: the fold has added to the stored lines already what is read from here on.
        exchanged = [await rebuilt.replace_usage(connection)] if Model.USAGE in self._models else []
        await rebuilt.read_up_to(connection, position, less_stored=False)
        await rebuilt.save(connection)
        for model in self._models:
            if model is not Model.USAGE:
                rows = await connection.fetch(sql(f"replace_{model}"), rebuilt.shard, timeout=STATEMENT_TIMEOUT_S)
                exchanged.append(Exchange(model, *rows[0]))
        return exchanged


async def count_events(pool: Pool) -> int:
    """About how many events there are to read: the service may fold more meanwhile."""
    return sum(row["position"] for row in await pool.fetch(sql("fetch_cursors"), PROJECTION))


class ShardRebuild:
    """The states of one shard as they grow: balances and accounts in memory.

    Of usage by day, millions of lines, only the differences are kept, in their shadow table: what the log says less
    what is stored, in one snapshot. The fold adds the same to both sides, so a difference stays true meanwhile.
    """

    def __init__(self, shard: int, progress: Callable[[int], None]) -> None:
        self.shard = shard
        self._progress = progress
        self._position = 0
        self._balances: dict[BalanceKey, BalanceState] = {}
        self._accounts: dict[str, AccountState] = {}

    async def read_up_to(self, connection: Executor, position: int, *, less_stored: bool) -> None:
        """With `less_stored` the connection's snapshot must be the one that `position` is of."""
        while True:
            cut = PositionRange(self.shard, self._position, min(self._position + RANGE_EVENTS, position))
            # Never beyond the cursor: the version before may have left it between an opening and its free grants.
            [of] = [cut] if cut.upto == position else await keep_openings_whole(connection, [cut])
            last = of.upto == position
            self._apply(await self._read(connection, of, less_stored=less_stored and last))
            self._progress(of.upto - of.after)
            self._position = of.upto
            if last:
                return

    async def _read(self, connection: Executor, of: PositionRange, *, less_stored: bool) -> Reading:
        non_usage = [
            NonUsageEvent(*row) for row in await self._fetch(connection, "fetch_account_events", *columns([of]))
        ]
        steps = collect_steps(non_usage)
        rows = await self._fetch(connection, "collect_usage", *of, less_stored, *split_positions(steps))
        return Reading(
            ranges=[of],
            totals=list(map(self._total, rows)),
            non_usage=non_usage,
            steps=steps,
            balances=self._balances,
            accounts=self._accounts,
        )

    async def _fetch(self, connection: Executor, name: str, *arguments: object) -> Sequence[Any]:
        return await connection.fetch(sql(name), *arguments, timeout=STATEMENT_TIMEOUT_S)

    def _total(self, row: Iterable[Any]) -> UsageTotal:
        account_id, resource, events, amount, position, as_of = row
        key = (account_id, resource)
        return UsageTotal(key, self.shard, events, Step(Kind.USAGE, amount, position, as_of), self._balances.get(key))

    def _apply(self, reading: Reading) -> None:
        folded = fold_reading(reading)
        for balance in (*folded.consumed, *folded.balances):
            self._balances[balance.account_id, balance.resource] = balance
        for account in folded.accounts:
            self._accounts[account.account_id] = account

    async def replace_usage(self, connection: Executor) -> Exchange:
        rows = await self._fetch(connection, "replace_usage", self.shard)
        return Exchange(Model.USAGE, *rows[0])

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
