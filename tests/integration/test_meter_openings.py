"""Openings of accounts that are open already, in the store: remarked where they differ, in one batch or in many."""

import json
from collections.abc import Sequence

import pytest

from meter.allowance import Allowance
from meter.closings import ALREADY_CLOSED, CLOSED, NOT_CLOSED, NOT_OPENED, REOPENED
from meter.openings import ALREADY_OPEN, CAME_BEFORE, OTHERS_CAME_BEFORE
from meter.runtime.postgres import Pool, load_sql
from meter.store.events import PostgresEventStore
from schemas.events import CODES
from schemas.records import Accepted, Outcome, Remark, Remarked
from tests.contract.rows import opened, plan, usage
from tests.support.damaging import pass_triggers

PLAN_CHANGED = CODES["account.plan_changed.v1"]
CONTACTS_CHANGED = CODES["account.contacts_changed.v1"]
RENAMED = CODES["account.renamed.v1"]


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


BEFORE: list[tuple[int, dict[str, object]]] = [
    (PLAN_CHANGED, {"plan": "free"}),
    (PLAN_CHANGED, {"plan": "team"}),
    (RENAMED, {"display_name": "Bob", "time_zone": "Asia/Tokyo"}),
    (CONTACTS_CHANGED, {"contacts": ["b@example.com"]}),
    (RENAMED, {"time_zone": "Europe/Berlin"}),
]
ASKED = {"plan": "free", "contacts": ["a@example.com"], "display_name": "Ann", "time_zone": "UTC"}
LOST = [
    ("contacts", OTHERS_CAME_BEFORE), ("display_name", CAME_BEFORE), ("plan", CAME_BEFORE), ("time_zone", CAME_BEFORE)
]  # fmt: skip


def changed(offset: int, type: int, data: dict[str, object]) -> Accepted:
    return opened(offset, type=type, name=str(data.get("plan", "")), data=json.dumps(data))


@pytest.mark.parametrize("together", [True, False])
async def test_what_came_before_the_opening_wins_and_is_remarked(pool: Pool, together: bool) -> None:
    """Plan, contacts, name and time zone, whether or not they come in one batch with the opening; of the contacts that
    lose it is not said as well that some were left out."""
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    store = PostgresEventStore(pool)
    opening = Remarked(opened(5, data=json.dumps(ASKED)), (Remark("contacts", "1 more is left out"),))
    results: list[Outcome] = [
        *(changed(offset, *change) for offset, change in enumerate(BEFORE)),
        opening,
        opened(6, account_id="acc-2"),
    ]
    await append(store, results, together=together)
    rows = await pool.fetch("SELECT kafka_offset, account_id, field, reason FROM meter.remarks ORDER BY field")
    assert [tuple(row) for row in rows] == [(5, "acc-1", field, reason) for field, reason in LOST]


@pytest.mark.parametrize("together", [True, False])
async def test_nothing_of_who_was_forgotten_before_the_opening_is_remarked(pool: Pool, together: bool) -> None:
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    store = PostgresEventStore(pool)
    forgotten = changed(5, CODES["account.forgotten.v1"], {"reason": "asked"})
    opening = opened(6, data=json.dumps({"plan": "team", "contacts": [], "display_name": "Ann"}))
    await append(
        store, [*(changed(n, *change) for n, change in enumerate(BEFORE)), forgotten, opening], together=together
    )
    assert await pool.fetchval("SELECT count(*) FROM meter.remarks") == 0


async def test_changes_before_an_opening_are_found_by_an_index(pool: Pool) -> None:
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        statement = load_sql("meter", "find_earlier_changes")
        shown = [row[0] for row in await connection.fetch(f"EXPLAIN {statement}", 0, ["acc-1"], [9], 100)]
    assert sum("events_of_account" in line for line in shown) == 1, shown
    assert sum("events_of_people" in line for line in shown) == 2, shown


async def test_an_account_that_was_opened_before_its_opening_was_kept_is_granted_nothing(pool: Pool) -> None:
    """A meter of before meter.openings stored it, beside the setup that made the table."""
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    store = PostgresEventStore(pool)
    await store.append(plan(opened(0), allowance=Allowance(75, 0)))
    async with pool.acquire() as connection, connection.transaction():
        await pass_triggers(connection)
        await connection.execute("DELETE FROM meter.openings")
    assert (await store.append(plan(opened(1), start=(0, 1)))).stored == 1


@pytest.mark.not_on_citus("reads the plan of one server: on Citus another one runs the statement")
async def test_who_is_open_already_is_found_by_an_index(pool: Pool) -> None:
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        statement = load_sql("meter", "find_opened")
        shown = [row[0] for row in await connection.fetch(f"EXPLAIN {statement}", 0, ["acc-1", "acc-2"])]
    assert any("events_of_account" in line for line in shown), shown


async def append(store: PostgresEventStore, results: Sequence[Outcome], *, together: bool) -> None:
    if together:
        await store.append(plan(*results))
    else:
        for offset, result in enumerate(results):
            await store.append(plan(result, start=(0, offset)))
