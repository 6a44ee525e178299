"""`meter split` on logs of every age: chains hold, repeats are known, changes are found; it is done wholly or not."""

from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from meter.runtime import fault_points
from meter.runtime.errors import RefusalError
from meter.runtime.fault_points import InjectedError
from meter.runtime.postgres import Pool, load_sql
from meter.split import check_sent
from meter.store.damage import Damage
from meter.store.rechain import Wording, seal_shard
from tests.contract.rows import MOMENT
from tests.integration.split_log import ACCOUNTS, BEFORE, Batches, begin_log, reverse, shard_of
from tests.support.damaging import pass_triggers

pytestmark = pytest.mark.not_on_citus("`meter split` refuses there")

POINTS = ("split_accounts_moved", "split_before_commit", "split_after_commit")


@pytest.fixture
async def batches(pool: Pool) -> Batches:
    return await begin_log(pool)


async def write_old(batches: Batches) -> None:
    """Batches of version 2, from before events had a key."""
    pool = batches.pool
    await pool.execute(load_sql("meter", "allow_unidentified"))
    await pool.execute("ALTER TABLE meter.batches ALTER chain_version SET DEFAULT 2, ALTER waiting SET DEFAULT 0")
    await batches.write(old=True, opening=True)
    await batches.write(old=True)
    await pool.execute("ALTER TABLE meter.batches ALTER chain_version DROP DEFAULT, ALTER waiting DROP DEFAULT")
    await pool.execute(load_sql("meter", "refuse_unidentified"))


async def tamper(pool: Pool, statement: str, *values: Any) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await pass_triggers(connection)
        assert await connection.execute(statement, *values) != "UPDATE 0"


async def test_a_log_of_version_2_is_split_and_repeats_of_it_are_known(batches: Batches) -> None:
    await write_old(batches)
    await batches.write()
    await batches.split(2 * BEFORE)
    await batches.check()
    assert await batches.write(again=True) == (len(ACCOUNTS), len(ACCOUNTS)), "old events have no key, and come again"
    await batches.check()
    with pytest.raises(asyncpg.CheckViolationError, match="events_identified"):
        await batches.pool.execute("INSERT INTO meter.events SELECT * FROM meter.events WHERE event_key IS NULL")


@pytest.mark.parametrize("old", [False, True])
async def test_a_split_after_a_split(batches: Batches, old: bool) -> None:
    """Accounts that moved move on: their events are in batches of two other shards."""
    await (write_old(batches) if old else batches.write(opening=True))
    for shards in (2 * BEFORE, 6 * BEFORE):
        begun = await batches.split(shards)
        assert {each.shard for each in begun} == set(range(shards))
        await batches.check()
        assert await batches.write(again=True) == (len(ACCOUNTS), len(ACCOUNTS))
        await batches.check()
    moved = [account for account in ACCOUNTS if len(places_of(account)) == 3]
    assert moved, "some account was in three shards"
    await reverse(batches, moved[0])
    await batches.check()


def places_of(account: str) -> set[int]:
    return {shard_of(account, shards) for shards in (BEFORE, 2 * BEFORE, 6 * BEFORE)}


@pytest.mark.parametrize("number", [0, 1])
async def test_a_change_of_what_moved_is_found(batches: Batches, number: int) -> None:
    """Of an event from before the first split, and of one from between the two."""
    await batches.write(opening=True)
    await batches.split(2 * BEFORE)
    await batches.write()
    await batches.split(6 * BEFORE)
    account = next(account for account in ACCOUNTS if len(places_of(account)) == 3)
    changed = batches.sent[account][number]
    await tamper(batches.pool, "UPDATE meter.events SET amount = amount + 1 WHERE id = $1 OR event_key = $2",
                 changed.event_id, changed.key)  # fmt: skip
    assert await batches.findings() == {Damage.BATCH_CHANGED}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE meter.moved SET upto = upto - 1 WHERE shard = 3",
        "UPDATE meter.moved SET origin = 0 WHERE shard = 3",
        "DELETE FROM meter.moved WHERE shard = 3",
    ],
)
async def test_a_change_of_where_accounts_came_from_is_found(batches: Batches, statement: str) -> None:
    await batches.write(opening=True)
    await batches.split(2 * BEFORE)
    await batches.write()
    await tamper(batches.pool, statement)
    assert await batches.findings()


@pytest.mark.parametrize("point", POINTS)
async def test_stopped_anywhere_nothing_or_all_is_done_and_it_goes_on(
    batches: Batches, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    await write_old(batches)
    monkeypatch.setattr(fault_points, "_armed", {point: {1: "raise"}})
    monkeypatch.setattr(fault_points, "_visits", {})
    with pytest.raises(InjectedError):
        await batches.split(2 * BEFORE)
    if point == "split_after_commit":
        batches.shards = 2 * BEFORE
    else:
        await batches.check()
        await batches.split(2 * BEFORE)
    await batches.check()
    assert await batches.write(again=True) == (len(ACCOUNTS), len(ACCOUNTS))
    assert await disabled_triggers(batches.pool) == []


async def test_events_that_are_in_no_balance_yet_are_waited_for(batches: Batches) -> None:
    """Behind the cursor positions of accounts that moved would be holes, at which the fold stops for good."""
    await batches.write(opening=True)
    with pytest.raises(RefusalError, match="in no balance yet: 48 events"):
        await check_sent(batches.pool, BEFORE)
    await batches.split(2 * BEFORE)
    await batches.check()


async def disabled_triggers(pool: Pool) -> Sequence[str]:
    rows = await pool.fetch("SELECT tgname FROM pg_trigger WHERE tgenabled = 'D'")
    return [row["tgname"] for row in rows]


async def test_a_log_that_was_chained_anew_is_refused_and_left_as_it_is(batches: Batches) -> None:
    await write_old(batches)
    await seal_shard(batches.pool, 0, 2, Wording(MOMENT, "tester", "old data sealed"), lambda _events: None)
    with pytest.raises(RefusalError, match="cannot be split yet"):
        await batches.split(2 * BEFORE)
    await batches.check()
