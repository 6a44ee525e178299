"""On a Citus cluster: setup distributes, statements run, and append-only holds by privileges."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from meter.distribute import check_distribution, distribute
from meter.roles import create_roles
from meter.runtime.postgres import Executor, is_on_citus, load_sql
from tests.architecture.hot_statements import ALL_SHARDS, HOT, OF_BATCH, OF_LETTER, OF_LETTERS, join
from tests.support.citus import PARTS, open_distributed

pytestmark = pytest.mark.needs_citus
TIMES = 7  # from the sixth time on Postgres may keep a plan for all arguments
NODES_OF_A_SHARD = """
SELECT count(DISTINCT (s.nodename, s.nodeport)) AS nodes, count(DISTINCT s.table_name) AS tables
FROM citus_shards s
WHERE s.citus_table_type = 'distributed'
  AND s.shardid IN (SELECT get_shard_id_for_distribution_column(t.table_name, 1) FROM citus_tables t
                    WHERE t.citus_table_type = 'distributed')
"""
CANNOT_MOVE = """
SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_dist_partition p ON p.logicalrelid = c.oid
WHERE c.relreplident = 'd' AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p')
"""
IDENTITY_OF_PARTS = """
SELECT result FROM run_command_on_shards(
    'projections.rebuilt_slots', $$SELECT relreplident::text FROM pg_class WHERE oid = '%s'::regclass$$)
"""
SENT = "issuing "  # of a statement that goes to a node
TOPIC = "INSERT INTO meter.topics (topic, topic_id, partitions, recorded_at) VALUES ('metering.usage', 'a', 3, now())"
REQUEST = """
INSERT INTO notifier.retry_requests (shard, request_id, email_id, requested_by)
VALUES (1, gen_random_uuid(), gen_random_uuid(), 'tests')
"""


@pytest.fixture
async def connection() -> AsyncIterator[Executor]:
    async with open_distributed() as connection:
        yield connection


async def test_every_hot_statement_runs_and_keeps_running(connection: Executor) -> None:
    refused = {}
    for statements in (HOT, ALL_SHARDS):
        for package, named in statements.items():
            for name, arguments in named.items():
                try:
                    await run_again(connection, load_sql(package, name), arguments)
                except asyncpg.PostgresError as error:
                    refused[f"{package}/{name}"] = str(error)
    assert refused == {}


@pytest.mark.parametrize("names", [OF_BATCH, OF_LETTERS, OF_LETTER])
async def test_so_do_those_that_are_joined(connection: Executor, names: tuple[str, ...]) -> None:
    await run_again(connection, *join(names))


async def run_again(connection: Executor, statement: str, arguments: tuple[object, ...]) -> None:
    for _ in range(TIMES):
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.fetch(statement, *arguments)
        finally:
            await transaction.rollback()


async def test_a_shard_lies_on_one_node_in_every_table(connection: Executor) -> None:
    row = await connection.fetchrow(NODES_OF_A_SHARD)
    assert row is not None and row["nodes"] == 1 and row["tables"] > 40
    await connection.execute(load_sql("meter", "go_node_by_node"))  # as setup looks: tables, not their parts
    assert await connection.fetch(load_sql("meter", "list_undistributed")) == []


async def test_citus_may_move_every_table_while_it_is_written(connection: Executor) -> None:
    assert await connection.fetch(CANNOT_MOVE) == []
    await connection.execute(
        "ALTER TABLE projections.rebuilt_slots REPLICA IDENTITY DEFAULT"
    )  # as earlier versions left it
    assert [row["name"] for row in await connection.fetch(CANNOT_MOVE)] == ["projections.rebuilt_slots"]
    assert [name async for name in distribute(connection, PARTS)] == []
    assert await connection.fetch(CANNOT_MOVE) == []
    assert [row["result"] for row in await connection.fetch(IDENTITY_OF_PARTS)] == ["f"] * PARTS


async def test_a_balance_is_asked_of_one_node_in_one_statement(connection: Executor) -> None:
    await connection.execute(TOPIC)
    for _ in range(TIMES):
        [asked] = await note_sent(connection, "SELECT * FROM projections.balance('acct-1')")
        assert "balance_states" in asked
    by_view = await note_sent(connection, "SELECT * FROM projections.balances WHERE account_id = 'acct-1'")
    assert len(by_view) == PARTS


async def note_sent(connection: Executor, statement: str) -> list[str]:
    """The statements that go to nodes for it."""
    sent: list[str] = []

    def note(_connection: Any, message: asyncpg.PostgresLogMessage) -> None:
        if (said := message.message or "").startswith(f"{SENT}SELECT"):
            sent.append(said)

    connection.add_log_listener(note)
    async with connection.transaction():
        await connection.execute("SET LOCAL citus.log_remote_commands = on")
        await connection.fetch(statement)
    connection.remove_log_listener(note)
    return sent


async def test_distributing_again_changes_nothing(connection: Executor) -> None:
    await check_distribution(connection)
    assert [name async for name in distribute(connection, PARTS)] == []
    assert await connection.fetch(load_sql("meter", "prepare_distribution")) == []
    assert await is_on_citus(connection)


async def test_the_log_is_append_only_by_privileges(connection: Executor) -> None:
    await create_roles(connection)
    refusals = [
        ("credit_meter", "UPDATE meter.events SET amount = 0 WHERE shard = 1"),
        ("credit_meter", "DELETE FROM meter.events WHERE shard = 1"),
        ("credit_meter", "TRUNCATE meter.events"),
        ("credit_meter", "DELETE FROM meter.batches WHERE shard = 1"),
        ("credit_projections", "INSERT INTO meter.events (shard) VALUES (1)"),
        ("credit_notifier", "SELECT count(*) FROM meter.events WHERE shard = 1"),
        ("credit_reader", "SELECT count(*) FROM meter.events WHERE shard = 1"),
    ]
    for role, statement in refusals:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await connection.execute(f"SET LOCAL ROLE {role}")
                await connection.execute(statement)


async def test_a_role_that_may_insert_some_columns_may_do_so(connection: Executor) -> None:
    """The others have defaults, which the node of the row is sent with it."""
    await create_roles(connection)
    statements: list[tuple[str, str, tuple[object, ...]]] = [
        ("credit_support", load_sql("meter", "append_replay"), (1, "tests", datetime.now(UTC), [0], [7])),
        ("credit_meter", "INSERT INTO meter.shards (shard) VALUES (1)", ()),
        ("credit_meter", "INSERT INTO meter.outbox_shards (shard) VALUES (1)", ()),
        ("credit_support", REQUEST, ()),
    ]
    for role, statement, arguments in statements:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL ROLE {role}")
            await connection.execute(statement, *arguments)
