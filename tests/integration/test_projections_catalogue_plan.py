"""The catalogue of an account is read along its key, however many accounts there are."""

import asyncpg
import pytest

from tests.integration.plans import MODES, explain

pytestmark = pytest.mark.not_on_citus("reads the plan of one server: on Citus another one runs the statement")

SHARDS = 12
ACCOUNTS = """
INSERT INTO projections.account_states (account_id, shard, plan, contacts, opened_at, position, as_of, closed,
                                        contact_ids)
SELECT 'acct-' || i, i % $1, 'free', '[]', now(), 1, now(), false, '[]' FROM generate_series(1, 20000) AS i
"""
USED = """
INSERT INTO projections.used_items (shard, account_id, kind, item, deployment, first_used, position)
SELECT i % $1, 'acct-' || i, 1, 'model-' || n, '', now(), 1
FROM generate_series(1, 20000) AS i CROSS JOIN generate_series(1, 10) AS n
"""


async def test_the_catalogue_of_an_account_reads_its_items_alone(dsn: str) -> None:
    """Along the key, which begins with the shard: it is found from the account."""
    connection = await asyncpg.connect(dsn)
    try:
        for statement in (ACCOUNTS, USED):
            await connection.execute(statement, SHARDS)
        await connection.execute("ANALYZE projections.account_states, projections.used_items, projections.items")
        await connection.execute("PREPARE catalogue AS SELECT * FROM projections.catalogue WHERE account_id = $1")
        for mode in MODES:
            await connection.execute(f"SET plan_cache_mode = {mode}")
            nodes = await explain(connection, "EXECUTE catalogue ('acct-7')")
            indexes = [node.get("Index Name") for node in nodes if node.get("Relation Name") == "used_items"]
            assert indexes == ["used_items_pkey"] * 2
            conditions = [node["Index Cond"] for node in nodes if node.get("Index Name") == "used_items_pkey"]
            assert all("shard" in condition and "account_id" in condition for condition in conditions)
    finally:
        await connection.close()
