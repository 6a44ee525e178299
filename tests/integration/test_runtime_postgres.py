"""The pool and migrations against a real server."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import uuid4

import asyncpg
import pytest

from meter.runtime.postgres import Pool, close_pool, create_pool, is_transient, load_sql
from meter.runtime.postgres import migrations as migrate_module
from meter.runtime.postgres.migrations import Migration, MigrationError, migrate
from tests.support import until
from tests.support.waiting import GIVEN_UP_S
from tests.support.working_time import within

PACKAGES = ("meter", "projections", "notifier")


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def test_every_connection_has_its_deadlines(pool: Pool) -> None:
    async with pool.acquire() as connection:
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            assert await connection.fetchval("SELECT setting::bigint FROM pg_settings WHERE name = $1", name) > 0
        assert await connection.fetchval("SHOW timezone") == "UTC"
        transport: Any = connection._transport  # type: ignore[attr-defined]
        sock = transport.get_extra_info("socket")
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


@pytest.mark.parametrize("where", ["", "IN DATABASE {database}"])
async def test_a_role_cannot_make_the_commits_of_its_sessions_less_durable(dsn: str, pool: Pool, where: str) -> None:
    """Whoever has a service's password could change the defaults of all its sessions to come."""
    database = dsn.rpartition("/")[2]
    role, place = f"of_{database}", where.format(database=database)
    await pool.execute(f"CREATE ROLE {role} LOGIN; ALTER ROLE {role} {place} SET synchronous_commit = off")
    try:
        own = dsn.replace("//postgres@", f"//{role}@")
        async with connected(own) as connection:
            assert await connection.fetchval("SHOW synchronous_commit") == "off"
        made = await create_pool(own, application_name="tests")
        assert await made.fetchval("SHOW synchronous_commit") == "on"
        await close_pool(made)
    finally:
        await pool.execute(f"DROP ROLE {role}")


async def test_a_statement_that_hangs_ends_and_may_be_tried_again(dsn: str) -> None:
    pool = await create_pool(dsn, application_name="tests", command_timeout_s=0.3)
    with pytest.raises(asyncpg.QueryCanceledError) as caught:
        await pool.execute("SELECT pg_sleep(20)")
    assert is_transient(caught.value)
    await close_pool(pool)


async def test_a_lock_that_is_not_given_ends_the_wait(dsn: str) -> None:
    pool = await create_pool(dsn, application_name="tests", lock_timeout_s=0.2)
    async with pool.acquire() as holder, holder.transaction():
        await holder.execute("LOCK TABLE meter.shards")
        with pytest.raises(asyncpg.LockNotAvailableError) as caught:
            await pool.execute("SELECT count(*) FROM meter.shards")
        assert is_transient(caught.value)
    await close_pool(pool)


async def test_a_server_that_never_answers_is_given_up() -> None:
    """Accepts the connection, says nothing: what a black hole looks like."""
    silent = await asyncio.start_server(lambda _reader, writer: held.append(writer), "127.0.0.1", 0)
    held: list[asyncio.StreamWriter] = []
    port = silent.sockets[0].getsockname()[1]
    try:
        dsn = f"postgresql://x@127.0.0.1:{port}/x?sslmode=disable"
        async with asyncio.timeout(GIVEN_UP_S):  # its error is not the one that is expected
            with within(20), pytest.raises(TimeoutError):
                await create_pool(dsn, application_name="tests", connect_timeout_s=0.5)
    finally:
        silent.close()
        for writer in held:
            writer.close()


async def test_a_killed_connection_is_transient_and_replaced(pool: Pool) -> None:
    with pytest.raises(Exception) as caught:  # which of two errors depends on who is faster
        await pool.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert is_transient(caught.value)
    assert await pool.fetchval("SELECT 1") == 1


async def test_a_pool_with_a_borrowed_connection_closes_in_time(dsn: str) -> None:
    pool = await create_pool(dsn, application_name="tests")
    await pool.acquire()
    with within(5):
        await close_pool(pool, timeout_s=0.2)


@pytest.mark.parametrize("package", ["meter.runtime.postgres", "projections", "notifier"])
async def test_statements_of_the_runtime_and_the_outboxes_fit_the_schema(pool: Pool, package: str) -> None:
    names = {
        "meter.runtime.postgres": [
            "fetch_migrations",
            "insert_migration",
            "lock_migrations",
            "find_migrator",
            "unlock_migrations",
        ],
    }.get(package, ["lock_outbox_shards", "fetch_outbox", "delete_outbox", "count_outbox"])
    async with pool.acquire() as connection:
        for name in names:
            await connection.prepare(load_sql(package, name))


async def test_migrates_an_empty_database_once(empty_dsn: str) -> None:
    async with connected(empty_dsn) as connection:
        applied = await migrate(connection, PACKAGES)
        assert applied[0] == "meter/0001_event_store.sql"
        assert {name.split("/")[0] for name in applied} == set(PACKAGES)
        assert await migrate(connection, PACKAGES) == []


async def test_migrators_at_the_same_time_apply_everything_once(empty_dsn: str) -> None:
    async def run() -> list[str]:
        async with connected(empty_dsn) as connection:
            return await migrate(connection, PACKAGES)

    results = await asyncio.gather(*(run() for _ in range(4)))
    assert sorted(map(len, results))[:3] == [0, 0, 0]
    assert any(results)


class Racing:
    """A connection that finds the table made between looking and making it."""

    def __init__(self, connection: asyncpg.Connection, error: type[Exception]) -> None:
        self._connection, self._error = connection, error
        self.fetchval = connection.fetchval

    async def execute(self, statement: str) -> str:
        if "CREATE TABLE" in statement:
            raise self._error("made meanwhile")
        return str(await self._connection.execute(statement))


@pytest.mark.parametrize("error", migrate_module.MADE_MEANWHILE)
async def test_who_comes_while_another_makes_the_first_table_goes_on(dsn: str, error: type[Exception]) -> None:
    """One of four that set up an empty database at once ended with `type "metering_migrator" already exists`."""
    async with connected(dsn) as connection:
        await migrate_module.lock_migrations(cast(Any, Racing(connection, error)))
        assert await connection.fetchval("SELECT pid FROM public.metering_migrator") == connection.get_server_pid()


async def test_a_changed_file_is_refused_loudly(dsn: str) -> None:
    async with connected(dsn) as connection:
        await connection.execute("UPDATE public.metering_migrations SET checksum = 'x' WHERE package = 'meter'")
        with pytest.raises(MigrationError, match="was changed after it was applied"):
            await migrate(connection, PACKAGES)


async def test_a_failing_migration_leaves_nothing_and_frees_the_lock(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = migrate_module.read_migrations("meter")
    broken = Migration("meter", len(real) + 1, "0999_broken.sql", "CREATE TABLE half (x int); SELECT nonsense;")
    monkeypatch.setattr(migrate_module, "read_migrations", lambda _package: [*real, broken])
    async with connected(dsn) as connection:
        with pytest.raises(asyncpg.UndefinedColumnError):
            await migrate(connection, ["meter"])
        assert await connection.fetchval("SELECT to_regclass('half')") is None
    async with connected(dsn) as other:
        assert await other.fetchval("SELECT pid FROM public.metering_migrator") is None


async def test_a_migrator_that_was_killed_keeps_nobody_waiting(dsn: str) -> None:
    async with connected(dsn) as killed:
        await migrate_module.lock_migrations(killed)
        async with connected(dsn) as other:
            assert not await other.fetchval(load_sql("meter.runtime.postgres", "lock_migrations"))
            await other.execute("SELECT pg_terminate_backend($1::int, 5000)", killed.get_server_pid())
            with within(10):
                async with asyncio.timeout(GIVEN_UP_S):
                    await migrate_module.lock_migrations(other)


async def test_a_session_that_has_the_number_of_a_migrator_that_was_killed_keeps_nobody_waiting(dsn: str) -> None:
    """Numbers of processes come round, and a service has its own for months."""
    service = await asyncpg.connect(dsn, server_settings={"application_name": "credit-meter"})
    try:
        await service.execute(load_sql("meter.runtime.postgres", "create_migrator"))
        await service.execute("UPDATE public.metering_migrator SET pid = pg_backend_pid()")
        with within(10):
            async with connected(dsn) as other, asyncio.timeout(GIVEN_UP_S):
                await migrate_module.lock_migrations(other)
    finally:
        await service.close()


async def test_who_waits_for_another_migrator_says_for_whom(dsn: str) -> None:
    lines: list[str] = []
    async with connected(dsn) as first, connected(dsn) as second:
        await migrate_module.lock_migrations(first)
        waiting = asyncio.create_task(migrate_module.lock_migrations(second, lines.append))
        await until(lambda: lines)
        await first.execute(load_sql("meter.runtime.postgres", "unlock_migrations"))
        with within(10):
            async with asyncio.timeout(GIVEN_UP_S):
                await waiting
        assert len(lines) == 1 and f"waits for another setup: pid {first.get_server_pid()}, " in lines[0]
        assert f"pg_terminate_backend({first.get_server_pid()})" in lines[0]


async def test_where_a_setup_comes_from_is_not_guessed(dsn: str) -> None:
    """Of another role's session Postgres gives no address: one from elsewhere was said to run on this machine."""
    role = f"migrator_{uuid4().hex[:8]}"
    async with connected(dsn) as first, connected(dsn) as second:
        await migrate_module.lock_migrations(first)
        await first.execute(f"CREATE ROLE {role}; GRANT SELECT ON public.metering_migrator TO {role}")
        try:
            lines: list[str] = []
            await second.execute(f"SET ROLE {role}")
            await migrate_module.report_migrator(second, lines.append)
            await second.execute("RESET ROLE")
            await migrate_module.report_migrator(second, lines.append)
        finally:
            await first.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
            await first.execute(load_sql("meter.runtime.postgres", "unlock_migrations"))
        assert "from a host that this role may not see" in lines[0] and "or as a superuser" in lines[0]
        address = await first.fetchval("SELECT host(inet_client_addr())")
        assert f"from {address or 'this machine'}." in lines[1]


async def test_advisory_locks_keep_no_migrator_waiting(dsn: str) -> None:
    """Every role that can sign in can hold any of them."""
    async with connected(dsn) as other, connected(dsn) as connection:
        await other.execute("SELECT pg_advisory_lock(k) FROM (VALUES (0), (1), (469853562226)) AS keys (k)")
        with within(10):
            async with asyncio.timeout(GIVEN_UP_S):
                assert await migrate(connection, PACKAGES) == []
