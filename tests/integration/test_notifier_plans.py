"""What the notifier asks for each batch goes along an index, however few notices there are."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from meter.runtime.postgres import load_sql
from meter.runtime.postgres.plans import SETTINGS
from tests.architecture.hot_statements import OF_LETTERS
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


async def find_tables_read_beyond_the_account(dsn: str, statement: str) -> set[str]:
    """By a plan that was made when the tables were known to be empty: vacuumed, before there was anything."""
    connection = await asyncpg.connect(dsn, server_settings=SETTINGS)
    try:
        tables = ("accounts", "balances", "contacts", "emails", "told", "recalled")
        await connection.execute("VACUUM " + ", ".join(f"notifier.{table}" for table in tables))
        await connection.execute(f"PREPARE letters AS {statement}")
        nodes = await explain(connection, "EXECUTE letters ('{acct-1,acct-2}', '{0,1}')")
    finally:
        await connection.close()
    scans = [node for node in nodes if "Scan" in node["Node Type"] and node["Node Type"] != "Function Scan"]
    assert scans
    beyond = [node for node in scans if "account_id" not in node.get("Index Cond", "")]
    return {node.get("Relation Name", node.get("Index Name", "")) for node in beyond}


@pytest.mark.parametrize("name", OF_LETTERS)
async def test_letters_are_found_by_their_accounts_by_a_plan_of_empty_tables_as_well(dsn: str, name: str) -> None:
    assert await find_tables_read_beyond_the_account(dsn, load_sql("notifier", name)) == set()


async def test_a_join_would_read_all_contacts(dsn: str) -> None:
    """Else the test above could not fail."""
    found = await find_tables_read_beyond_the_account(
        dsn,
        """
        SELECT c.account_id, c.contact, e.email_id, e.lines
        FROM unnest($1::text[], $2::int[]) AS a (account_id, shard)
        JOIN notifier.contacts c ON c.shard = a.shard AND c.account_id = a.account_id
        LEFT JOIN notifier.emails e ON e.shard = c.shard AND e.account_id = c.account_id AND e.recipient = c.contact
            AND e.state = 'queued'
        ORDER BY c.account_id, c.contact
        """,
    )
    assert "contacts" in found
