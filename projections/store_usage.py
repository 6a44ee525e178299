"""The usage projection: where credits went, by slots of 15 minutes and by the account's own day.

It follows the balances with transactions and a cursor of its own, so that it may take its time: it folds large pieces,
which share lines, and is up to three seconds behind under load. `fold_usage.sql` is the fold: all of it happens in the
database.
"""

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Final, NamedTuple

import asyncpg

from meter.runtime.fault_points import fault_point
from meter.runtime.log import get_logger
from meter.runtime.postgres import Executor, Pool, savepoint, takes_one_shard, transpose, write_transaction
from projections import sums
from projections.piece_sizes import PieceSizes
from projections.plan import PositionRange, count_events
from projections.sealed import fetch_opened_items
from projections.store import PROJECTION, ShardLag, columns, share, sql

log = get_logger("usage")
USAGE: Final = "usage"
# They take a tenth of a second or so: the own price of a transaction is small beside it, and balances wait for little.
PIECE_EVENTS: Final = 10_000
BALANCES_FIRST: Final = 50_000  # events in no balance yet: then usage takes no more of the machine than it must


class MovedAccount(NamedTuple):
    """An account whose days are counted in another zone from now on; None: in UTC."""

    shard: int
    account_id: str
    time_zone: str | None


class Folded(NamedTuple):
    """Events that were folded; those that waited when it began in all shards that nobody else had, these among them;
    and for how many seconds the first of those that were folded was stored. `is_cut`: a piece took too long, and the
    next one of its shards is smaller."""

    events: int
    waiting: int
    waits_s: float = 0.0
    is_cut: bool = False

    @property
    def together(self) -> int:
        """What a transaction of all shards would have.

        They are folded one after another, so the others have waited for a part of a round each: on average for half.
        """
        return 2 * self.waiting - self.events


class UsageStore:
    """One transaction a piece, under the cursors of usage. Several tasks may fold at once."""

    def __init__(self, pool: Pool, *, most_events: int) -> None:
        self._pool = pool
        self._most_events = most_events
        self._sizes = PieceSizes(most_events)
        self._sums = sums.SumStore(pool, USAGE)
        self._numbers = count(1)
        self._taken: dict[int, int] = {}  # when each shard was last taken, by number
        self._busy: set[int] = set()  # shards that tasks of this process fold now
        self._held: dict[int, None] = {}  # shards that this process did not get when it last asked, longest ago first

    async def fold(self) -> Folded:
        """Fold the next events; none when none wait, or others fold them."""
        rows = await self._pool.fetch(sql("find_usage_behind"), USAGE, PROJECTION)
        balances_first = sum(row["unfolded"] for row in rows) > BALANCES_FIRST
        waits_s = {} if balances_first else {(row["shard"], row["after"]): row["waits_s"] for row in rows}
        behind = [PositionRange(row["shard"], row["after"], row["head"]) for row in rows]
        random.shuffle(behind)  # other processes are at them as well
        singly = await takes_one_shard(self._pool)
        done = Folded(0, 0)
        while free := [each for each in behind if each.shard not in self._busy]:
            chosen = free[:1] if singly else self._choose(free)
            claimed, events = await self._fold([each.shard for each in chosen])
            behind = [each for each in free if each not in chosen]
            if claimed and not events:
                done = done._replace(is_cut=True)
            elif claimed:
                late_s = max(waits_s.get((each.shard, each.after), 0.0) for each in claimed)
                waiting = done.waiting + count_events(claimed)
                done = Folded(done.events + events, waiting, max(done.waits_s, late_s), done.is_cut)
                if not singly:
                    others = [each for each in behind if each.shard not in self._held.keys() | self._busy]
                    return done._replace(waiting=done.waiting + count_events(others))
        return done

    def _choose(self, free: Sequence[PositionRange]) -> list[PositionRange]:
        first, *others = choose_shards(free, self._taken, self._held)
        if self._sizes.is_apart(first.shard):
            return [first]
        return [first, *(each for each in others if not self._sizes.is_apart(each.shard))]

    async def _fold(self, shards: Sequence[int]) -> tuple[list[PositionRange], int]:
        """What waited in those that no other process has, and how many of these events were folded: none where that
        took longer than a statement may, and smaller pieces are left to try."""
        self._busy |= set(shards)
        started_s = time.monotonic()
        claimed: list[PositionRange] = []
        ranges: list[PositionRange] = []
        try:
            async with self._pool.acquire() as connection:
                async with write_transaction(connection):
                    claimed = await self._claim(connection, shards)
                    self._note_held(shards, claimed)
                    ranges = share(map(self._sizes.cut, claimed), self._most_events)
                    if not ranges:
                        return [], 0
                    self._taken |= {each.shard: next(self._numbers) for each in ranges}
                    await fold_piece(connection, ranges)
                    await fault_point("usage_before_commit")
                self._sizes.note_folded(ranges, time.monotonic() - started_s)
                await fault_point("usage_after_commit")
            return claimed, count_events(ranges)
        except asyncpg.QueryCanceledError:
            took_s = time.monotonic() - started_s
            if not self._sizes.note_cancelled(ranges, took_s):
                raise
            of = {"shards": [each.shard for each in ranges], "events": count_events(ranges)}
            log.info("usage_piece_cut", **of, took_s=round(took_s, 1))
            return claimed, 0
        finally:
            self._busy -= set(shards)

    def _note_held(self, asked: Sequence[int], claimed: Sequence[PositionRange]) -> None:
        for shard in asked:
            self._held.pop(shard, None)
        self._held |= dict.fromkeys(set(asked) - {each.shard for each in claimed})

    async def sum_up(self, now: datetime) -> bool:
        """Add up days and months that are over, of some accounts. False: nothing was left to do."""
        return await self._sums.sum_up(now)

    async def _claim(self, connection: Executor, shards: Sequence[int]) -> list[PositionRange]:
        rows = await connection.fetch(sql("claim_usage"), USAGE, PROJECTION, shards)
        claimed = [PositionRange(row["shard"], row["after"], row["head"]) for row in rows]
        return sorted(claimed, key=lambda each: shards.index(each.shard))

    async def measure_lag(self) -> list[ShardLag]:
        return [ShardLag(*row) for row in await self._pool.fetch(sql("measure_lag"), USAGE)]


def choose_shards(
    waiting: Iterable[PositionRange], taken: Mapping[int, int], held: Iterable[int] = ()
) -> list[PositionRange]:
    """Those that were taken longest ago, until they are worth a transaction; the others come in the next ones. And one
    of those that others had, because nobody says when they let go of it: to ask for a cursor in vain costs nothing.

    An account is in one shard, so a piece of few shards has as few lines for its events as one of all, and it takes a
    processor for less time at once: balances wait for less beside it.
    """
    by_shard = {each.shard: each for each in waiting}
    again = [by_shard.pop(shard) for shard in held if shard in by_shard]
    chosen: list[PositionRange] = []
    for each in sorted(by_shard.values(), key=lambda each: taken.get(each.shard, 0)):
        if count_events(chosen) < PIECE_EVENTS:
            chosen.append(each)
    return chosen + again[:1]


async def fold_piece(connection: Executor, ranges: Sequence[PositionRange]) -> None:
    """All that follows from the ranges, and their cursors."""
    await move_days(connection, ranges)
    await fold_ranges(connection, ranges)
    await sums.follow(connection, ranges)
    await connection.execute(sql("save_items"), *columns(ranges), *await fetch_opened_items(connection, ranges))
    await connection.execute(sql("forget_owners"), *columns(ranges))
    await connection.execute(sql("advance_cursors"), USAGE, columns(ranges)[0], columns(ranges)[2])


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
    way has failed, and in the shard that has one.
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
