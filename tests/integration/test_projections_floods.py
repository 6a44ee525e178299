"""What no limit keeps few (names, deployments, statuses, accounts) costs a fold of usage few rows for each event.

Counted in the plan that was run, and not in seconds: a join that compares each with each shows at 3,000 as it does at
200,000, where it runs into the time limit of the statement at every try, for all shards.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import pytest
import structlog

from meter.runtime.postgres import Pool, close_pool, create_pool
from projections.store import sql
from tests.integration.projections_log import SHARDS, Event, EventLog, fold_all, used
from tests.integration.usage_log import fold_usage
from tests.support.damaging import lift_triggers

EVENTS: Final = 3_000
ROWS_PER_EVENT: Final = 60  # that all steps of the plan together read, make or pass over
ACCOUNTS: Final = ("acct-0", "acct-1", "acct-2")
FLOODS: Final[dict[str, Callable[[int], Event]]] = {
    "usual": lambda n: used(ACCOUNTS[n % 3], 0.1),
    "names": lambda n: used(ACCOUNTS[n % 3], 0.1, f"model-{n}"),
    "deployments": lambda n: used(ACCOUNTS[n % 3], 0.1, data={"deployment": f"pod-{n}"}),
    "statuses": lambda n: used(ACCOUNTS[n % 3], 0.1, data={"status": f"failed: {n}"}),
    "accounts": lambda n: used(f"made-{n}", 0.1),
}


@pytest.fixture
async def folding(pool: Pool, dsn: str) -> AsyncIterator[Pool]:
    """The log is set up; the pool plans as that of the service does."""
    await EventLog(pool).set_up()
    made = await create_pool(dsn, application_name="tests", by_index=True)
    yield made
    await close_pool(made)


async def positions(pool: Pool) -> list[int]:
    rows = await pool.fetch("SELECT next_position - 1 FROM meter.shards ORDER BY shard")
    return [row[0] for row in rows]


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes_of(inner)


def rows_of(node: dict[str, Any]) -> float:
    passed_over = sum(node.get(f"Rows Removed by {what}", 0) for what in ("Join Filter", "Filter", "Index Recheck"))
    return float((node["Actual Rows"] + passed_over) * node["Actual Loops"])


@pytest.mark.not_on_citus("reads the plan of one server: on Citus another one runs the statement")
@pytest.mark.parametrize("only_collect", [False, True], ids=["fold", "rebuild"])
@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
async def test_a_flood_costs_a_bounded_number_of_rows_for_each_event(
    pool: Pool, folding: Pool, flood: Callable[[int], Event], only_collect: bool
) -> None:
    """Of names beyond the first 1,000 of a day it was more than 1,000."""
    log, statement = EventLog(pool), "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + sql("fold_usage")
    for begin in (0, EVENTS):  # the second time all names are beyond the first
        before = await positions(pool)
        await log.append(*(flood(number) for number in range(begin, begin + EVENTS)))
        ranges = list(range(SHARDS)), before, await positions(pool)
        [explained] = json.loads(await folding.fetchval(statement, *ranges, only_collect, False))
        rows = sum(rows_of(node) for node in nodes_of(explained["Plan"]))
        assert rows <= ROWS_PER_EVENT * EVENTS


async def test_a_number_that_postgres_has_no_type_for_costs_its_shard_alone(pool: Pool) -> None:
    """All shards of a piece were read the dearer way."""
    log = EventLog(pool)
    await log.set_up()
    events = [used(f"acct-{number % 20}", 0.1, data={"deployment": "eu"}) for number in range(100)]
    await log.append(*events)
    hit = events[50]
    await lift_triggers(pool, "meter.events")
    await pool.execute(
        """UPDATE meter.events SET data = '{"deployment": "eu", "x": 1e200000}'
           WHERE (shard, position) = (SELECT shard, max(position) FROM meter.events WHERE shard = $1 GROUP BY shard)""",
        hit.shard,
    )
    await fold_all(pool)
    with structlog.testing.capture_logs() as lines:
        assert await fold_usage(pool) == 1
    assert [line["shard"] for line in lines if line["event"] == "usage_folded_carefully"] == [hit.shard]
    totals = "SELECT sum(events)::int, sum(amount)::int FROM projections.usage_slots"
    assert [tuple(row) for row in await pool.fetch(totals)] == [(100, 100 * 100_000)]
