"""What setup says of others while it has the rights of `credit_owner`: who holds a lock, how far an index is."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from deploy.local.stack import Addresses
from meter.roles import OWNER, create_roles
from meter.runtime.postgres import Pool, create_pool
from meter.runtime.postgres.migrations import as_who_signed_in, describe_holders

pytestmark = pytest.mark.not_on_citus("asks for sessions of one server")


@pytest.fixture
async def holder(pool: Pool, stack: Addresses, dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A service with a transaction open."""
    async with pool.acquire() as connection:
        await create_roles(connection)
    opened = await asyncpg.connect(
        stack.dsn(dsn.rpartition("/")[2], "credit_support"), server_settings={"application_name": "a-report"}
    )
    await opened.execute("BEGIN; SELECT FROM meter.shards")
    yield opened
    await opened.close()


async def test_a_setup_that_signed_in_as_superuser_names_who_holds_a_lock(holder: asyncpg.Connection, dsn: str) -> None:
    own = await create_pool(dsn, application_name="credit-setup", role=OWNER)
    try:
        async with own.acquire() as connection:
            assert f"a-report (pid {holder.get_server_pid()}, 0 s)" in await describe_holders(connection)
            assert await connection.fetchval("SELECT current_user") == OWNER
            async with as_who_signed_in(connection):
                assert await connection.fetchval("SELECT current_user") == "postgres"
            assert await connection.fetchval("SELECT current_user") == OWNER
    finally:
        await own.close()


@pytest.mark.usefixtures("holder")
async def test_one_that_signed_in_as_the_owner_says_what_it_may_not_see(stack: Addresses, dsn: str) -> None:
    own = await create_pool(
        stack.dsn(dsn.rpartition("/")[2], OWNER), application_name="credit-setup", role=OWNER, max_size=1
    )
    try:
        async with own.acquire() as connection:
            said = await describe_holders(connection)
    finally:
        await own.close()
    assert said == "of other roles' sessions this one may not see it: ask as a superuser"
