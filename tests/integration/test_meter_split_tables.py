"""`meter split` decides for every table with a shard whether its rows go with their account or stay where they are."""

import re

import asyncpg

from meter.runtime.postgres import load_sql

# What stands at an offset of Kafka, or is one row a shard, or is thrown away by the next rebuild.
STAYS = {
    "meter.batches", "meter.dismissals", "meter.duplicates", "meter.former_hashes", "meter.gaps",
    "meter.generations", "meter.moved",
    "meter.moving", "meter.outbox", "meter.outbox_shards", "meter.pruned", "meter.pruned_counts", "meter.rejections",
    "meter.remarks", "meter.rerouted", "meter.sealed_later", "meter.shards", "meter.waiting",
    "projections.cursors", "projections.outbox", "projections.outbox_shards", "projections.rebuild_shards",
    "projections.rebuilt_accounts", "projections.rebuilt_balances", "projections.rebuilt_names",
    "projections.rebuilt_slots",
    "projections.republications", "projections.usage_starts", "projections.usage_summed",
    "projections.usage_days_summed",
    "notifier.cursors", "notifier.generations", "notifier.outbox", "notifier.outbox_shards", "notifier.rejections",
    "notifier.thresholds",
}  # fmt: skip
SHARDED = """
SELECT n.nspname || '.' || t.relname AS name
FROM pg_class t
JOIN pg_namespace n ON n.oid = t.relnamespace
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = 'shard'
WHERE n.nspname IN ('meter', 'projections', 'notifier') AND t.relkind = 'r'
"""


async def test_every_table_moves_or_stays(dsn: str) -> None:
    """A new table with accounts stands in meter/sql/move_accounts.sql, another one here."""
    statement = load_sql("meter", "move_accounts")
    moves = set(re.findall(r"'((?:meter|projections|notifier)\.[a-z_]+)'", statement))
    moves |= set(re.findall(r"(?:UPDATE|DELETE FROM) ((?:meter|projections|notifier)\.[a-z_]+)", statement))
    connection = await asyncpg.connect(dsn)
    try:
        found = {row["name"] for row in await connection.fetch(SHARDED)}
    finally:
        await connection.close()
    assert moves | STAYS == found and not moves & STAYS
