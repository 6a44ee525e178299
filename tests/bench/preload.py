"""Millions of events there before a run: made in the database in valid chained batches, folded by the service."""

import asyncio
from datetime import UTC, datetime, timedelta

from meter.runtime.postgres import load_sql
from schemas.topics import partition_for
from tests.bench.databases import SQL, connect, read_progress
from tests.bench.events import account_name
from tests.bench.scenario import Scenario, catch_up
from tests.bench.servers import PARTITIONS

BATCH_ROWS = 20_000
CONNECTIONS = 2
# Before the workload's own events, so that these go to the right edge of the index, as they do in life.
START, SPAN = datetime(2025, 12, 2, tzinfo=UTC), timedelta(days=30)


async def preload(scenario: Scenario, events: int, *, usage: bool) -> float:
    """Add events to the scenario's template; return how many a second the projections then folded into balances.

    `usage`: also into usage. Else it is left out, and nothing of it is left to do beside what is measured later.
    """
    dsn = scenario.bench.databases.address(scenario.template)
    shards = asyncio.Queue[int]()
    for shard in range(PARTITIONS):
        shards.put_nowait(shard)
    accounts = accounts_by_shard(scenario.accounts)
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(fill_shards(dsn, shards, accounts, events // PARTITIONS))
    async with connect(dsn) as connection:
        await connection.execute("VACUUM ANALYZE meter.events", timeout=600)
        before = await read_progress(connection)
    seconds = await fold(scenario, before.stored, "is_folded")
    if not usage:
        async with connect(dsn) as connection:
            await connection.execute(load_sql(SQL, "skip_usage"))
    await fold(scenario, before.stored, "is_settled")
    return (before.stored - before.folded) / seconds


async def fold(scenario: Scenario, rows: int, until: str) -> float:
    dsn = scenario.bench.databases.address(scenario.template)
    return await catch_up(scenario.bench, dsn, scenario.settings(dsn), rows, ("projections",), until)


async def rewind_offsets(scenario: Scenario) -> None:
    async with connect(scenario.bench.databases.address(scenario.template)) as connection:
        await connection.execute(load_sql(SQL, "rewind_offsets"))


async def fill_shards(dsn: str, shards: asyncio.Queue[int], accounts: list[list[str]], events: int) -> None:
    async with connect(dsn) as connection:
        await connection.execute("SET work_mem = '64MB'")
        while not shards.empty():
            shard = shards.get_nowait()
            step = SPAN / max(events, 1)
            for first in range(0, events, BATCH_ROWS):
                rows = min(BATCH_ROWS, events - first)
                async with connection.transaction():
                    moment = START + first * step
                    await connection.execute(
                        load_sql(SQL, "preload_batch"), shard, rows, accounts[shard], moment, step, timeout=600
                    )
                    await connection.execute(load_sql(SQL, "advance_preloaded"), shard)


def accounts_by_shard(accounts: int) -> list[list[str]]:
    """The most used first, as in the workload."""
    shards: list[list[str]] = [[] for _ in range(PARTITIONS)]
    for name in map(account_name, range(accounts)):
        shards[partition_for(name.encode(), PARTITIONS)].append(name)
    return shards
