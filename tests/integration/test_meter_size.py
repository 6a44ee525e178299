"""What an event takes of Postgres' disk: the figure by which people buy disks stands in deploy/OPERATING.md."""

import re
from datetime import timedelta

import pytest

from meter.runtime.postgres import Pool, load_sql
from tests.architecture.sources import ROOT
from tests.bench.databases import SQL
from tests.bench.events import account_name
from tests.bench.preload import START

EVENTS, BATCH = 60_000, 5_000
ACCOUNTS = [account_name(number) for number in range(1_000)]
NEARLY = 0.1


@pytest.mark.not_on_citus("measures the files of one server")
async def test_the_guide_says_what_an_event_takes(pool: Pool) -> None:
    step = timedelta(seconds=1)
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    for first in range(0, EVENTS, BATCH):
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(
                load_sql(SQL, "preload_batch"), 0, BATCH, ACCOUNTS, START + first * step, step, timeout=120
            )
            await connection.execute(load_sql(SQL, "advance_preloaded"), 0)
    assert await pool.fetchval("SELECT count(*) FROM meter.events") == EVENTS
    taken = await pool.fetchval(
        "SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables WHERE relname ~ '^(events|batches)'"
        " AND schemaname = 'meter'"
    )
    [said] = re.findall(r"takes about (\d+) bytes", (ROOT / "deploy/OPERATING.md").read_text(encoding="utf-8"))
    measured = float(taken) / EVENTS
    assert abs(measured - int(said)) < NEARLY * int(said), f"{measured:.0f} bytes"
