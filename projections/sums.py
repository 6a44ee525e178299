"""Sums of days and of months, so that a page of a year reads thousands of lines instead of hundreds of thousands.

A day is added up from its slots when it is over, and a month from its days, some accounts at a time, while the fold has
little to do; how far that is stands in `usage_days_summed` and `usage_summed`. From then on the fold adds what comes
late (`fold_usage.sql`). Readers take slots where days are not added up yet, and days where months are not, so nothing
waits for this.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from meter.runtime.log import get_logger
from meter.runtime.postgres import Executor, Pool, takes_one_shard, write_transaction
from projections.plan import PositionRange
from projections.store import columns, sql

log = get_logger("sums")
# A day is over everywhere 12 hours after it is in UTC; what comes in the 6 hours after that is most of what comes late.
DAY_SETTLED_AFTER: Final = timedelta(hours=18)
MONTH_SETTLED_AFTER: Final = timedelta(days=2)
PIECE_LINES: Final = 20_000  # of slots or days: some tenths of a second


class Piece(NamedTuple):
    """Days of a shard from `summed` until `target` (not included), of the accounts behind `upto`. `is_void`: there were
    sums, and somebody folded who knows nothing of them."""

    shard: int
    position: int
    summed: date
    target: date
    upto: str
    is_void: bool


def running_day(now: datetime) -> date:
    """The first day that is not added up yet."""
    return (now - DAY_SETTLED_AFTER).date()


def running_month(now: datetime) -> date:
    """The first day of the first month that is not summed up yet."""
    return (now - MONTH_SETTLED_AFTER).date().replace(day=1)


class Level(NamedTuple):
    """What is summed up, until when, and the statements for it."""

    name: str
    running: Callable[[datetime], date]
    sum_up: Sequence[str]
    save: str


DAYS: Final = Level("days", running_day, ["add_up_days"], "save_days_summed")
MONTHS: Final = Level(
    "months", running_month, ["remove_months", "sum_months", "remove_day_kinds", "sum_day_kinds"], "save_summed"
)


class SumStore:
    """One transaction a piece, under the cursor of usage. A piece has no more than so many lines, and days are looked
    for in no more than so many balances."""

    def __init__(
        self, pool: Pool, projection: str, *, piece_lines: int = PIECE_LINES, piece_balances: int = PIECE_LINES
    ) -> None:
        self._pool = pool
        self._projection = projection
        self._piece_lines = piece_lines
        self._piece_balances = piece_balances

    async def sum_up(self, now: datetime) -> bool:
        """Sum up the next accounts, days first. False: nothing is left, or another process holds the cursors, or folds
        and knows nothing of sums: then they begin anew, and it is no use to go on at once."""
        shards: list[int | None] = [None]
        if await takes_one_shard(self._pool):
            shards = [row["shard"] for row in await self._pool.fetch(sql("fetch_cursors"), self._projection)]
        for level in (DAYS, MONTHS):
            for shard in shards:
                if await self._sum_up_of(level, now, shard):
                    return True
        return False

    async def _sum_up_of(self, level: Level, now: datetime, only: int | None) -> bool:
        until = level.running(now)
        async with self._pool.acquire() as connection, write_transaction(connection):
            claimed = await connection.fetch(sql(f"claim_{level.name}"), self._projection, until, only)
            if not claimed:
                return False
            rows = await connection.fetch(sql(f"find_{level.name}_left"), claimed[0]["shard"], until, self._projection)
            return not rows or await self._sum_up(connection, level, Piece(*rows[0]))

    async def _sum_up(self, connection: Executor, level: Level, piece: Piece) -> bool:
        period = piece.summed, piece.target
        if level is DAYS:
            if piece.is_void:
                await connection.execute(sql("forget_months"), piece.shard)
            bounds: tuple[object, ...] = (self._piece_lines, self._piece_balances, *period)
        else:
            bounds = (self._piece_lines,)
        [(upto, is_last)] = await connection.fetch(sql(f"find_next_{level.name}"), piece.shard, piece.upto, *bounds)
        if upto is not None:
            for name in level.sum_up:
                await connection.execute(sql(name), piece.shard, piece.upto, upto, *period)
        done = piece._replace(upto=upto)
        if is_last:
            done = piece._replace(summed=piece.target, upto="")
            log.info(f"{level.name}_summed", shard=piece.shard, until=piece.target.isoformat())
        await connection.execute(sql(level.save), done.shard, done.summed, done.target, done.upto, done.position)
        return is_last or not piece.is_void


async def count_again(connection: Executor, shards: Sequence[int], accounts: Sequence[str]) -> None:
    """The days and months of accounts that got another zone, as far as those of their shards are."""
    for name in ("clear_days", "count_days", "clear_months", "count_months"):
        await connection.execute(sql(name), shards, accounts)


async def follow(connection: Executor, ranges: Sequence[PositionRange]) -> None:
    """Keep that the sums have what was folded in these ranges."""
    await connection.execute(sql("follow_summed"), *columns(ranges))
