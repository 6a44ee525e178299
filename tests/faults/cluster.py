"""A Citus cluster of a campaign's own: a coordinator and two workers, each to be killed and started again.

METERING_TEST_POSTGRES=citus takes it in place of one Postgres; METERING_TEST_POSTGRES_HOME names programs that have it.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import cycle

import asyncpg

from deploy.local.child import UnavailableError
from deploy.local.postgres import HOST, EmbeddedPostgres, installed
from meter.runtime.postgres.migrations import migrate
from tests.faults.schedule import WORKERS
from tests.support.citus import CitusDatabases, run
from tests.support.databases import PACKAGES

SETTINGS: Mapping[str, str] = {
    "shared_preload_libraries": "citus",
    "wal_level": "logical",
    "max_connections": "250",
    "max_prepared_transactions": "250",
    "shared_buffers": "128MB",
    "citus.enable_statistics_collection": "off",
    "citus.local_hostname": HOST,
    "citus.node_conninfo": "sslmode=disable",  # the nodes have no certificates
}
TABLES = """
SELECT format('%I.%I', c.table_schema, c.table_name) AS name, c.table_schema AS schema, c.table_name AS table,
       array_agg(c.column_name::text ORDER BY c.ordinal_position) AS columns
FROM information_schema.columns c
JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
WHERE t.table_type = 'BASE TABLE' AND c.table_schema = ANY ($1) AND c.is_generated = 'NEVER'
GROUP BY c.table_schema, c.table_name
"""


class Cluster:
    """The coordinator first in `nodes`."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        if (reason := missing()) is not None:
            raise UnavailableError(reason)
        self.nodes = [EmbeddedPostgres({**settings, **SETTINGS}) for _ in range(1 + len(WORKERS))]
        self._victims: Iterator[EmbeddedPostgres] = cycle([*self.nodes[1:], self.nodes[0]])

    def start(self) -> None:
        for node in self.nodes:
            node.start()

    def close(self) -> None:
        with ExitStack() as stack:
            for node in self.nodes:
                stack.callback(node.close)

    def next_to_crash(self) -> EmbeddedPostgres:
        """The workers are killed twice as often as the coordinator."""
        return next(self._victims)

    @property
    def databases(self) -> CitusDatabases:
        return CitusDatabases(self.nodes[0].dsn())

    async def join(self, ports: Sequence[int]) -> None:
        """Make the nodes known to each other, in the database that tells of them: the workers by these ports."""
        for node in self.nodes:
            await run(node.dsn(), "CREATE EXTENSION citus")
        first = self.nodes[0]
        await run(first.dsn(), "SELECT citus_set_coordinator_host($1, $2)", HOST, first.port)
        for port in ports:
            await run(first.dsn(), "SELECT citus_add_node($1, $2)", HOST, port)


def missing() -> str | None:
    """Why it cannot be had here, or None."""
    if any((installed() / "lib").glob("citus.*")):
        return None
    return f"{installed()} has no Citus: METERING_TEST_POSTGRES_HOME names an installation that has"


async def copy_rows(of: str, to: str) -> None:
    """All rows of a cluster's database into an empty one of one server, where any statement may ask for them."""
    source, target = await asyncpg.connect(of), await asyncpg.connect(to)
    try:
        await migrate(target, PACKAGES)
        await target.execute("SET session_replication_role = replica")  # no triggers, no foreign keys
        tables = await target.fetch(TABLES, list(PACKAGES))
        await target.execute("TRUNCATE " + ", ".join(table["name"] for table in tables))
        for table in tables:
            place = {"schema_name": table["schema"], "columns": table["columns"], "timeout": 600}
            with tempfile.TemporaryFile() as rows:
                await source.copy_from_table(table["table"], output=rows, **place)
                rows.seek(0)
                await target.copy_to_table(table["table"], source=rows, **place)
    finally:
        await source.close()
        await target.close()
