"""Sums of whole months, so that a page of a year reads thousands of lines instead of hundreds of thousands.

A month is summed up from its days when it is over, some accounts at a time, while the fold has little to do; how far
that is stands in `usage_summed`. From then on the fold adds what comes late (`fold_usage.sql`). Readers take days where
months are not summed up yet, so nothing waits for this.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from meter.runtime.log import get_logger
from meter.runtime.postgres import Executor, Pool, takes_one_shard, write_transaction
from projections.plan import PositionRange
from projections.store import columns, sql

log = get_logger("months")
# What comes within these days of the end of a month is still added to days alone, and is most of what comes late.
SETTLED_AFTER: Final = timedelta(days=2)
PIECE_LINES: Final = 20_000  # of days: some tenths of a second


class Piece(NamedTuple):
    """Months of a shard from `summed` until `target` (not included), of the accounts behind `upto`."""

    shard: int
    position: int
    summed: date
    target: date
    upto: str


def running_month(now: datetime) -> date:
    """The first day of the first month that is not summed up yet."""
    return (now - SETTLED_AFTER).date().replace(day=1)


class MonthStore:
    """One transaction a piece, under the cursor of usage."""

    def __init__(self, pool: Pool, projection: str, *, piece_lines: int = PIECE_LINES) -> None:
        self._pool = pool
        self._projection = projection
        self._piece_lines = piece_lines

    async def sum_up(self, now: datetime) -> bool:
        """Sum up the next accounts. False: nothing is left, or another process holds the cursors."""
        if not await takes_one_shard(self._pool):
            return await self._sum_up_of(now, None)
        rows = await self._pool.fetch(sql("fetch_cursors"), self._projection)
        return any([await self._sum_up_of(now, row["shard"]) for row in rows])

    async def _sum_up_of(self, now: datetime, only: int | None) -> bool:
        async with self._pool.acquire() as connection, write_transaction(connection):
            rows = await connection.fetch(sql("claim_months"), self._projection, running_month(now), only)
            if not rows:
                return False
            await self._sum_up(connection, Piece(*rows[0]))
        return True

    async def _sum_up(self, connection: Executor, piece: Piece) -> None:
        rows = await connection.fetch(sql("find_next_months"), piece.shard, piece.upto, self._piece_lines)
        [(upto, lines)] = rows
        if upto is not None:
            for name in ("remove_months", "sum_months", "remove_day_kinds", "sum_day_kinds"):
                await connection.execute(sql(name), piece.shard, piece.upto, upto, piece.summed, piece.target)
        if lines < self._piece_lines:
            await save(connection, piece._replace(summed=piece.target, upto=""))
            log.info("months_summed", shard=piece.shard, until=piece.target.isoformat())
        else:
            await save(connection, piece._replace(upto=upto))


async def save(connection: Executor, piece: Piece) -> None:
    await connection.execute(
        sql("save_summed"), piece.shard, piece.summed, piece.target, piece.upto, piece.position
    )  # fmt: skip


async def count_again(connection: Executor, shards: Sequence[int], accounts: Sequence[str]) -> None:
    """The months of accounts whose days were counted anew in another zone."""
    await connection.execute(sql("clear_months"), shards, accounts)
    await connection.execute(sql("count_months"), shards, accounts)


async def follow(connection: Executor, ranges: Sequence[PositionRange]) -> None:
    """Keep that the sums have what was folded in these ranges."""
    await connection.execute(sql("follow_summed"), *columns(ranges))
