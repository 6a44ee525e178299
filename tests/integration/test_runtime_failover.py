"""Several hosts in the DSN: a host that hangs, a primary that hangs while a standby takes over, a COMMIT that waits."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, TypeVar

import asyncpg
import pytest

from deploy.local.postgres import EmbeddedPostgres
from meter.runtime.postgres import COMMITS, commit_alone, create_pool, is_transient, opened_pool, write_transaction
from meter.runtime.postgres.hosts import HOST_TIMEOUT_S, Hosts, NoPrimaryError, hosts_of
from meter.runtime.postgres.probe import PostgresProbe
from meter.runtime.settings import Settings
from tests.support import until
from tests.support.databases import Databases
from tests.support.processes import Processes
from tests.support.standby import NAME, Standby, both, silent_server
from tests.support.working_time import within

FAILED_OVER_S = 15
P = TypeVar("P", bound=EmbeddedPostgres)


@pytest.fixture
def primary() -> Iterator[EmbeddedPostgres]:
    with started(EmbeddedPostgres()) as server:
        yield server


@pytest.fixture
def standby(primary: EmbeddedPostgres) -> Iterator[Standby]:
    with started(Standby(primary)) as server:
        yield server


@contextlib.contextmanager
def started(server: P) -> Iterator[P]:
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
async def silent() -> AsyncIterator[int]:
    async with silent_server() as port:
        yield port


def behind(silent: int, dsn: str) -> str:
    """The same DSN with a host before it that accepts and never answers."""
    user, _, rest = dsn.removeprefix("postgresql://").partition("@")
    return f"postgresql://{user}@127.0.0.1:{silent},{rest}"


async def test_a_first_host_that_never_answers_takes_its_own_time_once(dsn: str, silent: int) -> None:
    hosts = Hosts(behind(silent, dsn))
    with within(2 * HOST_TIMEOUT_S):
        first = await hosts.connect()
    assert hosts.current == hosts.all[1]
    with within(HOST_TIMEOUT_S):  # the second connection does not ask the silent host again
        second = await hosts.connect()
    assert hosts.where(second) == hosts.current == hosts.all[1]
    for connection in (first, second):
        await connection.close()


async def test_hosts_that_take_no_writes_are_named_with_what_they_did(silent: int) -> None:
    hosts = Hosts(f"postgresql://x@127.0.0.1:{silent},127.0.0.1:1/x?sslmode=disable", timeout_s=0.3)
    with pytest.raises(NoPrimaryError) as caught:
        await hosts.connect()
    assert f"127.0.0.1:{silent}: no answer within 0.3 s" in str(caught.value)
    assert "127.0.0.1:1: " in str(caught.value)
    assert is_transient(caught.value)


async def test_a_wrong_password_is_no_matter_of_the_next_host(primary: EmbeddedPostgres) -> None:
    dsn = f"postgresql://nobody@127.0.0.1:{primary.port},127.0.0.1:1/postgres"
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await Hosts(dsn).connect()


async def test_a_pool_leaves_a_primary_that_hangs(primary: EmbeddedPostgres, standby: Standby) -> None:
    settings = Settings(postgres_dsn=both("postgres", primary, standby))
    async with opened_pool(settings, "tests") as pool:
        await pool.execute("CREATE TABLE facts (fact int)")
        await until(lambda: followed(standby, "SELECT to_regclass('facts') IS NOT NULL"))
        primary.pause()
        try:
            waiting = asyncio.create_task(pool.execute("INSERT INTO facts VALUES (1)"))
            await standby.promote()
            with within(FAILED_OVER_S):
                with pytest.raises(Exception) as caught:  # which of two errors depends on who is faster
                    await waiting
                assert is_transient(caught.value)
                await pool.execute("INSERT INTO facts VALUES (2)")
            probe = PostgresProbe(settings, "probe")
            await probe.ask()
            assert probe.where == f"127.0.0.1:{standby.port}"
            await probe.close()
        finally:
            primary.resume()
    assert hosts_of(settings.postgres_dsn).current == hosts_of(settings.postgres_dsn).all[1]


async def followed(standby: Standby, question: str) -> bool:
    connection = await asyncpg.connect(standby.dsn())
    try:
        return bool(await connection.fetchval(question))
    finally:
        await connection.close()


async def test_nothing_is_ended_while_no_other_host_takes_writes(primary: EmbeddedPostgres, standby: Standby) -> None:
    settings = Settings(postgres_dsn=both("postgres", primary, standby))
    async with opened_pool(settings, "tests") as pool:
        await pool.execute("CREATE TABLE facts (fact int)")
        primary.pause()
        waiting = asyncio.create_task(pool.execute("INSERT INTO facts VALUES (1)"))
        done, _ = await asyncio.wait({waiting}, timeout=3 * HOST_TIMEOUT_S)
        primary.resume()
        assert not done, "the standby takes no writes, so the statement waits"
        await waiting
        assert await pool.fetchval("SELECT count(*) FROM facts") == 1


async def write(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection, write_transaction(connection):
        await connection.execute("INSERT INTO facts VALUES (1)")


async def write_alone(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await commit_alone(connection, "INSERT INTO facts VALUES ($1)", 1)


@pytest.mark.parametrize("write", [write, write_alone])
async def test_a_commit_that_waits_for_a_standby_is_not_cancelled(
    primary: EmbeddedPostgres, standby: Standby, write: Callable[[asyncpg.Pool], Coroutine[Any, Any, None]]
) -> None:
    """Fails with `connection.transaction`: the driver cancels the COMMIT, and the primary alone has it."""
    settings = Settings(postgres_dsn=primary.dsn())
    pool = await create_pool(primary.dsn(), application_name="tests", command_timeout_s=1)
    probe = PostgresProbe(settings, "probe")
    try:
        await pool.execute("CREATE TABLE facts (fact int)")
        await pool.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{NAME}'")
        await pool.execute("SELECT pg_reload_conf()")
        await until(lambda: followed(standby, "SELECT to_regclass('facts') IS NOT NULL"))
        standby.pause()
        writing = asyncio.create_task(write(pool))
        with pytest.raises(ConnectionError, match="synchronous standby"):
            await until(lambda: asked(probe), timeout_s=10, message="readiness says why")
        done, _ = await asyncio.wait({writing}, timeout=7)  # longer than the limit of a statement and its grace
        assert not done
        assert await pool.fetchval("SELECT count(*) FROM facts") == 0, "nobody sees what only one server has"
        await until(lambda: waited_for(probe), message="nor does the watchdog end the process")
        writing.cancel()
        done, _ = await asyncio.wait({writing}, timeout=1)
        assert not done, "a cancelled task waits for its COMMIT as well"
        standby.resume()
        with contextlib.suppress(asyncio.CancelledError):
            await writing
        assert await pool.fetchval("SELECT count(*) FROM facts") == 1
    finally:
        standby.resume()
        await probe.close()
        await pool.close()


async def waited_for(probe: PostgresProbe) -> bool:
    with contextlib.suppress(ConnectionError):
        await probe.ask()
    return COMMITS.are_waited_for()


async def asked(probe: PostgresProbe) -> bool:
    await probe.ask()
    return False


@pytest.mark.needs_kafka("topics that outlive the broker's process")
async def test_services_follow_a_fail_over_of_a_hanging_primary(
    primary: EmbeddedPostgres, standby: Standby, processes: Processes
) -> None:
    """From the promotion on the meter is ready again within 15 s, on the new host."""
    made = await Databases(primary.dsn()).create()
    database = made.rpartition("/")[2]
    own = {"postgres_dsn": both(database, primary, standby)}
    setup = await asyncio.to_thread(processes.run, "meter", "setup", **own)
    assert setup.returncode == 0, setup.stderr
    meter = await asyncio.to_thread(processes.start, "meter", **own)
    await until(lambda: "metering_shards 3.0" in meter.get("/metrics")[1], message=meter.output)
    primary.pause()
    try:
        with within(10):
            await until(lambda: meter.get("/readyz")[0] == 503, message=meter.output)
        await standby.promote()
        with within(FAILED_OVER_S):
            await until(lambda: meter.get("/readyz")[0] == 200, message=meter.output)
        assert f"127.0.0.1:{standby.port}" in meter.get("/readyz")[1]
        assert meter.running
    finally:
        primary.resume()
