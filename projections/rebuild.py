"""`projections rebuild`: compute the read models of every shard anew and put them in the place of what differs.

With the fold itself, but nobody is told: a rebuild repairs, and what it repairs was told when it happened. A shard is
read in ranges beside the running service; only for the last few events, the comparison and the exchange is its cursor
held, in one transaction. The service passes over a held shard and goes on with the others.
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
from projections.plan import Key, Other, Range, Reading, Total, fold_reading, marked_keys
from projections.store import PROJECTION, account_row, columns, fetch_runs, sql

RANGE_EVENTS: Final = 250_000
STATEMENT_TIMEOUT_S: Final = 24 * 3600
BALANCE_COLUMNS: Final = BalanceState._fields
ACCOUNT_COLUMNS: Final = AccountState._fields


class Model(StrEnum):
    BALANCES = "balances"
    USAGE = "usage"
    ACCOUNTS = "accounts"


class Exchange(NamedTuple):
    """What was put in place of what: `rows` in all, and those that differed."""

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
        async with self._pool.acquire() as connection:
            if not await connection.fetchval(sql("lock_rebuild")):
                raise RefusalError("another rebuild is under way: wait until it has ended")
            await connection.execute(sql("clear_rebuilt"))
            shards = [row["shard"] for row in await connection.fetch(sql("fetch_cursors"), PROJECTION)]
            try:
                tasks = [asyncio.ensure_future(self._rebuild_shard(shard)) for shard in shards]
                return sum_up(self._models, await gather(tasks))
            finally:
                await connection.execute(sql("clear_rebuilt"))

    async def _rebuild_shard(self, shard: int) -> list[Exchange]:
        async with self._slots, self._pool.acquire() as connection:
            rebuilt = ShardRebuild(shard, self._progress)
            cursors = await connection.fetch(sql("fetch_cursors"), PROJECTION)
            await rebuilt.read_up_to(connection, next(row["position"] for row in cursors if row["shard"] == shard))
            async with exchange_transaction(connection, take_back=self._dry_run):
                return await self._exchange(connection, rebuilt)

    async def _exchange(self, connection: Executor, rebuilt: "ShardRebuild") -> list[Exchange]:
        await connection.execute(sql("prepare_long_read"))
        position = await connection.fetchval(sql("lock_cursor"), PROJECTION, rebuilt.shard)
        await rebuilt.read_up_to(connection, position)
        await rebuilt.save(connection)
        exchanged = []
        for model in self._models:
            rows = await connection.fetch(sql(f"replace_{model}"), rebuilt.shard, timeout=STATEMENT_TIMEOUT_S)
            exchanged.append(Exchange(model, *rows[0]))
        return exchanged


async def count_events(pool: Pool) -> int:
    """How many events there are to read, about: the service goes on."""
    return sum(row["position"] for row in await pool.fetch(sql("fetch_cursors"), PROJECTION))


class ShardRebuild:
    """The states of one shard as they grow. Balances and accounts in memory, usage by day in its shadow table."""

    def __init__(self, shard: int, progress: Callable[[int], None]) -> None:
        self.shard = shard
        self._progress = progress
        self._position = 0
        self._balances: dict[Key, BalanceState] = {}
        self._accounts: dict[str, AccountState] = {}

    async def read_up_to(self, connection: Executor, position: int) -> None:
        while self._position < position:
            upto = min(position, self._position + RANGE_EVENTS)
            async with connection.transaction():
                await connection.execute(sql("prepare_long_read"))
                reading = await self._read(connection, [Range(self.shard, self._position, upto)])
            self._apply(reading)
            self._progress(upto - self._position)
            self._position = upto

    async def _read(self, connection: Executor, ranges: Sequence[Range]) -> Reading:
        others = [Other(*row) for row in await self._fetch(connection, "fetch_account_events", ranges)]
        marked = marked_keys(others)
        accounts = sorted({account_id for account_id, _resource in marked})
        return Reading(
            ranges=ranges,
            totals=[self._total(row) for row in await self._fetch(connection, "collect_usage", ranges)],
            others=others,
            runs=await fetch_runs(connection, ranges, accounts) if accounts else (),
            balances=self._balances,
            accounts=self._accounts,
        )

    async def _fetch(self, connection: Executor, name: str, ranges: Sequence[Range]) -> Sequence[Iterable[Any]]:
        return await connection.fetch(sql(name), *columns(ranges), timeout=STATEMENT_TIMEOUT_S)

    def _total(self, row: Iterable[Any]) -> Total:
        account_id, resource, shard, events, amount, position, as_of = row
        key = (account_id, resource)
        return Total(key, shard, events, Step(Kind.USAGE, amount, position, as_of), self._balances.get(key))

    def _apply(self, reading: Reading) -> None:
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
    """A transaction that may be meant only to see what it would do."""
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
