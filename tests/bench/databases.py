"""Databases of the benchmark: one is set up and filled, then copied for each run, so that all start alike."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

import asyncpg

from meter.runtime.postgres import load_sql

SQL = "tests.bench"


class Progress(NamedTuple):
    """Records taken from Kafka, events stored, events folded into balances."""

    taken: int
    stored: int
    folded: int


class WholeProgress(NamedTuple):
    """The same of all three services: events folded into balances and into usage, and notices."""

    taken: int
    stored: int
    folded: int
    used: int
    notices: int

    @property
    def behind(self) -> int:
        """Events that are stored and in no balance yet, and those that are not in usage."""
        return 2 * self.stored - self.folded - self.used


class Outcomes(NamedTuple):
    """What became of the records, counted by the batches and by the rows."""

    stored: int
    duplicates: int
    rejected: int
    gaps: int
    duplicate_rows: int
    rejection_rows: int


Used = dict[tuple[str, int], int]  # micro-units by account and resource


@dataclass(frozen=True, slots=True)
class Databases:
    """`dsn` names the maintenance database of the server."""

    dsn: str

    def address(self, name: str) -> str:
        return f"{self.dsn.rpartition('/')[0]}/{name}"

    async def create(self, name: str, template: str = "template0") -> str:
        """Make the database anew, as a copy of the template's files; return its address."""
        await self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await self._run("CHECKPOINT")
        await self._run(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        await self._run("CHECKPOINT")
        return self.address(name)

    async def drop(self, name: str) -> None:
        await self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    async def size(self, name: str) -> int:
        """Bytes on disk."""
        async with connect(self.dsn) as connection:
            return int(await connection.fetchval("SELECT pg_database_size($1::name)", name))

    async def read_settings(self, names: tuple[str, ...]) -> dict[str, str]:
        async with connect(self.dsn) as connection:
            rows = {name: await connection.fetchval("SELECT current_setting($1)", name) for name in names}
            return {"version": str(await connection.fetchval("SHOW server_version"))} | rows

    async def _run(self, statement: str) -> None:
        async with connect(self.dsn) as connection:
            await connection.execute(statement, timeout=600)


@asynccontextmanager
async def connect(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def read_progress(connection: asyncpg.Connection) -> Progress:
    return Progress(*await fetch_one(connection, "read_progress"))


async def read_whole_progress(connection: asyncpg.Connection) -> WholeProgress:
    return WholeProgress(*await fetch_one(connection, "read_whole_progress"))


async def read_outcomes(connection: asyncpg.Connection) -> Outcomes:
    return Outcomes(*await fetch_one(connection, "read_outcomes"))


async def fetch_one(connection: asyncpg.Connection, statement: str) -> asyncpg.Record:
    """The one row of a statement that always has one."""
    (row,) = await connection.fetch(load_sql(SQL, statement))
    return row


async def sum_usage(connection: asyncpg.Connection, since: object) -> Used:
    return to_used(await connection.fetch(load_sql(SQL, "sum_usage"), since))


async def sum_balances(connection: asyncpg.Connection) -> Used:
    return to_used(await connection.fetch(load_sql(SQL, "sum_balances")))


def to_used(rows: list[asyncpg.Record]) -> Used:
    return {(row["account_id"], row["resource"]): row["used"] for row in rows}
