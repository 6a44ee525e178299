"""`METERING_DISTRIBUTE=citus`: the tables of an installation, distributed by shard over the nodes of a Citus cluster.

What a shard has lies on one node, in every table, so a transaction of one shard needs no two-phase commit. Citus takes
no triggers and no keys without the shard: the triggers go (append-only holds by privileges alone then), and keys get
the shard as their last column. Each step looks at what is there, so an interrupted setup goes on where it was.
"""

from collections.abc import AsyncIterator

from meter.runtime.errors import RefusalError
from meter.runtime.postgres import Executor, Pool, is_on_citus, load_sql
from meter.runtime.postgres.migrations import NO_LIMIT_S

GUIDE = 'deploy/OPERATING.md, "Larger than one Postgres"'


async def check_distribution(connection: Executor) -> None:
    """Raises RefusalError where the database cannot be distributed."""
    there = await connection.fetchval(load_sql("meter", "find_citus"))
    if not there:
        raise RefusalError(
            "METERING_DISTRIBUTE=citus, and this database has no Citus: as a superuser, CREATE EXTENSION citus here "
            f"and on each worker, then citus_add_node for each ({GUIDE}). Nothing was changed"
        )
    if not await connection.fetchval(load_sql("meter", "count_citus_nodes")):
        raise RefusalError(
            "METERING_DISTRIBUTE=citus, and no node takes shards: add the workers with citus_add_node, or let the "
            f"coordinator take them ({GUIDE}). Nothing was changed"
        )


async def refuse_distributed(pool: Pool, verb: str, why: str) -> None:
    """Raises RefusalError for a verb that needs what a distributed database has not got."""
    if await is_on_citus(pool):
        raise RefusalError(
            f"`{verb}` does not work where Citus has distributed the tables: {why} ({GUIDE}). Nothing was changed"
        )


async def distribute(connection: Executor, parts: int) -> AsyncIterator[str]:
    """Distribute what is not distributed yet; yields the names. `parts`: pieces that can lie on different nodes."""
    if await connection.fetchval(load_sql("meter", "has_split")):
        raise RefusalError(
            "METERING_DISTRIBUTE=citus, and accounts moved to other shards here (`meter split`): their events and the "
            f"batches that stored them would lie on different nodes. It stays on one Postgres ({GUIDE})"
        )
    async with connection.transaction():
        await connection.execute(load_sql("meter", "go_node_by_node"))
        for row in await connection.fetch(load_sql("meter", "prepare_distribution")):
            await connection.execute(row["statement"], timeout=NO_LIMIT_S)
    for row in await connection.fetch(load_sql("meter", "list_undistributed")):
        name = row["name"]
        if name == "meter.events":
            await run(connection, "distribute_log", name, parts)
        else:
            await run(connection, "distribute_table" if row["has_shard"] else "copy_to_all_nodes", name)
        yield name
    for row in await connection.fetch(load_sql("meter", "list_local_functions")):
        await run(connection, "distribute_function", row["name"])
        yield row["name"]


async def run(connection: Executor, statement: str, *args: object) -> None:
    async with connection.transaction():
        await connection.execute("SET LOCAL statement_timeout = 0")  # a large table takes its time
        await connection.fetchval(load_sql("meter", statement), *args, timeout=NO_LIMIT_S)
