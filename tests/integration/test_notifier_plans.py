"""What the notifier asks for each batch goes along an index, however few notices there are."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from meter.runtime.postgres import load_sql
from tests.integration.plans import explain

pytestmark = pytest.mark.not_on_citus("reads the plan of one server: on Citus another one runs the statement")

BALANCES = """
INSERT INTO notifier.balances (account_id, resource, shard, position, epoch, allocation, consumed, changed_at)
SELECT 'acct-' || i / 2, CASE i % 2 WHEN 0 THEN 'model_credits' ELSE 'tool_runs' END, i % 12, i, 1, 100, 50, now()
FROM generate_series(1, 20000) AS i
"""
NOTICES = """
INSERT INTO notifier.notices (notice_id, account_id, resource, epoch, channel, threshold, outcome, allocation, consumed,
                              shard, position, created_at)
SELECT gen_random_uuid(), 'acct-' || i, 'model_credits', 1, 'banner', 50, 'delivered', 100, 50, i % 12, i, now()
FROM generate_series(1, 3000) AS i
"""
STATEMENT = load_sql("notifier", "fetch_noticed")


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    await connection.execute(BALANCES)
    await connection.execute(NOTICES)
    await connection.execute("ANALYZE notifier.balances, notifier.notices")
    yield connection
    await connection.close()


async def find_tables_read_whole(connection: asyncpg.Connection, statement: str) -> set[str]:
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE noticed AS {statement}")
    nodes = await explain(connection, "EXECUTE noticed ('{acct-1,acct-2}', '{0,1}')")
    return {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"}


async def test_lines_crossed_are_found_by_an_index(connection: asyncpg.Connection) -> None:
    assert await find_tables_read_whole(connection, STATEMENT) == set()


async def test_there_are_notices_enough_to_lead_astray(connection: asyncpg.Connection) -> None:
    """Else the other test would pass without the fence that it watches."""
    by_shard = (
        "($2::int[] IS NULL OR b.shard = ANY ($2))"  # has fewer rows expected, and so hides what is looked for here
    )
    assert by_shard in STATEMENT
    unfenced = STATEMENT.replace("OFFSET 0", "").replace(by_shard, "($2::int[] IS NULL OR true)")
    assert await find_tables_read_whole(connection, unfenced) == {"notices"}
