"""The same statements where Citus has distributed the tables by shard (`METERING_DISTRIBUTE=citus`).

Citus sends a statement to one node when it can see, while it plans, which shard each table is asked for, and refuses
or splits most others. What must be said for that alone stands in the statements as `/*citus … */`: a comment for plain
Postgres, whose plans stay as they are, and part of the statement on Citus, where a service works at one shard at a
time.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import asyncpg

from meter.runtime.errors import explain
from meter.runtime.postgres.statements import load_sql

MARK: Final = re.compile(r"/\*citus (.*?)\*/", re.DOTALL)


# What a node refuses in COPY, Citus passes on in words alone, as an internal error.
REFUSALS: Final = (
    (re.compile(r'duplicate key value violates unique constraint "(.+?)"'), asyncpg.UniqueViolationError),
    (re.compile(r'violates check constraint "(.+?)"'), asyncpg.CheckViolationError),
    (re.compile(r'null value in column "(.+?)"'), asyncpg.NotNullViolationError),
)


def as_refusal(error: asyncpg.InternalServerError) -> asyncpg.PostgresError:
    """The error as plain Postgres would have raised it; or as it is, when it is none of these."""
    said = explain(error)
    for pattern, kind in REFUSALS:
        if found := pattern.search(said):
            refusal = kind(said)
            refusal.constraint_name = found[1]
            return refusal
    return error


COMMITS: Final = ("COMMIT", "COMMIT;")  # of `write_transaction`, and of the driver
LOST_COMMIT: Final = "failed to commit transaction on"


@cache
def for_citus(statement: str) -> str:
    """The statement with what only Citus needs."""
    return MARK.sub(lambda found: found[1], statement)


class ServiceConnection(asyncpg.Connection):
    """A connection that gives each server its form of a statement. Which one it is, is asked once: `ask_server`."""

    on_citus: bool = False

    async def ask_server(self) -> None:
        self.on_citus = bool(await super().fetchval(load_sql("meter.runtime.postgres", "is_on_citus")))
        if self.on_citus:
            await super().execute(load_sql("meter.runtime.postgres", "suit_citus"))

    def _form(self, query: str) -> str:
        return for_citus(query) if self.on_citus else query

    async def execute(self, query: str, *args: Any, **options: Any) -> Any:
        if self.on_citus and query in COMMITS:
            return await self._commit(query, options)
        return await super().execute(self._form(query), *args, **options)

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        return await super().fetch(self._form(query), *args, **options)

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        return await super().fetchval(self._form(query), *args, **options)

    async def _commit(self, query: str, options: Mapping[str, Any]) -> str:
        """Raises ConnectionFailureError where a node went away at COMMIT: whether it committed is not known.

        Of that Citus warns, and says that all is well."""
        said: list[str] = []

        def note(_connection: Any, message: asyncpg.PostgresLogMessage) -> None:
            said.append(message.message or "")

        self.add_log_listener(note)
        try:
            answer: str = await super().execute(query, **options)
        finally:
            self.remove_log_listener(note)
        if lost := next((each for each in said if each.startswith(LOST_COMMIT)), None):
            raise asyncpg.ConnectionFailureError(lost)
        return answer

    async def copy_to_table(self, table_name: str, **options: Any) -> Any:
        try:
            return await super().copy_to_table(table_name, **options)
        except asyncpg.InternalServerError as error:
            raise as_refusal(error) from error

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
        return await super().fetchrow(self._form(query), *args, **options)


async def takes_one_shard(pool: Any) -> bool:
    """The same as `is_on_citus`, from what a connection of a service knows already."""
    async with pool.acquire() as connection:
        return is_of_citus(connection)


def is_of_citus(connection: Any) -> bool:
    """Whether it leads to a coordinator; a connection that was not asked is taken to be of plain Postgres."""
    return bool(getattr(connection, "on_citus", False))


async def is_on_citus(pool: Any) -> bool:
    """Whether tables are distributed: work then takes one shard at a time."""
    return bool(await pool.fetchval(load_sql("meter.runtime.postgres", "is_on_citus")))
