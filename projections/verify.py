"""`projections verify`: compute the read models again from the log, and list every difference.

In plain SQL, but for the rules of epochs, which `walk.py` tells a second time, and what is told of items. Shares no
code with the fold, so that a fault in one does not hide in the other. Each shard is looked at in one snapshot of its
log, its cursor, its read models and its notices; the services go on meanwhile.

**Notices** are the notifier's, but what they must be follows from the log: which lines each epoch reached, whether its
start had reached them already (seeded), its allocation, and, for the position a notice names, what was consumed by then
and what had to become of it. Where between two grants or reversals a notice was made, and so which of several lines
was delivered and which superseded, depends on how fast it went: a notice is held to the position it names itself.

The notifier comes later than the fold. A balance must be noticed up to the last change of it that the notifier has
read; and up to the end when the notifier has read a later change of anybody in the shard, because these come in the
order of positions. What was reached after that is on its way, and counted. With `settled` nothing may be.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final, NamedTuple

from meter.runtime.postgres import Executor, Pool, transpose
from projections.epoch_columns import epoch_columns
from projections.sealed import fetch_opened
from projections.store import PROJECTION, as_array, count_log, fetch_position, sql
from projections.store_usage import USAGE
from projections.verify_items import fetch_items
from projections.verify_letters import Period, compare_letters
from projections.walk import Epoch, EpochStep, Walk, walk
from schemas.zones import known_zones

BALANCES: Final = "balances"
COMPARISONS: Final = (BALANCES, "accounts")  # as far as balances have come
ITEMS: Final = "items"
USAGE_COMPARISONS: Final = ("slots", "days", "months", "day_kinds", "zones", ITEMS)  # as far as usage has
STATES: Final = "published states"
NOTICES: Final = "notices"
LETTERS: Final = "letters"
STATEMENT_TIMEOUT_S: Final = 24 * 3600


class Difference(NamedTuple):
    """`stored` and `log` are JSON, or None where one side has no such row."""

    shard: int
    model: str
    account_id: str
    what: str
    stored: str | None
    log: str | None


class ShardReport(NamedTuple):
    """`waiting`: notices that are still on their way, `ending`: letters that nobody is owed any more and that end when
    it is their turn. None where notices and letters were not compared."""

    shard: int
    events: int
    differences: list[Difference]
    waiting: int | None = None
    ending: int | None = None


class NoticeRules(NamedTuple):
    """Thresholds for shards that the notifier has recorded none of. `settled`: nothing is on its way."""

    banner: Sequence[int]
    email: Sequence[int]
    settled: bool = False


async def find_obstacle(pool: Pool) -> str | None:
    """Why notices cannot be compared, or None."""
    [(_log, readable)] = await pool.fetch(sql("check_rights"))
    if readable is None:
        return "the notifier's tables are not in this database: run `meter setup`"
    if readable is False:
        return "the role of METERING_POSTGRES_DSN may not read the notifier's tables: use credit_support there"
    return None


async def verify(pool: Pool, rules: NoticeRules | None = None, *, workers: int = 2) -> AsyncIterator[ShardReport]:
    """In the order of shards, `workers` of them at a time; notices only where there are rules for them."""
    room = asyncio.Semaphore(workers)

    async def report(shard: int) -> ShardReport:
        async with (
            room,
            pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            return await verify_shard(connection, shard, rules)

    shards = [row["shard"] for row in await pool.fetch(sql("fetch_cursors"), PROJECTION)]
    reports = [asyncio.ensure_future(report(shard)) for shard in shards]
    try:
        for each in reports:
            yield await each
    finally:
        for each in reports:
            each.cancel()
        await asyncio.gather(*reports, return_exceptions=True)


async def verify_shard(connection: Executor, shard: int, rules: NoticeRules | None) -> ShardReport:
    await connection.execute(sql("prepare_long_read"))
    await connection.execute(sql("prepare_side_by_side"))
    # Read again: this is the first look of the snapshot that everything below is compared in.
    position = await fetch_position(connection, PROJECTION, shard)
    differences = await find_holes(connection, shard, position)
    steps = await fetch(connection, "list_epoch_steps", shard, position)
    ends, epochs = walk(EpochStep(*row)._replace(consumed=int(row["consumed"])) for row in steps)
    opened = await fetch_opened(connection, shard, position)
    for model in COMPARISONS:
        accounts = sorted(known_zones().values()), *opened.columns
        told: Iterable[object] = end_columns(ends) if model == BALANCES else accounts
        rows = await fetch(connection, f"compare_{model}", shard, position, *told)
        differences += [Difference(shard, model, *row) for row in rows]
    usage_position = await fetch_position(connection, USAGE, shard)
    for comparison in USAGE_COMPARISONS:
        told = await fetch_items(connection, shard, usage_position) if comparison == ITEMS else ()
        rows = await fetch(connection, f"compare_{comparison}", shard, usage_position, *told)
        differences += [Difference(shard, USAGE, *row) for row in rows]
    rows = await fetch(connection, "compare_steps", shard, position, *epoch_columns(epochs))
    differences += [Difference(shard, STATES, *row) for row in rows]
    if rules is None:
        return ShardReport(shard, position, differences)
    periods = await fetch_periods(connection, shard, rules)
    found, waiting = await compare_notices(connection, shard, position, rules, periods, epochs)
    letters = await compare_letters(connection, shard, position, epochs, periods, opened)
    found += [Difference(shard, LETTERS, *row) for row in letters.found]
    return ShardReport(shard, position, differences + found, waiting, letters.ending)


async def find_holes(connection: Executor, shard: int, position: int) -> list[Difference]:
    count = await count_log(connection, shard, position, STATEMENT_TIMEOUT_S)
    if count == position:
        return []
    return [Difference(shard, "log", "", f"events up to position {position}", str(position), str(count))]


async def fetch(connection: Executor, name: str, *arguments: object) -> Sequence[Any]:
    return await connection.fetch(sql(name), *arguments, timeout=STATEMENT_TIMEOUT_S)


async def fetch_periods(connection: Executor, shard: int, rules: NoticeRules) -> list[Period]:
    """Never empty: before a notifier has recorded its thresholds, those of the rules count from the beginning."""
    rows = await fetch(connection, "list_thresholds", shard)
    return [Period(*row) for row in rows] or [Period(1, rules.banner, rules.email)]


def literal(values: Iterable[int]) -> str:
    """An array as text: Postgres has no array of arrays of different lengths."""
    return "{" + ",".join(map(str, values)) + "}"


def end_columns(ends: Iterable[Walk]) -> tuple[list[object], ...]:
    rows = [
        (end.account_id, end.resource, str(end.granted), as_array(end.totals), str(end.base), end.epoch) for end in ends
    ]
    return transpose(rows, 6)


async def compare_notices(
    connection: Executor,
    shard: int,
    position: int,
    rules: NoticeRules,
    periods: Sequence[Period],
    epochs: Sequence[Epoch],
) -> tuple[list[Difference], int]:
    """Differences, and how many notices are still on their way."""
    thresholds = transpose([(period.position, literal(period.banner), literal(period.email)) for period in periods], 3)
    parameters = (periods[0].position, rules.settled, *thresholds, *epoch_columns(epochs))
    rows = await fetch(connection, "compare_notices", shard, position, *parameters)
    *found, (_nobody, _what, _stored, waiting) = rows
    return [Difference(shard, NOTICES, *row) for row in found], int(waiting)
