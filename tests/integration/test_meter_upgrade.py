"""A log stored before events had a key: whole before and after the migration, and what it knows stays known."""

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from meter.runtime.postgres import Pool, close_pool, create_pool, load_sql
from meter.runtime.postgres import migrations as migrating
from meter.runtime.postgres.migrations import Migration, migrate, read_migrations
from meter.store.events import PostgresEventStore
from meter.verify import choose_shards, verify_log
from tests.contract.rows import MOMENT, opened, plan, usage
from tests.support.damaging import pass_triggers
from tests.support.old_chain import append_old

OLD = 2  # migrations that the old log was made with
FIRST = usage(0, event_id="01947a3c-0000-7abc-8def-0123456789ab", account_id="acc-1")
ACCOUNT = opened(0, event_id="b1a7e9f0-1c7d-4a43-9d0e-5f4e1d2c3b4a")


@pytest.fixture
async def old(empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncpg.Connection]:
    """A database as the version before made and filled it: two batches of shard 0, with an opening and a repeat."""
    connection = await asyncpg.connect(empty_dsn)
    with monkeypatch.context() as patch:
        patch.setattr(migrating, "read_migrations", lambda package: read_migrations(package)[:OLD])
        await migrate(connection, ["meter"])
    await connection.execute(load_sql("meter", "insert_shards"), 3)
    await append_old(connection, plan(FIRST, usage(1), ACCOUNT, usage(2, event_id=FIRST.event_id)))
    await append_old(connection, plan(usage(3), start=(3, 1), at=MOMENT + timedelta(seconds=1)))
    yield connection
    await connection.close()


@pytest.fixture
async def pool(old: asyncpg.Connection, empty_dsn: str) -> AsyncIterator[Pool]:
    opened_pool = await create_pool(empty_dsn, application_name="tests")
    yield opened_pool
    await close_pool(opened_pool)


async def find_damage(pool: Pool) -> list[object]:
    return list((await verify_log(pool, await choose_shards(pool, None))).findings)


async def test_the_log_is_whole_after_the_migration_and_goes_on(old: asyncpg.Connection, pool: Pool) -> None:
    """Batches of both versions in one chain, some read together."""
    before = await old.fetch("SELECT shard, position, event_id::text, type, source FROM meter.event_log ORDER BY 1, 2")
    steps: list[str] = []
    await migrate(old, ["meter"], steps.append)
    assert [line.rpartition(" in ")[0] or line for line in steps] == [
        "index events_identity: being built", "index events_identity: built",
        "index events_old_id: being built", "index events_old_id: built",
        "index events_text_id: being built", "index events_text_id: built",
        "index events_moves: being built", "index events_moves: built",
        "index events_of_account: being built", "index events_of_account: built",
        "index events_of_people: being built", "index events_of_people: built",
        "index batches_without_digest_usage: being built", "index batches_without_digest_usage: built",
        "index batches_without_digest_accounts: being built", "index batches_without_digest_accounts: built",
        "index events_of_forgetting: being built", "index events_of_forgetting: built",
    ]  # fmt: skip
    after = await old.fetch("SELECT shard, position, event_id, type, source FROM meter.event_log ORDER BY 1, 2")
    assert [tuple(row) for row in before] == [tuple(row) for row in after] and len(after) == 6
    assert await find_damage(pool) == []
    store = PostgresEventStore(pool)
    await store.append(plan(usage(4), usage(5, event_id="order 5"), start=(4, 1)))
    await store.append(plan(usage(6), usage(7, event_id="order 5"), start=(6, 1)))
    await store.append(plan(usage(0), shard=1))
    assert await find_damage(pool) == []
    versions = await pool.fetch("SELECT chain_version FROM meter.batches WHERE shard = 0 ORDER BY batch")
    assert [row[0] for row in versions] == [2, 2, 4, 4]


async def test_a_meter_of_the_version_before_stores_nothing_any_more(old: asyncpg.Connection, pool: Pool) -> None:
    """It must end, and not put good events among the rejections."""
    await migrate(old, ["meter"])
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        async with old.transaction():
            await append_old(old, plan(usage(4), start=(4, 1)))
    batch = """
        INSERT INTO meter.batches (shard, batch, first_position, last_position, usage_from, usage_to, accounts_from,
            accounts_to, stored, duplicates, rejected, gaps, recorded_at, previous, hash)
        SELECT shard, 9, first_position, last_position, usage_from, usage_to, accounts_from, accounts_to, stored,
            duplicates, rejected, gaps, recorded_at, previous, hash FROM meter.batches LIMIT 1
    """
    with pytest.raises(asyncpg.NotNullViolationError, match="chain_version"):
        await old.execute(batch)
    assert await pool.fetchval("SELECT count(*) FROM meter.rejections") == 0


async def test_what_was_stored_before_stays_known(old: asyncpg.Connection, pool: Pool) -> None:
    await migrate(old, ["meter"])
    store = PostgresEventStore(pool)
    again = FIRST._replace(offset=4)
    another_source = usage(5, event_id=FIRST.event_id, source="/example/other")
    another_account = usage(6, event_id=FIRST.event_id, account_id="acc-2")
    another_amount = FIRST._replace(offset=7, amount=1)
    appended = await store.append(plan(again, another_source, another_account, another_amount, opened(1), start=(4, 1)))
    # The opening under an id of its own is stored; its free grants are there already.
    assert (appended.stored, appended.duplicates, appended.rejected) == (3, 1, 1)
    detail = await pool.fetchval("SELECT detail FROM meter.rejections")
    assert "0.25 model_credits, 'large', position 4" in detail and "0.000001 model_credits" in detail
    assert await find_damage(pool) == []


async def test_tampering_with_what_the_old_chain_does_not_cover_is_found(old: asyncpg.Connection, pool: Pool) -> None:
    await migrate(old, ["meter"])
    await old.execute("ALTER TABLE meter.duplicates DROP CONSTRAINT duplicates_identified")
    for change in (
        "UPDATE meter.events SET id = 'x', event_key = 'x' WHERE position = 2",
        "UPDATE meter.duplicates SET id = 'x'",
        "UPDATE meter.batches SET generation = 2 WHERE batch = 1",
        "UPDATE meter.batches SET evidence = '' WHERE batch = 1",
        "UPDATE meter.batches SET chain_version = 3 WHERE batch = 1",
        "UPDATE meter.batches SET chain_version = 4 WHERE batch = 1",
        "UPDATE meter.batches SET chain_version = 5 WHERE batch = 1",
        "UPDATE meter.batches SET waiting = 1 WHERE batch = 1",
    ):
        async with old.transaction():
            await pass_triggers(old)
            await old.execute(change)
        assert await find_damage(pool), change
        await undo(old)
        assert await find_damage(pool) == []


async def undo(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        await pass_triggers(connection)
        await connection.execute("ALTER TABLE meter.events DROP CONSTRAINT IF EXISTS events_identified")
        await connection.execute("UPDATE meter.events SET id = NULL, event_key = NULL")
        await connection.execute("UPDATE meter.duplicates SET id = NULL")
        await connection.execute(
            "UPDATE meter.batches SET generation = 1, evidence = NULL, chain_version = 2, waiting = 0"
        )


async def test_an_interrupted_index_is_built_again(old: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """What CREATE INDEX CONCURRENTLY leaves when it is cut off: an index that is there and finds nothing."""
    with monkeypatch.context() as patch:
        patch.setattr(migrating, "read_migrations", lambda package: read_migrations(package)[:3])
        await migrate(old, ["meter"])
    await old.execute(
        "CREATE UNIQUE INDEX events_identity ON meter.events (shard, event_key) WHERE event_key IS NOT NULL"
    )
    await old.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'meter.events_identity'::regclass")
    steps: list[str] = []
    applied = await migrate(old, ["meter"], steps.append)
    assert applied[0] == "meter/0004_identity_indexes.sql"
    assert steps[0] == "index events_identity: left unfinished by an earlier run, dropped"
    assert await old.fetchval("SELECT bool_and(indisvalid) FROM pg_index WHERE indrelid = 'meter.events'::regclass")
    assert await old.fetchval("SELECT count(*) FROM pg_constraint WHERE conname = 'events_event_id'") == 0


async def test_a_migration_outside_a_transaction_that_fails_is_not_recorded(
    old: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = read_migrations("meter")
    sql = "-- outside a transaction: for a test.\nCREATE TABLE public.half (x int);\nSELECT nonsense;\n"
    broken = Migration("meter", len(real) + 1, "0999_broken.sql", sql)
    monkeypatch.setattr(migrating, "read_migrations", lambda _package: [*real, broken])
    with pytest.raises(asyncpg.UndefinedColumnError):
        await migrate(old, ["meter"])
    numbers = await old.fetch("SELECT number FROM public.metering_migrations WHERE package = 'meter' ORDER BY 1")
    assert [row[0] for row in numbers] == [m.number for m in real]
