"""Read models after `meter split`: they are what the log says, and computed anew they are the same."""

import pytest

from meter.runtime.postgres import Pool
from meter.store.events import PostgresEventStore
from projections.rebuild import Exchange, Model, Rebuild
from projections.verify import Difference
from projections.verify import verify as verify_models
from tests.contract.rows import granted, plan, revoked
from tests.integration.projections_log import fold_all
from tests.integration.split_log import ACCOUNTS, BEFORE, Batches, begin_log, find_offsets, reverse, shard_of
from tests.integration.usage_log import fold_usage

pytestmark = pytest.mark.not_on_citus("`meter split` refuses there")

USAGE = """
SELECT account_id, slot, kind, item, sum(events) AS events, sum(amount) AS amount FROM projections.usage_slots
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
BALANCES = "SELECT account_id, resource, granted, consumed, epoch FROM projections.balance_states ORDER BY 1, 2"


@pytest.fixture
async def batches(pool: Pool) -> Batches:
    return await begin_log(pool)


async def fold(pool: Pool) -> None:
    """And publish, as `meter split` demands."""
    await fold_all(pool)
    await fold_usage(pool)
    await pool.execute("DELETE FROM projections.outbox")


async def change(batches: Batches, account: str) -> None:
    """A grant, one that is taken back in part, and usage that is reversed."""
    shard, pool = shard_of(account, batches.shards), batches.pool
    start = await find_offsets(pool, shard)
    events = (granted(start[1], 5_000_000, account_id=account), revoked(start[1] + 1, 1_000_000, account_id=account))
    await PostgresEventStore(pool).append(plan(*events, shard=shard, start=start))
    await reverse(batches, account)


async def find_differences(pool: Pool) -> list[Difference]:
    return [difference async for report in verify_models(pool) for difference in report.differences]


async def rebuild(pool: Pool) -> list[Exchange]:
    return await Rebuild(pool, list(Model), progress=lambda _events: None).run()


async def read(pool: Pool) -> list[list[tuple[object, ...]]]:
    return [[tuple(row) for row in await pool.fetch(statement)] for statement in (USAGE, BALANCES)]


async def check(pool: Pool) -> None:
    assert await find_differences(pool) == []
    assert [exchange[2:] for exchange in await rebuild(pool)] == [(0, 0, 0)] * len(Model)
    assert await find_differences(pool) == []


@pytest.mark.parametrize("changed", [ACCOUNTS[0], ACCOUNTS[7]])
async def test_models_are_what_the_log_says_after_each_split(batches: Batches, pool: Pool, changed: str) -> None:
    """With accounts that moved once, twice and not at all; changed before, between and afterwards."""
    await batches.write(opening=True)
    await change(batches, changed)
    await fold(pool)
    for shards in (2 * BEFORE, 6 * BEFORE):
        before = await read(pool)
        await batches.split(shards)
        assert await read(pool) == before, "nobody has less or more"
        await check(pool)
        await batches.write(again=True)
        await change(batches, changed)
        await fold(pool)
        await check(pool)
    await batches.check()


@pytest.mark.parametrize("table", ["usage_slots", "balance_states", "account_states"])
async def test_a_rebuild_after_a_split_brings_back_what_is_lost(batches: Batches, pool: Pool, table: str) -> None:
    await batches.write(opening=True)
    await change(batches, ACCOUNTS[0])
    await fold(pool)
    before = await read(pool)
    await batches.split(2 * BEFORE)
    await pool.execute(f"DELETE FROM projections.{table}")
    assert await find_differences(pool) != []
    assert sum(exchange.added for exchange in await rebuild(pool)) > 0
    assert await read(pool) == before
    await check(pool)
