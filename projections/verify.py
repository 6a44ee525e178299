"""`projections verify`: compute the read models from the log anew, in plain SQL, and list every difference.

Shares no code with the fold, so that a fault in one does not hide in the other. Each shard is looked at in one
snapshot of its log, its cursor and its read models; the service goes on meanwhile.
"""

from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from meter.runtime.postgres import Executor, Pool
from projections.store import PROJECTION, sql

COMPARISONS: Final = ("balances", "usage", "accounts")
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
    shard: int
    events: int
    differences: list[Difference]


async def verify(pool: Pool) -> AsyncIterator[ShardReport]:
    """Shard by shard."""
    for shard, _position in await pool.fetch(sql("fetch_cursors"), PROJECTION):
        async with (
            pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield await verify_shard(connection, shard)


async def verify_shard(connection: Executor, shard: int) -> ShardReport:
    await connection.execute(sql("prepare_long_read"))
    # Read again: this is the first look of the snapshot that everything below is compared in.
    cursors = await connection.fetch(sql("fetch_cursors"), PROJECTION)
    position = next(row["position"] for row in cursors if row["shard"] == shard)
    differences = await find_holes(connection, shard, position)
    for model in COMPARISONS:
        rows = await connection.fetch(sql(f"compare_{model}"), shard, position, timeout=STATEMENT_TIMEOUT_S)
        differences += [Difference(shard, model, *row) for row in rows]
    return ShardReport(shard, position, differences)


async def find_holes(connection: Executor, shard: int, position: int) -> list[Difference]:
    count = await connection.fetchval(sql("count_log"), shard, position, timeout=STATEMENT_TIMEOUT_S)
    if count == position:
        return []
    return [Difference(shard, "log", "", f"events up to position {position}", str(position), str(count))]
