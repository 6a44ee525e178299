"""Removes the evidence of old batches, some at a time, each portion in a transaction of its own."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final, NamedTuple

from meter.runtime.errors import RefusalError
from meter.runtime.postgres import Executor, Pool, load_sql, write_transaction
from schemas.topics import ACCOUNTS, USAGE

# A second or so of work, and of rows that a reader of older ones has to pass over.
MOST_ROWS: Final = 50_000
STATEMENTS: Final = ("prune_duplicates", "prune_rejections", "prune_rerouted")


class Pruned(NamedTuple):
    """One portion: the batches of a shard up to this one, and what was removed of them."""

    shard: int
    batch: int
    rows: int
    records: int


async def list_shards_to_prune(pool: Pool) -> list[int]:
    """Raises RefusalError for a role that may not prune."""
    role = await pool.fetchrow(load_sql("meter", "may_prune"))
    if role is None or not role["may"]:
        who = role["name"] if role is not None else "this role"
        raise RefusalError(
            f"{who} may not remove old evidence: nothing was removed. Sign in as credit_pruner in METERING_POSTGRES_DSN"
        )
    return [row["shard"] for row in await pool.fetch(load_sql("meter", "list_shards_to_prune"))]


async def prune_shard(pool: Pool, shard: int, before: datetime, pruned_by: str) -> AsyncIterator[Pruned]:
    """Remove what was recorded before a moment, in the order of batches; a run that is stopped goes on at the next."""
    while True:
        async with pool.acquire() as connection, write_transaction(connection):
            pruned = await prune_portion(connection, shard, before, pruned_by)
        if pruned is None:
            return
        yield pruned


async def prune_portion(connection: Executor, shard: int, before: datetime, pruned_by: str) -> Pruned | None:
    found = await connection.fetchrow(load_sql("meter", "find_prunable"), shard, before, MOST_ROWS)
    if found is None or found["batch"] is None:
        return None
    ends = {USAGE: found["usage_offset"], ACCOUNTS: found["accounts_offset"]}
    moved = await connection.fetchrow(
        load_sql("meter", "advance_pruned"), shard, found["batch"], ends[USAGE], ends[ACCOUNTS], pruned_by
    )
    if moved is None:
        return None
    begins = {USAGE: moved["usage_from"], ACCOUNTS: moved["accounts_from"]}
    rows = records = 0
    for statement in STATEMENTS:
        for topic, end in ends.items():
            [done] = await connection.fetch(load_sql("meter", statement), shard, topic, begins[topic], end)
            rows, records = rows + done["rows"], records + done["records"]
    return Pruned(shard, found["batch"], rows, records)
