"""What the meter asks for each batch costs the same however long the log is."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from meter.runtime.postgres import Executor, close_pool, create_pool, load_sql
from tests.integration.plans import MODES
from tests.support.databases import Databases
from tests.support.waiting import until

pytestmark = pytest.mark.not_on_citus("reads the plan of one server: on Citus another one runs the statement")
SHARDS, SHORT, BATCHES = 12, 60, 60_000
FILL = """
INSERT INTO meter.batches (shard, batch, first_position, last_position, usage_from, usage_to, accounts_from,
                           accounts_to, stored, duplicates, rejected, gaps, recorded_at, evidence, previous, hash,
                           chain_version, generation, rerouted, waiting)
SELECT i % $1, i / $1 + 1, i / $1 + 1, i / $1 + 1, i / $1, i / $1 + 1, 0, 0, 1, 0, 0, 0, now(), '',
       sha256(i::text::bytea), sha256(i::text::bytea), 4, 1, 0, 0
FROM generate_series($2::int, $3::int - 1) AS i
"""
EVENTS = """
INSERT INTO meter.events (position, amount, kafka_offset, occurred_at, recorded_at, id, event_key, shard, type,
                          resource, account_id, name, source, data)
SELECT i / $1 + 1, 1000, i, now(), now(), i::text, sha256(i::text::bytea), i % $1, 1, 1, 'acct-' || i % 1009, 'swift',
       'https://example.com', '{}'
FROM generate_series($2::int, $3::int - 1) AS i
"""
FILLED_S = 300
MOST_BLOCKS = 200  # of 8 KiB; the batches alone have more than 1,000
ALL = f"ARRAY{list(range(SHARDS))}"
KEYS = "decode('" + "00" * 32 * 40 + "', 'hex')"


def of_each(value: object) -> str:
    """An array with the same value for each shard."""
    return f"ARRAY[{', '.join([str(value)] * SHARDS)}]"


def of_batches(*values: object) -> str:
    return ", ".join([ALL, *map(of_each, values)])


HASH = f"decode('{'00' * 32}', 'hex')"
ASKED = {
    "advance_shard": "3, 0, 0, 10, 0",
    "advance_shards": of_batches(0, 0, 10, 0),
    "append_at_once": ", ".join(
        [
            of_batches(
                1, 1, 1, 0, 10, 0, 0, 1, 0, 0, 0, "now()", HASH, 2, 0, 0, 4, HASH, HASH
            ),  # of no log that is here
            of_batches(1, 1, "'1'", "'acct-1'", 1, 1, 1000, "'swift'"),
            f"'{{{', '.join(['2026-03-01'] * SHARDS)}}}'",
            *map(of_each, ("'https://example.com'", "'{}'::json", "NULL::json", HASH)),
        ]
    ),
    "find_known": f"3, {KEYS}",
    "find_known_of_shards": f"{ALL}, ARRAY[{', '.join([KEYS] * SHARDS)}]",
}
# As it stood once: an OR inside one question, for which all batches are read.
WITH_OR = """
UPDATE meter.shards s SET usage_offset = $4, accounts_offset = $5
WHERE shard = $1 AND usage_offset = $2 AND accounts_offset = $3
RETURNING EXISTS (SELECT FROM meter.batches b
                  WHERE (b.shard = s.shard OR b.shard IN (SELECT m.origin FROM meter.moved m WHERE m.shard = s.shard))
                    AND b.batch = 1 AND b.chain_version = 2)
"""


@asynccontextmanager
async def connect(dsn: str) -> AsyncIterator[Executor]:
    """As the service has it, but that a log may be filled for as long as it takes."""
    pool = await create_pool(dsn, max_size=1, application_name="plans", command_timeout_s=FILLED_S, by_index=True)
    try:
        async with pool.acquire() as connection:
            yield connection
    finally:
        await close_pool(pool)


async def make_shards(connection: Executor) -> None:
    await connection.execute("DELETE FROM meter.shards")
    await connection.execute("INSERT INTO meter.shards (shard) SELECT generate_series(0, $1 - 1)", SHARDS)


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[Executor]:
    """To a log without batches."""
    async with connect(dsn) as connection:
        await make_shards(connection)
        yield connection


class LongLogs:
    """Databases with a long log, each filled for the first test that asks it: filling takes longer than all questions,
    and what these change is rolled back."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._made: list[str] = []
        self._filled: dict[Callable[[Executor], Awaitable[None]], str] = {}

    @asynccontextmanager
    async def connect(self, fill: Callable[[Executor], Awaitable[None]]) -> AsyncIterator[Executor]:
        """To the database that `fill` has filled."""
        if fill not in self._filled:
            self._made.append(dsn := await self._databases.create())
            async with connect(dsn) as connection:
                await make_shards(connection)
                await fill(connection)
            self._filled[fill] = dsn
        async with connect(self._filled[fill]) as connection:
            yield connection

    async def drop(self) -> None:
        for dsn in self._made:
            await self._databases.drop_later(dsn)


@pytest.fixture(scope="module")
def long_logs(databases: Databases) -> Iterator[LongLogs]:
    """Whose tests take it is in the group of the same name: a log of each process would cost what is saved."""
    made = LongLogs(databases)
    yield made
    asyncio.run(made.drop())


async def begin(connection: Executor) -> None:
    """A short log, of which the planner knows that it is short."""
    for statement in (FILL, EVENTS):
        await connection.execute(statement, SHARDS, 0, SHORT)
    await connection.execute("ANALYZE meter.batches, meter.events")


async def fill(connection: Executor) -> None:
    for statement in (FILL, EVENTS):
        await connection.execute(statement, SHARDS, SHORT, BATCHES)


async def prepare(connection: Executor, statement: str, mode: str) -> None:
    await connection.execute(f"SET plan_cache_mode = {mode}")
    await connection.execute(f"PREPARE asked AS {statement}")


async def count_blocks(connection: Executor, arguments: str) -> int:
    """Blocks that the prepared statement reads, in memory or not."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        text = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE asked ({arguments})")
    finally:
        await transaction.rollback()
    plan = json.loads(text)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


@pytest.mark.xdist_group("long_logs")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ASKED)
async def test_a_batch_reads_little_of_a_long_log(long_logs: LongLogs, name: str, mode: str) -> None:
    async with long_logs.connect(fill) as connection:
        await prepare(connection, load_sql("meter", name), mode)
        assert await count_blocks(connection, ASKED[name]) < MOST_BLOCKS


# Two accounts, of which one was forgotten, and changes of the other: as long as the log.
CHANGES = """
INSERT INTO meter.events (position, amount, kafka_offset, occurred_at, recorded_at, id, event_key, shard, type,
                          account_id, name, source, data)
SELECT i / $1 + 1, 0, i, now(), now(), 'change ' || i, sha256(('change ' || i)::bytea), i % $1, 12, 'acct-1', '',
       'https://example.com', '{}'
FROM generate_series($2::int, $3::int - 1) AS i
"""
FORGOTTEN = "INSERT INTO meter.keys (shard, account_id, made_at, forgotten_at) VALUES (3, 'acct-1', now(), now())"
SELDOM = {
    "advance_pruned": "3, 100, 100, 0, 'tests'",
    "fetch_forgotten": ALL,
    "find_outcomes": "3, 'metering.usage', ARRAY[0, 7, 2500, 4990]",
}


async def fill_old(connection: Executor) -> None:
    await connection.execute(FILL.replace("now()", "now() - interval '9 days'"), SHARDS, 0, BATCHES)
    await connection.execute(CHANGES, SHARDS, 0, BATCHES)
    await connection.execute(FORGOTTEN)
    await connection.execute("UPDATE meter.shards SET usage_offset = 5000, next_batch = 5001")
    await connection.execute("ANALYZE meter.batches, meter.events")


@pytest.mark.xdist_group("long_logs")
@pytest.mark.parametrize("name", SELDOM)
async def test_what_is_asked_now_and_then_reads_little_of_a_long_log(long_logs: LongLogs, name: str) -> None:
    async with long_logs.connect(fill_old) as connection:
        await prepare(connection, load_sql("meter", name), "force_generic_plan")
        assert await count_blocks(connection, SELDOM[name]) < 2 * MOST_BLOCKS


@pytest.mark.parametrize("name", ["advance_shard", "advance_shards", "append_at_once"])
async def test_so_does_a_plan_that_was_made_while_the_log_was_short(connection: Executor, name: str) -> None:
    await begin(connection)
    await prepare(connection, load_sql("meter", name), "force_generic_plan")
    await count_blocks(connection, ASKED[name])
    await fill(connection)
    assert await count_blocks(connection, ASKED[name]) < MOST_BLOCKS


async def test_the_log_is_long_enough_to_tell(connection: Executor) -> None:
    """Else the tests above would pass whatever is read."""
    await connection.execute("SET enable_seqscan = on")
    await begin(connection)
    await prepare(connection, WITH_OR, "force_generic_plan")
    await count_blocks(connection, ASKED["advance_shard"])
    await fill(connection)
    assert await count_blocks(connection, ASKED["advance_shard"]) > MOST_BLOCKS


async def test_services_plan_their_statements_anew_now_and_then(dsn: str) -> None:
    """What a plan from a short log costs, it costs for half a minute at first. The statement is not read again."""
    asked = "SELECT batch FROM meter.batches WHERE shard = 3 AND batch = $1"
    found = "SELECT name, prepare_time FROM pg_prepared_statements WHERE statement = $1"
    pool = await create_pool(dsn, max_size=1, application_name="plans", by_index=True, replan_s=0.2)
    async with pool.acquire() as connection:
        await connection.execute("SET enable_indexscan = off; SET enable_indexonlyscan = off")
        await connection.execute("SET enable_bitmapscan = off; SET enable_seqscan = on")
        await connection.fetchval(asked, 1)
        await connection.execute("RESET ALL")
        [prepared] = await connection.fetch(found, asked)
        assert await shows_index(connection, prepared["name"]) is False

    async def is_planned_anew() -> bool:
        async with pool.acquire() as connection:
            return await shows_index(connection, prepared["name"])

    await until(is_planned_anew, 20)
    async with pool.acquire() as connection:
        await connection.fetchval(asked, 1)
        assert await connection.fetchrow(found, asked) == prepared
    await close_pool(pool)


@pytest.mark.parametrize("by_index", [True, False])
async def test_a_statement_is_prepared_once_however_long_it_is(dsn: str, by_index: bool) -> None:
    """asyncpg by itself keeps none of more than 15 KiB, and the fold of usage has more."""
    fold = load_sql("projections", "fold_usage")
    assert len(fold) > 15 * 1024
    pool = await create_pool(dsn, max_size=1, application_name="plans", by_index=by_index)
    for _ in range(2):
        await pool.fetchval(fold, [0], [0], [0], False, False)
    assert await pool.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE statement = $1", fold) == 1
    await close_pool(pool)


async def shows_index(connection: Executor, name: str) -> bool:
    return any("Index" in line for [line] in await connection.fetch(f"EXPLAIN EXECUTE {name}(1)"))
