"""`projections rebuild` puts right what was changed, publishes nothing, and leaves the service running."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from meter.runtime.errors import RefusalError
from meter.runtime.postgres import Pool
from projections import rebuild as rebuild_module
from projections.plan import LogDamagedError, PositionRange, plan
from projections.rebuild import Exchange, Model, Rebuild, clear_rebuilt
from projections.store import FoldStore, sql
from projections.store_usage import UsageStore, fold_ranges
from projections.verify import verify
from tests.integration.projections_books import assert_balances
from tests.integration.projections_histories import random_history
from tests.integration.projections_log import EventLog, fold_all
from tests.integration.usage_log import assert_usage, fold_usage, sum_all
from tests.support.damaging import damage as damage_table
from tests.support.damaging import lift_triggers
from tests.support.processes import Processes

TABLES = (
    "balance_states", "usage_slots", "usage_totals", "used_items", "usage_zones", "account_states", "usage_months",
    "usage_day_kinds",
)  # fmt: skip
BALANCES, SLOTS, DAYS, ITEMS, ZONES, ACCOUNTS, MONTHS, DAY_KINDS = (f"projections.{table}" for table in TABLES)
DAMAGES = (
    f"UPDATE {BALANCES} SET consumed = consumed + 7, epoch = 9 WHERE account_id = 'acct-1' AND resource = 1",
    f"DELETE FROM {BALANCES} WHERE account_id = 'acct-2' AND resource = 1",
    f"UPDATE {SLOTS} SET amount = 0, events = 1 WHERE account_id = 'acct-1' AND resource = 2",
    f"DELETE FROM {SLOTS} WHERE account_id = 'acct-2'",
    f"UPDATE {SLOTS} SET item = 'none' WHERE ctid = (SELECT min(ctid) FROM {SLOTS} WHERE account_id = 'acct-3')",
    f"UPDATE {DAYS} SET last_used = last_used + interval '1 s' WHERE account_id = 'acct-4'",
    f"DELETE FROM {DAYS} WHERE account_id = 'acct-5'",
    f"UPDATE {MONTHS} SET tokens_in = tokens_in + 1 WHERE account_id = 'acct-1'",
    f"DELETE FROM {MONTHS} WHERE account_id = 'acct-3'",
    f"UPDATE {MONTHS} SET item = 'none' WHERE ctid = (SELECT min(ctid) FROM {MONTHS} WHERE account_id = 'acct-6')",
    f"UPDATE {DAY_KINDS} SET amount = amount + 1 WHERE account_id = 'acct-4'",
    f"UPDATE {DAY_KINDS} SET day = day - 1 WHERE account_id = 'acct-6'",
    f"UPDATE {ITEMS} SET first_used = now() WHERE account_id = 'acct-4'",
    f"DELETE FROM {ITEMS} WHERE account_id = 'acct-5'",
    f"INSERT INTO {ZONES} SELECT shard, account_id, 'Asia/Kathmandu' FROM {ACCOUNTS} ON CONFLICT DO NOTHING",
    f"UPDATE {ACCOUNTS} SET plan = 'other' WHERE account_id = 'acct-1'",
    f"UPDATE {ACCOUNTS} SET account_id = 'acct-none' WHERE account_id = 'acct-2'",
)


@pytest.fixture
async def log(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> EventLog:
    monkeypatch.setattr(rebuild_module, "RANGE_EVENTS", 50)
    made = EventLog(pool)
    await made.set_up()
    await made.append(*random_history(seed=41, accounts=12, length=500))
    await fold_everything(pool)
    return made


async def fold_everything(pool: Pool) -> None:
    await fold_all(pool, 150)
    await fold_usage(pool, 120)
    await sum_all(pool, datetime(2027, 1, 5, tzinfo=UTC))


async def read_models(pool: Pool) -> dict[str, set[tuple[object, ...]]]:
    return {
        table: {tuple(row) for row in await pool.fetch(f"SELECT ROW(t.*)::text FROM projections.{table} t")}
        for table in TABLES
    }


async def damage(pool: Pool) -> None:
    for statement in DAMAGES:
        assert not (await damage_table(pool, statement)).endswith(" 0"), statement


async def rebuild(pool: Pool, *models: Model, dry_run: bool = False) -> list[Exchange]:
    return await Rebuild(pool, models or list(Model), progress=lambda _events: None, dry_run=dry_run).run()


async def test_rebuilding_what_is_right_changes_nothing(pool: Pool, log: EventLog) -> None:
    before, waiting = await read_models(pool), await pool.fetchval("SELECT count(*) FROM projections.outbox")
    exchanges = await rebuild(pool)
    assert [(e.model, e.added, e.changed, e.removed) for e in exchanges] == [(model, 0, 0, 0) for model in Model]
    rows = {table: len(before[table]) for table in TABLES}
    of_usage = sum(rows[table] for table in TABLES if table.startswith("us"))
    assert [e.rows for e in exchanges] == [rows["balance_states"], of_usage, rows["account_states"]]
    assert await read_models(pool) == before
    assert await pool.fetchval("SELECT count(*) FROM projections.outbox") == waiting


async def test_damage_is_put_right_and_told_to_nobody(pool: Pool, log: EventLog) -> None:
    before, waiting = await read_models(pool), await pool.fetchval("SELECT count(*) FROM projections.outbox")
    await damage(pool)
    assert await read_models(pool) != before
    balances, usage, accounts = await rebuild(pool)
    assert (balances.added, balances.changed, balances.removed) == (1, 1, 0)
    assert usage.added > 0 and usage.changed > 0 and usage.removed > 0
    assert (accounts.added, accounts.changed, accounts.removed) == (1, 1, 1)
    assert await read_models(pool) == before
    assert await pool.fetchval("SELECT count(*) FROM projections.outbox") == waiting
    assert [report.differences async for report in verify(pool)] == [[], [], []]


async def test_lines_of_usage_under_a_wrong_shard_come_home(pool: Pool, log: EventLog) -> None:
    before = await read_models(pool)
    moved = f"UPDATE {SLOTS} SET shard = (shard + 1) % 3, amount = amount + 1 WHERE account_id < 'acct-5'"
    await damage_table(pool, moved)
    await rebuild(pool)
    assert await read_models(pool) == before


async def test_times_of_change_are_put_right(pool: Pool, log: EventLog) -> None:
    before = await read_models(pool)
    for wrong in ("changed_at - interval '1 day'", "changed_at + interval '1 day'"):
        await damage_table(pool, f"UPDATE {SLOTS} SET changed_at = {wrong} WHERE account_id > 'acct-5'")
        assert any([report.differences async for report in verify(pool)])
        await rebuild(pool, Model.USAGE)
        assert await read_models(pool) == before


async def test_a_dry_run_tells_the_same_and_changes_nothing(pool: Pool, log: EventLog) -> None:
    await damage(pool)
    damaged = await read_models(pool)
    dry = await rebuild(pool, dry_run=True)
    assert await read_models(pool) == damaged
    assert dry == await rebuild(pool)


async def test_one_model_leaves_the_others_alone(pool: Pool, log: EventLog) -> None:
    await damage(pool)
    damaged = await read_models(pool)
    assert [e.model for e in await rebuild(pool, Model.USAGE)] == [Model.USAGE]
    after = await read_models(pool)
    for table in TABLES:
        assert (after[table] != damaged[table]) == table.startswith("us"), table


async def test_everything_is_rebuilt_from_nothing(pool: Pool, log: EventLog) -> None:
    before = await read_models(pool)
    for table in TABLES:
        await pool.execute(f"TRUNCATE projections.{table}")
    exchanges = await rebuild(pool)
    assert all(e.added == e.rows > 0 for e in exchanges)
    assert await read_models(pool) == before


async def test_the_fold_goes_on_during_a_rebuild(pool: Pool, log: EventLog) -> None:
    await damage(pool)
    history = random_history(seed=43, accounts=12, length=600)
    done = asyncio.Event()

    async def write_and_fold() -> None:
        for start in range(0, len(history), 10):
            await log.append(*history[start : start + 10])
            await FoldStore(pool, most_events=25).fold(plan)
            await UsageStore(pool, most_events=25).fold()
        done.set()

    async def rebuild_all_the_time() -> int:
        times = 0
        while not done.is_set():
            await rebuild(pool)
            times += 1
        return times

    async with asyncio.TaskGroup() as group:
        group.create_task(write_and_fold())
        rebuilding = group.create_task(rebuild_all_the_time())
    assert rebuilding.result() >= 1
    await fold_everything(pool)
    await assert_balances(pool, log.events)
    await assert_usage(pool, log.events)
    assert [report.differences async for report in verify(pool)] == [[], [], []]


async def test_a_fold_and_a_rebuild_that_ends_never_deadlock(pool: Pool, log: EventLog) -> None:
    """The fold's statement is that of collecting too: it locks what a rebuild collects, and the rebuild clears that. A
    backup locks the same tables in the order in which they were made."""
    cleared = asyncio.Event()

    async def fold_nothing() -> None:
        while not cleared.is_set():
            async with pool.acquire() as connection, connection.transaction():
                await fold_ranges(connection, [PositionRange(0, 0, 0)])

    async def lock_as_a_backup() -> None:
        while not cleared.is_set():
            async with pool.acquire() as connection, connection.transaction():
                for table in ("rebuilt_slots", "rebuilt_names"):
                    await connection.execute(f"LOCK TABLE projections.{table} IN ACCESS SHARE MODE")

    async with asyncio.TaskGroup() as group:
        group.create_task(fold_nothing())
        group.create_task(fold_nothing())
        group.create_task(lock_as_a_backup())
        for _ in range(200):
            await clear_rebuilt(pool)
        cleared.set()


async def test_a_second_rebuild_at_the_same_time_is_refused(pool: Pool, log: EventLog) -> None:
    async with pool.acquire() as other, other.transaction():
        assert await other.fetch(sql("lock_rebuild"))
        with pytest.raises(RefusalError, match="another rebuild is under way"):
            await rebuild(pool)
    await rebuild(pool)


async def test_a_log_with_a_hole_is_no_ground_to_rebuild_on(pool: Pool, log: EventLog) -> None:
    before = await read_models(pool)
    await lift_triggers(pool, "meter.events")
    await pool.execute("DELETE FROM meter.events WHERE shard = 0 AND position = 60")
    with pytest.raises(LogDamagedError, match=r"shard 0: of the events up to position \d+ only \d+ are in"):
        await rebuild(pool)
    after = await read_models(pool)
    assert after == before


async def test_the_command_tells_what_it_did(pool: Pool, log: EventLog, processes: Processes) -> None:
    await damage(pool)
    dry = processes.run("projections", "rebuild", "--dry-run", "--json")
    assert dry.returncode == 0, dry.stderr
    real = processes.run("projections", "rebuild")
    assert real.returncode == 0, real.stderr
    heading, *lines = (line.split("\t") for line in real.stdout.splitlines())
    assert heading == ["model", "rows", "added", "changed", "removed"]
    assert [list(map(str, json.loads(line).values())) for line in dry.stdout.splitlines()] == lines
    assert "100 %" in real.stderr
    assert [report.differences async for report in verify(pool)] == [[], [], []]
