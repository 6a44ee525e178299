"""Databases on a Citus cluster that runs already: METERING_TEST_CITUS_DSN, the superuser's address of its coordinator.

The database that it names knows the nodes. A test's database is one on each node, cloned from templates of the same
name, in which the tables were distributed once: what Citus knows of nodes and parts stands in tables, and is cloned.
"""

import asyncio
import hashlib
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import asyncpg

from deploy.local.stack import change_dsn
from meter.distribute import distribute
from meter.runtime.postgres import Executor, close_pool, create_pool, load_sql
from meter.runtime.postgres.migrations import migrate
from tests.support.databases import PACKAGES, Databases, template_name
from tests.support.waiting import until

CITUS: Final = "METERING_TEST_CITUS_DSN"
PARTS: Final = 4  # of each table; shards of the tests are three
WHY_NOT: Final = (
    f"needs a Citus cluster: {CITUS} names none (the superuser's address of a coordinator with its workers)"
)
NODES = "SELECT nodename AS host, nodeport AS port FROM pg_dist_node WHERE noderole = 'primary' ORDER BY groupid"
# A daemon of Citus stays connected to each database, and a template must have no sessions.
CLOSE = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()"


def citus_dsn() -> str | None:
    return os.environ.get(CITUS) or None


def on_node(dsn: str, host: str, port: int) -> str:
    """The same database and role on another node."""
    scheme, _, rest = dsn.partition("://")
    user, at, place = rest.partition("/")[0].rpartition("@")
    return f"{scheme}://{user}{at}{host}:{port}/{rest.partition('/')[2]}" if place else dsn


class CitusDatabases(Databases):
    """Makes and drops databases on all nodes of a cluster."""

    async def create(self, *, migrated: bool = True) -> str:
        if not migrated:
            return await super().create(migrated=False)
        name = f"test_{uuid.uuid4().hex[:12]}"
        async with self._connect() as connection:
            template = await self._ensure_template(connection)
        await self._everywhere(f"CREATE DATABASE {name} TEMPLATE {template}")
        return change_dsn(self._dsn, name)

    async def create_plain(self, name: str | None = None) -> str:
        """A database with Citus and all its nodes, and nothing distributed: what `meter setup` finds."""
        name = name or f"test_{uuid.uuid4().hex[:12]}"
        await self._make_cluster(name)
        return change_dsn(self._dsn, name)

    async def drop(self, dsn: str) -> None:
        name = dsn.rpartition("/")[2]
        await asyncio.gather(
            *(until(partial(is_dropped, node, name), 20, f"{name} stays in use") for node in await self._nodes())
        )

    async def _make_template(self, connection: asyncpg.Connection, name: str) -> None:
        await self._everywhere(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # left by an interrupted run
        nodes = await self._make_cluster(name)
        async with self._connect(name) as inside:
            await migrate(inside, PACKAGES)
            async for _name in distribute(inside, PARTS):
                pass
        # Workers first: who finds the coordinator's closed takes the template for complete.
        for dsn in reversed(nodes):
            await run(dsn, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        for dsn in nodes:
            await close(dsn, name)

    def _template_name(self) -> str:
        # How the tables are distributed makes another template as well.
        steps = ("prepare_distribution", "list_undistributed", "distribute_log", "distribute_table")
        how = "".join(load_sql("meter", name) for name in steps)
        return f"{template_name()}_{hashlib.sha256(how.encode()).hexdigest()[:8]}"

    async def _has_template(self, connection: asyncpg.Connection, name: str) -> bool:
        done = "SELECT true FROM pg_database WHERE datname = $1 AND NOT datallowconn"
        return bool(await connection.fetchval(done, name))

    async def _make_cluster(self, name: str) -> list[str]:
        """A database on each node, which know each other. Returns the addresses of the nodes."""
        await self._everywhere(f"CREATE DATABASE {name} TEMPLATE template0")
        nodes = await self._nodes()
        for dsn in nodes:
            await run(change_dsn(dsn, name), "CREATE EXTENSION citus")
        async with self._connect(name) as inside:
            first, *others = map(address, nodes)
            await inside.execute("SELECT citus_set_coordinator_host($1, $2)", *first)
            for host, port in others:
                await inside.execute("SELECT citus_add_node($1, $2)", host, port)
        return nodes

    async def _everywhere(self, statement: str) -> None:
        """On all nodes at once: it takes as long as on the slowest."""
        await asyncio.gather(*(run(dsn, statement) for dsn in await self._nodes()))

    async def _nodes(self) -> list[str]:
        """The coordinator first."""
        connection = await asyncpg.connect(self._dsn)
        try:
            rows = await connection.fetch(NODES)
        finally:
            await connection.close()
        return [self._dsn, *(on_node(self._dsn, row["host"], row["port"]) for row in rows[1:])]


def address(dsn: str) -> tuple[str, int]:
    host, _, port = dsn.partition("://")[2].partition("/")[0].rpartition("@")[2].partition(":")
    return host, int(port)


async def close(dsn: str, database: str) -> None:
    """End its sessions. No new ones come: it takes none."""
    connection = await asyncpg.connect(dsn)
    try:
        await until(lambda: ended(connection, database), 20, f"sessions of {database} stay")
    finally:
        await connection.close()


async def is_dropped(node: str, database: str) -> bool:
    """False: a daemon of Citus came back to it between the end of the sessions and the drop."""
    try:
        await run(node, f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
    except asyncpg.ObjectInUseError:
        return False
    return True


async def ended(connection: asyncpg.Connection, database: str) -> bool:
    return not await connection.fetch(CLOSE, database)


async def run(dsn: str, statement: str, *args: object) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement, *args)
    finally:
        await connection.close()


@asynccontextmanager
async def open_distributed() -> AsyncIterator[Executor]:
    """A connection of a service, on a database of its own that is distributed."""
    cluster = CitusDatabases(str(citus_dsn()))
    dsn = await cluster.create()
    pool = await create_pool(dsn, application_name="tests", by_index=True)
    async with pool.acquire() as connection:
        yield connection
    await close_pool(pool)
    await cluster.drop(dsn)
