"""How days and months are summed up beside others: readers, folds of other processes, and the version before."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from meter.runtime.postgres import Pool
from projections import sums
from projections.store import sql
from projections.store_usage import USAGE
from projections.sums import SumStore
from tests.integration.plans import MODES, explain
from tests.integration.projections_log import EventLog, fold_all, opened, used
from tests.integration.usage_log import fold_usage
from tests.support.waiting import until

ACCOUNTS, SLOTS, LONG = 3_000, 8_000, 20
FILL = (
    """INSERT INTO projections.cursors (projection, shard, position)
       SELECT 'usage', s, 1 FROM generate_series(0, 11) AS s
       ON CONFLICT (projection, shard) DO UPDATE SET position = 1""",
    """INSERT INTO projections.usage_days_summed
       SELECT s, current_date - 1, current_date - 1, '', 1 FROM generate_series(0, 11) AS s""",
    """INSERT INTO projections.balance_states (account_id, resource, shard, granted, consumed, base, epoch, boundaries,
                                               position, as_of, opened, closed, free_only)
       SELECT 'acct-' || i, r, i % 12, 0, 0, 0, 0, '{}', 1, now(), true, false, true
       FROM generate_series(1, $1::int) AS i, generate_series(1, 2) AS r""",
    """INSERT INTO projections.usage_slots
       SELECT i % 12, 'acct-' || i, date_trunc('hour', now()) - n * interval '15 min', 1, 1, 'swift', '', '', '', 1, 1,
              0, 0, 0, now(), now()
       FROM generate_series(1, $1::int) AS i
       CROSS JOIN LATERAL generate_series(1, CASE WHEN i <= $2::int THEN $3::int ELSE 1 END) AS n""",
    """INSERT INTO projections.usage_totals
       SELECT shard, account_id, (slot AT TIME ZONE 'UTC')::date, 1, 1, 'swift', '', '', '', 1, 1, 0, 0, 0, now()
       FROM projections.usage_slots GROUP BY 1, 2, 3""",
)
READ = "SELECT * FROM projections.usage_by_own_day WHERE account_id = $1 AND day >= $2 AND day <= $3"


@pytest.fixture
async def history(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Accounts with a slot, and some with those of 83 days; all days but the last are added up."""
    connection = await asyncpg.connect(dsn)
    for statement in FILL:
        values = (ACCOUNTS, LONG, SLOTS)[: statement.count("::int")]
        await connection.execute(statement, *values)
    await connection.execute("ANALYZE")
    yield connection
    await connection.close()


@pytest.mark.not_on_citus("reads the plans of one server")
@pytest.mark.parametrize("mode", MODES)
async def test_a_page_reads_no_slots_of_days_that_are_added_up(history: asyncpg.Connection, mode: str) -> None:
    await history.execute(f"SET plan_cache_mode = {mode}")
    await history.execute(f"PREPARE page (text, date, date) AS {READ}")
    nodes = await explain(history, "EXECUTE page ('acct-7', current_date - 7, current_date)")
    [read] = [node for node in nodes if node.get("Index Name") == "usage_slots_pkey"]
    assert "slot >=" in read["Index Cond"], read


@pytest.mark.not_on_citus("reads the plans of one server")
async def test_days_are_added_up_along_the_key_of_slots(history: asyncpg.Connection) -> None:
    await history.execute("SET plan_cache_mode = force_generic_plan")
    for name, values in (
        ("find_next_days", "0, '', 1000, 1000, current_date - 2, current_date"),
        ("add_up_days", "0, '', 'b', current_date - 2, current_date"),
    ):
        await history.execute(f"PREPARE {name} AS {sql(name)}")
        nodes = await explain(history, f"EXECUTE {name} ({values})")
        [read] = [node for node in nodes if node.get("Index Name") == "usage_slots_pkey"]
        assert "slot >=" in read["Index Cond"], read


VIEWS = re.findall(
    r"CREATE OR REPLACE VIEW[^;]*;",
    Path(sums.__file__).with_name("migrations").joinpath("0028_days_over.sql").read_text(),
)


async def test_setup_and_a_page_do_not_wait_for_each_other(dsn: str, pool: Pool) -> None:
    """A page that had read how far months are summed up, and then waited for days, was ended as a deadlock."""
    assert len(VIEWS) == 2
    page, setup = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    transaction = page.transaction()
    await transaction.start()
    await page.fetch("SELECT * FROM projections.usage_months_until")
    task = asyncio.create_task(setup.execute("BEGIN; " + "".join(VIEWS) + "COMMIT"))
    await until(lambda: pool.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))
    await page.fetch("SELECT * FROM projections.usage_by_own_day")
    await transaction.commit()
    await task
    await page.close()
    await setup.close()


NOW = datetime(2026, 11, 24, tzinfo=UTC)


async def summed_up(pool: Pool, log: EventLog) -> SumStore:
    """Two accounts of one shard with usage of October, in days and months."""
    await log.append(*(event for name in ("acct-1", "acct-2", "acct-3", "acct-4") for event in opened(name)))
    await use_all(pool, log)
    store = SumStore(pool, USAGE)
    while await store.sum_up(NOW):
        pass
    assert await pool.fetchval("SELECT count(*) FROM projections.usage_by_own_month") == 4
    return store


async def use_all(pool: Pool, log: EventLog) -> None:
    at = datetime(2026, 10, 31, 12, tzinfo=UTC)
    await log.append(*(used(name, 1, occurred_at=at) for name in ("acct-1", "acct-2", "acct-3", "acct-4")))
    await fold_all(pool)
    await fold_usage(pool)


@pytest.mark.not_on_citus("waits for a lock that is the coordinator's, and cursors lie on workers")
async def test_a_fold_between_looking_and_holding_voids_nothing(
    pool: Pool, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was seen of a cursor counts no more when it is held: sums would begin anew, with nothing wrong."""
    store = await summed_up(pool, log)
    held = sql("claim_days").replace("random()", "c.shard DESC, (SELECT 1 FROM pg_advisory_xact_lock(7))")
    monkeypatch.setattr(sums, "sql", lambda name: held if name == "claim_days" else sql(name))
    async with pool.acquire() as other, other.transaction():
        await other.execute("SELECT pg_advisory_xact_lock(7)")
        task = asyncio.create_task(store.sum_up(datetime(2026, 11, 25, tzinfo=UTC)))
        await until(lambda: other.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND objid = 7)"))
        await use_all(pool, log)
    assert await task
    assert await pool.fetchval("SELECT count(*) FROM projections.usage_by_own_month") == 4
    assert await pool.fetchval("SELECT sum(amount) FROM projections.usage_by_own_month") == 8


async def test_beside_a_fold_that_knows_no_sums_they_do_not_begin_anew_at_once(pool: Pool, log: EventLog) -> None:
    """The version before moves the cursor on between two pieces: then each piece is for nothing."""
    await summed_up(pool, log)
    store = SumStore(pool, USAGE, piece_lines=1)
    for _ in range(3):
        await pool.execute("UPDATE projections.usage_days_summed SET position = position - 1 WHERE position > 0")
        assert not await store.sum_up(NOW)
    await pool.execute("UPDATE projections.usage_days_summed SET position = -1")
    while not await pool.fetchval("SELECT every(summed > '-infinity') FROM projections.usage_days_summed"):
        await store.sum_up(NOW)
