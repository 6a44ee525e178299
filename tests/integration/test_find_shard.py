"""An account's shard in SQL is the partition that producers choose, and a look-up asks that shard alone."""

import asyncpg

from meter.runtime.postgres import Pool
from projections.reader import BalanceReader
from schemas.topics import partition_for

SHARDS = 12
PLACES = "SELECT array(SELECT projections.shard_of(id, $2) FROM unnest($1::text[]) AS id)"
BALANCE = """
INSERT INTO projections.balance_states (account_id, resource, shard, granted, consumed, base, epoch, boundaries,
                                        position, as_of, opened, closed, free_only)
VALUES ($1, 1, $2, 75000000, 0, 0, 1, '{75000000}', 1, now(), true, false, true)
"""


async def test_the_shard_in_sql_is_the_partition_of_the_key(dsn: str) -> None:
    ids = [f"{'x' * length}{number}" for length in range(127) for number in range(3)]
    ids += ["a", "ab", "abc", "acct-1", "team:a@example.com", "Z" * 128]
    connection = await asyncpg.connect(dsn)
    try:
        for shards in (1, SHARDS, 4096):
            found = await connection.fetch(
                "SELECT projections.shard_of(id, $2) AS at FROM unnest($1::text[]) id", ids, shards
            )
            assert [row["at"] for row in found] == [partition_for(id.encode(), shards) for id in ids]
    finally:
        await connection.close()


async def test_the_balance_of_an_account_is_found_in_its_shard(pool: Pool, installed: None) -> None:
    shards = await pool.fetchval("SELECT projections.shards()")
    home = partition_for(b"acct-1", shards)
    await pool.execute(BALANCE, "acct-1", home)
    await pool.execute(BALANCE, "acct-2", (partition_for(b"acct-2", shards) + 1) % shards)
    [row] = await pool.fetch("SELECT shard, remaining FROM projections.balance('acct-1')")
    assert (row["shard"], row["remaining"]) == (home, 75)
    assert await pool.fetch("SELECT * FROM projections.balance('acct-2')") == [], "another shard was asked"
    assert await pool.fetch("SELECT * FROM projections.balance('nobody')") == []
    assert await BalanceReader(pool).allowed("acct-1", "model_credits")
