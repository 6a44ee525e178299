"""Openings of accounts that are open already, in the store: remarked where they differ, in one batch or in many."""

import json

import pytest

from meter.allowance import Allowance
from meter.closings import ALREADY_CLOSED, CLOSED, NOT_CLOSED, NOT_OPENED, REOPENED
from meter.openings import ALREADY_OPEN, CAME_BEFORE
from meter.runtime.postgres import Pool, load_sql
from meter.store.events import PostgresEventStore
from schemas.events import CODES
from schemas.records import Outcome, Remark, Remarked
from tests.contract.rows import opened, plan, usage

PLAN_CHANGED = CODES["account.plan_changed.v1"]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("allowance", [Allowance(), Allowance(0, 0)])
async def test_a_later_opening_is_remarked_where_it_differs(pool: Pool, together: bool, allowance: Allowance) -> None:
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    store = PostgresEventStore(pool)
    team = json.dumps({"plan": "team", "contacts": ["owner@example.com"]})
    bad = Remarked(opened(3, data=team), (Remark("contacts[1]", "is not one plain email address"),))
    results: list[Outcome] = [opened(0), opened(1), opened(2, data=team), bad, opened(4, account_id="acc-2", data=team)]
    if together:
        await store.append(plan(*results, usage(0), allowance=allowance))
    else:
        for offset, result in enumerate(results):
            await store.append(plan(result, start=(0, offset), allowance=allowance))
    rows = await pool.fetch("SELECT kafka_offset, account_id, field, reason FROM meter.remarks ORDER BY 1")
    assert [tuple(row) for row in rows] == [(2, "acc-1", "plan", ALREADY_OPEN), (3, "acc-1", "plan", ALREADY_OPEN)]
    openings = await pool.fetch("SELECT account_id, position FROM meter.openings ORDER BY 1")
    assert [row["account_id"] for row in openings] == ["acc-1", "acc-2"] and openings[0]["position"] == 1


async def test_a_repeat_of_an_opening_is_not_remarked(pool: Pool) -> None:
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    store, first = PostgresEventStore(pool), opened(0)
    await store.append(plan(first))
    repeated = await store.append(plan(first._replace(offset=1), start=(0, 1)))
    assert repeated.duplicates == 1
    assert await pool.fetchval("SELECT count(*) FROM meter.remarks") == 0


@pytest.mark.parametrize("together", [True, False])
async def test_a_closing_or_reopening_without_effect_is_remarked(pool: Pool, together: bool) -> None:
    """Whether or not it comes in one batch with what makes it have none."""
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    store = PostgresEventStore(pool)
    types = [CLOSED, REOPENED, None, REOPENED, CLOSED, CLOSED, REOPENED, REOPENED, CLOSED]
    results: list[Outcome] = [
        opened(offset) if type is None else opened(offset, type=type, data="{}", name="")
        for offset, type in enumerate(types)
    ]
    if together:
        await store.append(plan(*results))
    else:
        for offset, result in enumerate(results):
            await store.append(plan(result, start=(0, offset)))
    rows = await pool.fetch("SELECT kafka_offset, reason FROM meter.remarks ORDER BY 1")
    assert [tuple(row) for row in rows] == [
        (0, NOT_OPENED), (1, NOT_OPENED), (3, NOT_CLOSED), (5, ALREADY_CLOSED), (7, NOT_CLOSED),
    ]  # fmt: skip


@pytest.mark.parametrize("together", [True, False])
async def test_a_plan_that_came_before_the_opening_wins_and_is_remarked(pool: Pool, together: bool) -> None:
    """By the index of an account's history, which is there already."""
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    store = PostgresEventStore(pool)
    results: list[Outcome] = [
        *(opened(offset, type=PLAN_CHANGED, name=name, data="{}") for offset, name in enumerate(["free", "team"])),
        opened(2),
        opened(3, account_id="acc-2"),
    ]
    if together:
        await store.append(plan(*results))
    else:
        for offset, result in enumerate(results):
            await store.append(plan(result, start=(0, offset)))
    rows = await pool.fetch("SELECT kafka_offset, account_id, field, reason FROM meter.remarks")
    assert [tuple(row) for row in rows] == [(2, "acc-1", "plan", CAME_BEFORE)]
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        statement = load_sql("meter", "find_earlier_plans")
        shown = await connection.fetch(f"EXPLAIN {statement}", 0, ["acc-1"], [9])
    assert any("events_of_account" in row[0] for row in shown), [row[0] for row in shown]
