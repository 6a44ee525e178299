"""What readers of balances meet: comments, an index for who is exhausted, limits of their role, and PgBouncer."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.local.ports import free_port
from meter.roles import ReaderLimits, create_roles, limit_reader
from meter.runtime.errors import SettingsError
from meter.runtime.postgres import Pool, close_pool, create_pool, open_reading_pool
from projections.reader import BalanceReader
from tests.integration.plans import explain
from tests.support import until

ACCOUNTS = 2_000
# Debian installs it where only root looks.
PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
BALANCES = """
INSERT INTO projections.balance_states (account_id, resource, shard, granted, consumed, base, epoch, boundaries,
                                        position, as_of, opened, closed, free_only)
SELECT 'acct-' || i, 1, i % 12, 75000000, 0, 0, 1, '{75000000}', 1, now(), true, false, true
FROM generate_series(1, $1) AS i
"""
# A tenth of the accounts, on every page.
USE = """
UPDATE projections.balance_states SET consumed = consumed + 1000, position = position + 1, as_of = now()
WHERE right(account_id, 1) = $1
"""
USE_UP = "UPDATE projections.balance_states SET consumed = granted WHERE account_id = 'acct-7'"
COUNTS = """
SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'projections.balance_states'::regclass
"""
UNCOMMENTED = """
SELECT c.relname || coalesce('.' || a.attname, '')
FROM pg_class c
CROSS JOIN LATERAL (
    SELECT NULL::name AS attname, 0 AS attnum
    UNION ALL SELECT attname, attnum FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
) a
WHERE c.relnamespace = 'projections'::regnamespace AND c.relkind = 'v'
  AND has_table_privilege('credit_reader', c.oid, 'SELECT')
  AND coalesce(col_description(c.oid, a.attnum), CASE a.attnum WHEN 0 THEN obj_description(c.oid) END) IS NULL
"""


EXHAUSTED = "SELECT account_id, resource, account_state FROM projections.exhausted"


@pytest.fixture
async def balances(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    await connection.execute(BALANCES, ACCOUNTS)
    await connection.execute("VACUUM ANALYZE projections.balance_states")
    yield connection
    await connection.close()


async def test_every_view_and_column_that_readers_see_says_what_it_means(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await create_roles(connection)
        assert [row[0] for row in await connection.fetch(UNCOMMENTED)] == []


@pytest.mark.not_on_citus("counts the updates of one server: on Citus others do them")
async def test_usage_leaves_the_index_of_the_exhausted_alone(balances: asyncpg.Connection) -> None:
    """Updates are HOT: each finds room on its own page, because no indexed column changes."""
    for digit in "0123456789":
        await balances.execute(USE, digit)
        await balances.execute("VACUUM projections.balance_states")  # as autovacuum does in time
    updates, hot = await count_updates(balances)
    assert updates == ACCOUNTS and hot >= 0.95 * updates
    await balances.execute(USE_UP)
    after, hot_after = await count_updates(balances)
    assert (after - updates, hot_after - hot) == (1, 0), "a turn changes the index"


async def count_updates(connection: asyncpg.Connection) -> tuple[int, int]:
    """How many there were of balances, and how many of them HOT."""
    await connection.execute("SELECT pg_stat_force_next_flush()")
    row = await connection.fetchrow(COUNTS)
    assert row is not None
    return row[0], row[1]


@pytest.mark.not_on_citus("reads the plan of one server: on Citus another one runs the statement")
async def test_who_is_exhausted_is_answered_by_the_index(balances: asyncpg.Connection) -> None:
    await balances.execute(USE_UP)
    nodes = await explain(balances, EXHAUSTED)
    assert {node.get("Index Name") for node in nodes} - {None} == {"balance_states_exhausted"}


async def test_who_is_exhausted_is_told(balances: asyncpg.Connection) -> None:
    await balances.execute(USE_UP)
    assert [tuple(row) for row in await balances.fetch(EXHAUSTED)] == [("acct-7", "model_credits", "open")]
    stored = await balances.fetch("SELECT account_id FROM projections.balances WHERE status = 'exhausted'")
    assert [row[0] for row in stored] == ["acct-7"]


async def test_an_account_that_nobody_opened_is_not_among_the_exhausted(balances: asyncpg.Connection) -> None:
    """Its row stays: what it used counts at the opening."""
    await balances.execute(USE_UP)
    await balances.execute("UPDATE projections.balance_states SET opened = false WHERE account_id = 'acct-7'")
    assert await balances.fetch("SELECT FROM projections.exhausted") == []
    assert await balances.fetchval("SELECT count(*) FROM projections.all_balances WHERE account_id = 'acct-7'") == 1


async def test_the_reader_has_limits(pool: Pool) -> None:
    """Those of the README where no others are set."""
    async with pool.acquire() as connection:
        await create_roles(connection)
        for limits, wanted in ((None, (50, "statement_timeout=10000")), ((33, 2.5), (33, "statement_timeout=2500"))):
            await limit_reader(connection, ReaderLimits(*limits or ()))
            limit = await connection.fetchval("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'credit_reader'")
            settings = await connection.fetchval(
                "SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'credit_reader'::regrole"
                " AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            assert (limit, wanted[1] in settings) == (wanted[0], True)


@pytest.fixture
def bouncer(dsn: str, tmp_path: Path) -> Iterator[str]:
    with bouncing(dsn, tmp_path) as made:
        yield made


@contextmanager
def bouncing(dsn: str, tmp_path: Path, *, mode: str = "transaction", own: str = "") -> Iterator[str]:
    """PgBouncer before the test's database, with two server connections; its DSN. `own`: lines of its file."""
    if PGBOUNCER is None:
        pytest.skip("pgbouncer is not installed here")
    server, port = urlsplit(dsn), free_port()
    database = server.path.removeprefix("/")
    config = tmp_path / "pgbouncer.ini"
    config.write_text(
        f"[databases]\n{database} = host={server.hostname} port={server.port} user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\npool_mode = {mode}\n{own}\n"
        f"default_pool_size = 2\nunix_socket_dir =\nlogfile =\npidfile =\n"
    )
    os.chmod(tmp_path, 0o755)
    user = ["-u", "postgres"] if os.geteuid() == 0 else []
    process = subprocess.Popen([PGBOUNCER, "-q", *user, config], stderr=subprocess.DEVNULL)
    try:
        yield f"postgresql://credit_reader@127.0.0.1:{port}/{database}"
    finally:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("balances")
async def test_balances_are_read_through_pgbouncer_in_transaction_mode(bouncer: str) -> None:
    pool = await open_reading_pool(bouncer, max_size=10)
    try:
        reader = BalanceReader(pool)
        await until(lambda: answers(reader), 20, "it is up")
        asked = [reader.allowed(f"acct-{n}", "model_credits") for n in range(1, 201)]
        assert await asyncio.gather(*asked) == [True] * 200
        assert (await reader.get("acct-1"))["model_credits"].remaining == 75  # type: ignore[index]
    finally:
        await close_pool(pool)


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("", "refuses the limits that services set for their sessions: unsupported startup parameter"),
        (
            "ignore_startup_parameters = statement_timeout,lock_timeout,idle_in_transaction_session_timeout,jit",
            "statement_timeout is 0 ms there and was set to 30000",
        ),
    ],
    ids=["refused", "dropped"],
)
async def test_a_service_is_told_to_go_around_a_pooler(dsn: str, tmp_path: Path, own: str, said: str) -> None:
    """One that drops the limits would let a statement wait without end."""
    with bouncing(dsn, tmp_path, mode="session", own=own) as bouncer:

        async def explained() -> str | None:
            try:
                await close_pool(await create_pool(bouncer, application_name="tests"))
            except OSError:  # not up yet
                return None
            except SettingsError as error:
                return str(error)
            raise AssertionError("a service must not work through it")

        found = await until(explained, 20) or ""
    assert said in found and "have METERING_POSTGRES_DSN name Postgres itself" in found


async def answers(reader: BalanceReader) -> bool:
    try:
        return await reader.allowed("acct-1", "model_credits")
    except (OSError, asyncpg.PostgresError):
        return False
