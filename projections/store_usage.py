"""The usage projection: where credits went, by slots of 15 minutes and by the account's own day.

It follows the balances with transactions and a cursor of its own, so that it may take its time: it folds large pieces,
which share lines, and is up to three seconds behind under load. `fold_usage.sql` is the fold: all of it happens in the
database.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Final, NamedTuple

import asyncpg

from meter.runtime.fault_points import fault_point
from meter.runtime.log import get_logger
from meter.runtime.postgres import Executor, Pool, savepoint, takes_one_shard, transpose, write_transaction
from projections import sums
from projections.plan import PositionRange, count_events
from projections.sealed import fetch_opened_items
from projections.store import PROJECTION, ShardLag, columns, share, sql

log = get_logger("usage")
USAGE: Final = "usage"
# They take a tenth of a second or so: the own price of a transaction is small beside it, and balances wait for little.
PIECE_EVENTS: Final = 10_000


class MovedAccount(NamedTuple):
    """An account whose days are counted in another zone from now on; None: in UTC."""

    shard: int
    account_id: str
    time_zone: str | None


class Folded(NamedTuple):
    """Events of one transaction, and those that waited when it began in all shards that no other process had, these
    among them."""

    events: int
    waiting: int

    @property
    def together(self) -> int:
        """What a transaction of all shards would have.

        They are folded one after another, so the others have waited for a part of a round each: on average for half.
        """
        return 2 * self.waiting - self.events


class UsageStore:
    """One transaction a piece, under the cursors of usage."""

    def __init__(self, pool: Pool, *, most_events: int) -> None:
        self._pool = pool
        self._most_events = most_events
        self._sums = sums.SumStore(pool, USAGE)
        self._numbers = count(1)
        self._taken: dict[int, int] = {}  # when each shard was last taken, by number

    async def fold(self) -> Folded:
        """Fold the next events; none when none wait, or another process folds them."""
        if not await takes_one_shard(self._pool):
            return await self._fold(None)
        behind = [row["shard"] for row in await self._pool.fetch(sql("find_usage_behind"), USAGE, PROJECTION)]
        done = [await self._fold(shard) for shard in behind]
        return Folded(*map(sum, transpose(done, 2)))

    async def _fold(self, only: int | None) -> Folded:
        async with self._pool.acquire() as connection:
            async with write_transaction(connection):
                waiting = await self._claim(connection, only)
                if not waiting:
                    return Folded(0, 0)
                ranges = share(choose_shards(waiting, self._taken), self._most_events)
                self._taken |= {each.shard: next(self._numbers) for each in ranges}
                await move_days(connection, ranges)
                await fold_ranges(connection, ranges)
                await sums.follow(connection, ranges)
                await connection.execute(
                    sql("save_items"), *columns(ranges), *await fetch_opened_items(connection, ranges)
                )
                await connection.execute(sql("forget_owners"), *columns(ranges))
                await connection.execute(sql("advance_cursors"), USAGE, columns(ranges)[0], columns(ranges)[2])
                await fault_point("usage_before_commit")
            await fault_point("usage_after_commit")
        return Folded(count_events(ranges), count_events(waiting))

    async def sum_up(self, now: datetime) -> bool:
        """Add up days and months that are over, of some accounts. False: nothing was left to do."""
        return await self._sums.sum_up(now)

    async def _claim(self, connection: Executor, only: int | None) -> list[PositionRange]:
        rows = await connection.fetch(sql("claim_usage"), USAGE, PROJECTION, only)
        return [PositionRange(row["shard"], row["after"], row["head"]) for row in rows]

    async def measure_lag(self) -> list[ShardLag]:
        return [ShardLag(*row) for row in await self._pool.fetch(sql("measure_lag"), USAGE)]


def choose_shards(waiting: Iterable[PositionRange], taken: Mapping[int, int]) -> list[PositionRange]:
    """Those that were taken longest ago, until they are worth a transaction; the others come in the next ones.

    An account is in one shard, so a piece of few shards has as few lines for its events as one of all, and it takes a
    processor for less time at once: balances wait for less beside it.
    """
    chosen: list[PositionRange] = []
    for each in sorted(waiting, key=lambda each: taken.get(each.shard, 0)):
        if count_events(chosen) < PIECE_EVENTS:
            chosen.append(each)
    return chosen


async def move_days(connection: Executor, ranges: Sequence[PositionRange]) -> None:
    """Count the days of accounts anew that got another zone, before more is added to them."""
    moved = [MovedAccount(*row) for row in await connection.fetch(sql("find_moved_accounts"), *columns(ranges))]
    if not moved:
        return
    shards, accounts, zones = transpose(moved, len(MovedAccount._fields))
    await connection.execute(sql("save_zones"), shards, accounts, zones)
    await sums.count_again(connection, shards, accounts)


async def fold_ranges(
    connection: Executor,
    ranges: Sequence[PositionRange],
    *,
    only_collect: bool = False,
    timeout: float | None = None,
) -> None:
    """Add the ranges to the read models, or to what a rebuild collects.

    JSON may hold numbers that no type of Postgres holds. They are so rare that they are looked for only where the usual
    way has failed, and in the shard that has one: it takes about four times as long.
    """
    try:
        async with savepoint(connection):
            await connection.fetchval(sql("fold_usage"), *columns(ranges), only_collect, False, timeout=timeout)
    except (asyncpg.DataError, asyncpg.ProgramLimitExceededError):
        if len(ranges) > 1:
            for one in ranges:
                await fold_ranges(connection, [one], only_collect=only_collect, timeout=timeout)
            return
        log.info("usage_folded_carefully", shard=ranges[0].shard)
        await connection.fetchval(sql("fold_usage"), *columns(ranges), only_collect, True, timeout=timeout)
