"""Changes of stored rows that no service makes, on each server in the way it allows."""

import re
from typing import Final

from meter.runtime.postgres import Executor, Pool, is_on_citus

OF_TABLE: Final = re.compile(r"\b(?:UPDATE|DELETE FROM|INSERT INTO) ([a-z_]+\.[a-z_]+)")

COLUMNS: Final = """
SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""


async def lift_triggers(pool: Pool, table: str) -> None:
    """Nothing keeps a superuser from changing the table any more. On Citus nothing did."""
    if not await is_on_citus(pool):
        await pool.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")


async def pass_triggers(connection: Executor) -> None:
    """The same for the transaction alone. Citus truncates by a trigger of its own, which must stay."""
    if not await is_on_citus(connection):
        await connection.execute("SET LOCAL session_replication_role = replica")


async def damage(pool: Pool, statement: str) -> str:
    """Run it; returns what the server says of it, as `UPDATE 1`."""
    async with pool.acquire() as connection, connection.transaction():
        return await damage_on(connection, statement)


async def damage_on(connection: Executor, statement: str) -> str:
    """The same in a transaction of the caller.

    Citus moves no row to another shard, knows no place of a row (ctid), and adds no interval to a column. There a copy
    of the whole table is changed, and takes its place.
    """
    if not getattr(connection, "on_citus", False):
        said: str = await connection.execute(statement)
        return said
    [table] = set(OF_TABLE.findall(statement))
    columns = await connection.fetchval(COLUMNS, table)
    await connection.execute(f"CREATE TEMPORARY TABLE damaged (LIKE {table} INCLUDING ALL)")
    copy = "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}"
    await connection.execute(copy.format("damaged", columns, columns, table))
    said = await connection.execute(statement.replace(table, "damaged"))
    await connection.execute(f"DELETE FROM {table}")
    await connection.execute(copy.format(table, columns, columns, "damaged"))
    await connection.execute("DROP TABLE damaged")
    return said
