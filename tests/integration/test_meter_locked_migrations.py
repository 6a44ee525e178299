"""A migration of a table that is in use, and one that takes longer than a statement may."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from meter.runtime.postgres import create_pool, migrations
from meter.runtime.postgres.migrations import Migration, MigrationError, apply_migration

CHANGE = Migration("meter", 900, "0900_tried.sql", "ALTER TABLE meter.shards ADD COLUMN tried int")
LONG = Migration("meter", 901, "0901_long.sql", "SELECT pg_sleep(1.5)")
APPLIED = "SELECT count(*) FROM public.metering_migrations WHERE number >= 900"


@pytest.fixture
async def reader(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(dsn)
    yield opened
    await opened.close()


@pytest.fixture
async def holder(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Reads the table in a transaction that stays open."""
    opened = await asyncpg.connect(dsn, server_settings={"application_name": "a-report"})
    await opened.execute("BEGIN; SELECT FROM meter.shards")
    yield opened
    await opened.close()


async def test_a_lock_is_waited_for_and_others_are_not_held_up(
    dsn: str, holder: asyncpg.Connection, reader: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCKED_PAUSE_S", 0.2)
    pool = await create_pool(dsn, application_name="tests", lock_timeout_s=0.2)
    said: list[str] = []
    try:
        async with pool.acquire() as connection, asyncio.timeout(30):
            applying = asyncio.create_task(apply_migration(connection, CHANGE, said.append))
            while len(said) < 2:
                await reader.fetch("SELECT FROM meter.shards")  # waits behind us, for 0.2 s at most
            await holder.execute("COMMIT")
            await applying
            assert await pool.fetchval(APPLIED) == 1
    finally:
        await pool.close()
    assert "0900_tried.sql waits for a lock" in said[0] and "a-report" in said[0]


async def test_one_that_never_gets_its_lock_is_refused_and_says_who_has_it(
    dsn: str, holder: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCKED_PAUSE_S", 0.01)
    monkeypatch.setattr(migrations, "LOCK_TRIES", 2)
    pool = await create_pool(dsn, application_name="tests", lock_timeout_s=0.1)
    try:
        async with pool.acquire() as connection:
            with pytest.raises(MigrationError, match=r"tried 2 times.*a-report.*run `meter setup` again"):
                await apply_migration(connection, CHANGE)
        assert await pool.fetchval(APPLIED) == 0
    finally:
        await pool.close()


async def test_a_long_one_has_no_limit_of_time(dsn: str) -> None:
    pool = await create_pool(dsn, application_name="tests", command_timeout_s=0.5)
    try:
        async with pool.acquire() as connection:
            await apply_migration(connection, LONG)
        with pytest.raises((TimeoutError, asyncpg.QueryCanceledError)):
            await pool.execute("SELECT pg_sleep(1.5)")  # others have theirs still
        assert await pool.fetchval(APPLIED) == 1
    finally:
        await pool.close()
