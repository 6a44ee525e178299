"""Asks Postgres whether it is there and takes writes, for readiness."""

from typing import Any

import asyncpg

from meter.runtime.postgres.pool import connect
from meter.runtime.settings import Settings


class PostgresProbe:
    """A server that only reads, after a fail-over, is not the one that is needed."""

    name = "postgres"

    def __init__(self, settings: Settings, application_name: str) -> None:
        self._dsn = settings.postgres_dsn
        self._application_name = application_name
        self._connection: asyncpg.Connection[Any] | None = None

    async def ask(self) -> None:
        if self._connection is None:
            self._connection = await connect(self._dsn, self._application_name)
        if await self._connection.fetchval("SELECT pg_is_in_recovery()"):
            raise ConnectionError("the server is read-only")

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
