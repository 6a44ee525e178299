"""No statement of the fold reads all events or all balances, or goes through them once per grant; no exchange of a
rebuild compares each row with each."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from projections.store import sql
from tests.integration.plans import MODES, Plan, explain, walk
from tests.support.databases import Databases

pytestmark = [
    pytest.mark.not_on_citus("reads the plan of one server: on Citus another one runs the statement"),
    pytest.mark.xdist_group("projections_plans"),  # one process fills the logs
]

SHARDS, EVENTS = 12, 200_000
FILL = """
INSERT INTO meter.events (position, amount, kafka_offset, occurred_at, recorded_at, id, event_key, shard, type,
                          resource, account_id, name, source, data)
SELECT i / $1 + 1, 1000, i, now(), now(), i::text, sha256(i::text::bytea), i % $1,
       CASE WHEN i % 499 = 0 THEN 13 ELSE 1 END, 1, 'acct-' || i % 1009, 'swift', 'https://example.com', '{}'
FROM generate_series(0, $2::int - 1) AS i
"""
BALANCES = """
INSERT INTO projections.balance_states (account_id, resource, shard, granted, consumed, base, epoch, boundaries,
                                        position, as_of, opened, closed, free_only)
SELECT 'acct-' || i, 1, i % $1, 0, 0, 0, 0, '{}', 1, now(), true, false, true FROM generate_series(1, 20000) AS i
"""
REBUILT = """
INSERT INTO projections.rebuilt_balances (account_id, resource, shard, granted, consumed, base, epoch, boundaries,
                                          position, as_of, opened, closed, free_only)
SELECT account_id, resource, shard, granted, consumed, base, epoch, boundaries, position, as_of, opened, closed,
       free_only
FROM projections.balance_states WHERE shard = $1
"""
STATEMENTS = ("fetch_account_events", "find_range_ends", "add_usage")
# How many shards, and the range of each: all that have news, the backlog of one, a trickle.
RANGES = ((SHARDS, 14_000, 15_700), (1, 2_000, 16_000), (3, 16_600, 16_610))

CUTS = ([f"acct-{number}" for number in range(100)], [1] * 100, list(range(14_000, 14_100)))


async def fill(databases: Databases, *statements: str) -> str:
    """A database with a long log, and what the statements make of it."""
    dsn = await databases.create()
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(FILL, SHARDS, EVENTS)
        await connection.execute(BALANCES, SHARDS)
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
    return dsn


@pytest.fixture(scope="module")
def filled(databases: Databases) -> Iterator[str]:
    """Filling takes longer than all tests, and what these change is rolled back."""
    made = asyncio.run(fill(databases, "ANALYZE meter.events, projections.balance_states"))
    yield made
    asyncio.run(databases.drop_later(made))


@pytest.fixture(scope="module")
def vacuumed(databases: Databases) -> Iterator[str]:
    """The same, where somebody has vacuumed all tables before the first fold of usage."""
    cursors = "INSERT INTO projections.cursors VALUES ('usage', 0, 0), ('balance', 0, 16000)"
    made = asyncio.run(fill(databases, cursors, "VACUUM ANALYZE"))
    yield made
    asyncio.run(databases.drop_later(made))


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """In a transaction that is rolled back."""
    connection = await asyncpg.connect(dsn)
    try:
        transaction = connection.transaction()
        await transaction.start()
        yield connection
        await transaction.rollback()
    finally:
        await connection.close()


@pytest.fixture
async def log(filled: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(filled) as connection:
        yield connection


async def find_plans(connection: asyncpg.Connection, statement: str, fault: Callable[[Plan], bool]) -> list[str]:
    """The ways to plan the statement in which a node has the fault."""
    found = []
    types = (await connection.prepare(statement)).get_parameters()
    await connection.execute(f"PREPARE fold AS {statement}")
    for mode in MODES:
        await connection.execute(f"SET plan_cache_mode = {mode}")
        for shards, after, upto in RANGES:
            ranges = [list(range(shards)), [after] * shards, [upto] * shards]
            values = [*ranges, *CUTS][: len(types)] if len(types) > 2 else ranges[::2]  # two: where they end
            arguments = ", ".join(f"ARRAY{column}" for column in values)
            if any(map(fault, await explain(connection, f"EXECUTE fold ({arguments})"))):
                found.append(f"{mode}: {upto - after} events of {shards} shards")
    await connection.execute("DEALLOCATE fold")
    return found


def reads_all(node: Plan) -> bool:
    return node["Node Type"] == "Seq Scan" and node.get("Relation Name") in ("events", "balance_states")


def repeats_cuts(node: Plan) -> bool:
    return node["Node Type"] == "Nested Loop" and any(child.get("CTE Name") == "splits" for child in node["Plans"])


def compares_each_with_each(node: Plan) -> bool:
    """A loop inside which all rows of a part of the statement are gone through again, for each row of another part.

    The planner takes such parts for a handful of rows. The exception has a row for each shard.
    """
    if node["Node Type"] != "Nested Loop":
        return False
    outer, inner = (list(walk(child)) for child in node["Plans"] if child["Parent Relationship"] in ("Outer", "Inner"))
    if any(part.get("Relation Name") == "usage_summed" for part in outer):
        return False
    return inner[0]["Node Type"] in ("CTE Scan", "Materialize", "Subquery Scan") and any("CTE Name" in n for n in inner)


@pytest.mark.parametrize("name", STATEMENTS)
async def test_the_fold_finds_events_and_balances_by_an_index(log: asyncpg.Connection, name: str) -> None:
    assert await find_plans(log, sql(name), reads_all) == []


async def test_the_log_is_large_enough_to_lead_astray(log: asyncpg.Connection) -> None:
    """Else the other test would pass without the fence that it watches."""
    assert await find_plans(log, sql("add_usage").replace("OFFSET 0", ""), reads_all)


async def explain_usage(connection: asyncpg.Connection, statement: str) -> list[Plan]:
    """Of a fold of usage, or what is made of its text."""
    await connection.execute(f"PREPARE usage AS {statement}")
    nodes = await explain(connection, "EXECUTE usage (ARRAY[0, 1], ARRAY[0, 0], ARRAY[16000, 16000], false, false)")
    await connection.execute("DEALLOCATE usage")
    return nodes


async def find_loops(connection: asyncpg.Connection, statement: str) -> list[Plan]:
    """With the other ways to join taken away: what the planner does at the worst."""
    await connection.execute("SET enable_hashjoin = off")
    await connection.execute("SET enable_mergejoin = off")
    return [node for node in await explain_usage(connection, statement) if compares_each_with_each(node)]


async def test_the_fold_of_usage_compares_no_names_with_all_names(log: asyncpg.Connection) -> None:
    """A piece of 78,000 events took longer than a statement may, so usage stood still for ever."""
    assert await find_loops(log, sql("fold_usage")) == []


async def find_grouping(connection: asyncpg.Connection, statement: str, mode: str) -> str:
    """How events become lines."""
    await connection.execute(f"SET plan_cache_mode = {mode}")
    nodes = await explain_usage(connection, statement)
    [strategy] = [node["Strategy"] for node in nodes if node.get("Subplan Name") == "CTE said"]
    assert isinstance(strategy, str)
    return strategy


@pytest.mark.parametrize("mode", MODES)
async def test_the_fold_of_usage_sorts_no_events(log: asyncpg.Connection, mode: str) -> None:
    """The planner takes a piece for a handful of events, whose sort would cost nothing; here it is made to think so."""
    await log.execute("SET enable_hashagg = off")
    assert await find_grouping(log, sql("fold_usage"), mode) == "Hashed"
    assert await find_grouping(log, sql("fold_usage").replace(", 9, unordered\n", ", 9\n"), mode) == "Sorted"


async def test_a_join_of_its_parts_would_be_seen(log: asyncpg.Connection) -> None:
    joined = sql("fold_usage").replace(
        "    FROM said s\n", "    FROM said s LEFT JOIN judged_names o ON o.item = s.item\n"
    )
    assert await find_loops(log, joined)


async def test_usage_is_cut_into_runs_by_a_hash_of_the_cuts(log: asyncpg.Connection) -> None:
    assert await find_plans(log, sql("add_usage"), repeats_cuts) == []


async def explain_a_rebuild(connection: asyncpg.Connection) -> list[Plan]:
    """How a rebuild adds up the usage of a whole shard, with the cuts of all its accounts."""
    await connection.execute(sql("prepare_long_read"))
    await connection.execute(f"PREPARE sums AS {sql('sum_usage')}")
    accounts, positions = [f"acct-{number}" for number in range(1009)] * 5, list(range(5 * 1009))
    return await explain(connection, f"EXECUTE sums (0, 0, 16000, ARRAY{accounts}, ARRAY{positions})")


async def test_a_rebuild_reads_along_the_key_and_looks_cuts_up_by_a_hash(log: asyncpg.Connection) -> None:
    """Sorting the events for the cuts, or making a hash of them, takes longer than all the rest."""
    await log.execute(sql("read_along_key"))
    nodes = await explain_a_rebuild(log)
    [read] = [node for node in nodes if node.get("Relation Name") == "events"]
    assert (read["Node Type"], read["Index Name"]) == ("Index Scan", "events_position")
    [join] = [node for node in nodes if "Join Type" in node]
    outer, inner = join["Plans"]
    assert (join["Node Type"], outer["Node Type"]) == ("Hash Join", "Index Scan")
    assert (inner["Node Type"], inner["Plans"][0].get("CTE Name")) == ("Hash", "splits")


async def test_a_rebuild_would_read_in_another_way(log: asyncpg.Connection) -> None:
    """Else the other test would pass without the statement that it watches."""
    [read] = [node for node in await explain_a_rebuild(log) if node.get("Relation Name") == "events"]
    assert read["Node Type"] != "Index Scan"


PUBLISHED = """
INSERT INTO projections.exhaustion_steps (shard, account_id, resource, position, epoch, allocation, consumed, at)
SELECT shard, account_id, 1, position, 1, 100, 1, recorded_at + interval '1 s' FROM meter.events WHERE position % 50 = 0
"""


ASKED_ONE_BY_ONE = """NOT EXISTS (
    SELECT FROM meter.events b
    WHERE b.shard = $1 AND b.position < s.position AND b.account_id = s.account_id AND b.recorded_at = s.at)"""


async def test_times_of_published_states_are_compared_in_one_pass(log: asyncpg.Connection) -> None:
    """Where clocks went back, the log was once read for each state: in the square of its length."""
    await log.execute(PUBLISHED)
    await log.execute("ANALYZE projections.exhaustion_steps")
    await log.execute(sql("prepare_long_read"))
    await log.execute(f"PREPARE compared AS {sql('compare_steps')}")
    epochs = "ARRAY['acct-1'], ARRAY[1], ARRAY[1], ARRAY[1], ARRAY[now()], ARRAY['100'], ARRAY['0']"
    nodes = await explain(log, f"EXECUTE compared (0, 16000, {epochs})")
    again = [part for node in nodes for child in find_repeated(node) for part in walk(child)]
    assert [part for part in again if part.get("Relation Name") == "events" and not names_one(part)] == []
    await log.execute("DEALLOCATE compared")
    await log.execute(f"PREPARE compared AS {sql('compare_steps').replace('t.account_id IS NULL', ASKED_ONE_BY_ONE)}")
    nodes = await explain(log, f"EXECUTE compared (0, 16000, {epochs})")
    again = [part for node in nodes for child in find_repeated(node) for part in walk(child)]
    assert [part for part in again if part.get("Relation Name") == "events" and not names_one(part)] != []


def find_repeated(node: Plan) -> list[Plan]:
    """What is run once for each row of something else."""
    loops = node["Node Type"] == "Nested Loop"
    return [
        child
        for child in node.get("Plans", ())
        if (loops and child["Parent Relationship"] == "Inner") or child["Parent Relationship"] == "SubPlan"
    ]


def names_one(node: Plan) -> bool:
    return '"position" = ' in node.get("Index Cond", "")


async def test_an_exchange_looks_each_row_up_by_a_hash(log: asyncpg.Connection) -> None:
    """Also when the shadow table was last analyzed while other shards were in it."""
    await log.execute(REBUILT, 1)
    await log.execute("ANALYZE projections.rebuilt_balances")
    await log.execute(REBUILT, 0)
    await log.execute("SET plan_cache_mode = force_custom_plan")
    await log.execute(f"PREPARE exchange AS {sql('replace_balances')}")
    joins = [node for node in await explain(log, "EXECUTE exchange (0)") if node.get("Join Type") == "Anti"]
    assert [join for join in joins if join["Node Type"] == "Nested Loop"] == []


GROWS = {"day_names", "used_items", "usage_slots", "usage_totals", "usage_zones"}


async def find_growing(connection: asyncpg.Connection, mode: str) -> set[str]:
    """Tables that grow with usage of which the fold would read all, for each line."""
    await connection.execute(f"SET plan_cache_mode = {mode}")
    nodes = await explain_usage(connection, sql("fold_usage"))
    return {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"} & GROWS


@pytest.mark.parametrize("mode", MODES)
async def test_the_first_fold_of_usage_finds_lines_by_their_keys(vacuumed: str, mode: str) -> None:
    """Somebody vacuums a new database, and then a backlog comes: the piece would take longer than a statement may."""
    async with connected(vacuumed) as log:
        assert await find_growing(log, mode)
        async with log.transaction():
            assert await log.fetch(sql("claim_usage"), "usage", "balance", [0])
            assert not await find_growing(log, mode)
