"""How shards spread over the parts of a distributed table: Citus takes Postgres' own hash of the shard's number."""

import asyncpg
import pytest

from meter.settings import SetupSettings

# A part has an equal range of the hashes, the last one the rest.
USED = """
SELECT count(DISTINCT least((hashint4(shard)::bigint + 2147483648) / (4294967296 / $2::bigint), $2 - 1))
FROM generate_series(0, $1::int - 1) AS shard
"""


@pytest.mark.parametrize(
    ("shards", "parts", "used"), [(12, 12, 9), (12, 24, 11), (12, 48, 12), (24, 96, 20), (48, 192, 42)]
)
async def test_parts_that_have_rows_are_those_of_the_guide(dsn: str, shards: int, parts: int, used: int) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        assert await connection.fetchval(USED, shards, parts) == used
    finally:
        await connection.close()


@pytest.mark.parametrize(("shards", "parts"), [(12, 48), (256, 1024), (4096, 1024)])
def test_there_are_four_parts_for_a_shard_and_no_more_than_citus_should_have(shards: int, parts: int) -> None:
    settings = SetupSettings(postgres_dsn="postgresql://postgres@localhost/metering", partitions=shards)
    assert settings.parts == parts
    assert SetupSettings(**settings.model_dump() | {"distribute_parts": 7}).parts == 7
