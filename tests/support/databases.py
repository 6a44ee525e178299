"""A fresh database for every test: a clone of a template that is migrated once, by whoever needs it first."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from deploy.local.stack import change_dsn
from meter.runtime.postgres.migrations import migrate, read_migrations

PACKAGES = ("meter", "projections", "notifier")
DROPPED_TOGETHER = 20
LOCK_KEY = 0x7465_7374  # "test"; held while the template is made, also against parallel runs on the same server


class Databases:
    """Makes and drops them on a server, given the DSN of its superuser."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._left: list[str] = []  # to be dropped

    async def create(self, *, migrated: bool = True) -> str:
        """Make a database and return its DSN (of the superuser)."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        async with self._connect() as connection:
            if migrated:
                template = await self._ensure_template(connection)
                await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
            else:
                await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return change_dsn(self._dsn, name)

    async def drop_later(self, dsn: str) -> None:
        """Remove it with others, at last by `drop_left`.

        Dropping one waits for a checkpoint, a second on a busy disk: as many at once share it, and take no longer.
        """
        self._left.append(dsn)
        if len(self._left) >= DROPPED_TOGETHER:
            await self.drop_left()

    async def drop_left(self) -> None:
        left, self._left = self._left, []
        await asyncio.gather(*map(self.drop, left))

    async def drop(self, dsn: str) -> None:
        """Remove a database, connections to it included."""
        name = dsn.rpartition("/")[2]
        async with self._connect() as connection:
            await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    async def _ensure_template(self, connection: asyncpg.Connection) -> str:
        """The template of these very migrations: changed files make another one."""
        name = self._template_name()
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
        try:
            if not await self._has_template(connection, name):
                await self._make_template(connection, name)
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)
        return name

    def _template_name(self) -> str:
        return template_name()

    async def _has_template(self, connection: asyncpg.Connection, name: str) -> bool:
        return bool(await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name))

    async def _make_template(self, connection: asyncpg.Connection, name: str) -> None:
        # Renamed only when it is complete: an interrupted run leaves nothing that looks like a template.
        unfinished = f"unfinished_{uuid.uuid4().hex[:12]}"
        await connection.execute(f"CREATE DATABASE {unfinished} TEMPLATE template0")
        async with self._connect(unfinished) as inside:
            await migrate(inside, PACKAGES)
        await connection.execute(f"ALTER DATABASE {unfinished} RENAME TO {name}")

    @asynccontextmanager
    async def _connect(self, database: str = "postgres") -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(change_dsn(self._dsn, database))
        try:
            yield connection
        finally:
            await connection.close()


def template_name() -> str:
    checksums = [migration.checksum for package in PACKAGES for migration in read_migrations(package)]
    return "template_" + hashlib.sha256("".join(checksums).encode()).hexdigest()[:12]
