"""Each hot statement, as Citus gets it, touches the rows of one shard: on tables partitioned by shard its plan has one
partition of each."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from meter.runtime.postgres import load_sql
from meter.runtime.postgres.citus import for_citus
from tests.architecture.hot_statements import HOT, OF_BATCH, OF_LETTERS, Arguments, join
from tests.integration.plans import Plan, walk

ROOT = Path(__file__).parents[2]
SHARDS = 3
EVERY = [(package, name) for package, statements in HOT.items() for name in statements]
VIEWS = """
SELECT c.oid::regclass::text AS name, pg_get_viewdef(c.oid) AS definition
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('meter', 'projections', 'notifier') AND c.relkind = 'v'
ORDER BY c.oid
"""
TABLES = """
SELECT format('%I.%I', n.nspname, c.relname) AS name, n.nspname AS schema, c.relname AS table
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'shard' AND NOT a.attisdropped
WHERE n.nspname IN ('meter', 'projections', 'notifier') AND c.relkind = 'r'
"""


@pytest.fixture
async def partitioned(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A migrated database whose tables with a shard are partitioned by it, with the keys they have on Citus."""
    connection = await asyncpg.connect(dsn)
    for row in await connection.fetch(load_sql("meter", "prepare_distribution")):
        await connection.execute(row["statement"])
    views = await connection.fetch(VIEWS)
    for view in reversed(views):
        await connection.execute(f"DROP VIEW IF EXISTS {view['name']} CASCADE")
    for table in await connection.fetch(TABLES):
        await partition(connection, table["name"], table["schema"], table["table"])
    await make_views(connection, {view["name"]: view["definition"] for view in views})
    yield connection
    await connection.close()


async def make_views(connection: asyncpg.Connection, left: dict[str, str]) -> None:
    """One that needs another which is not there yet comes later."""
    while left:
        before = len(left)
        for name, definition in list(left.items()):
            with suppress(asyncpg.UndefinedTableError):
                await connection.execute(f"CREATE VIEW {name} AS {definition}")
                del left[name]
        assert len(left) < before, f"views that need something else: {sorted(left)}"


async def partition(connection: asyncpg.Connection, name: str, schema: str, table: str) -> None:
    await connection.execute(f"ALTER TABLE {name} RENAME TO {table}_whole")
    await connection.execute(
        f"CREATE TABLE {name} (LIKE {schema}.{table}_whole INCLUDING ALL EXCLUDING IDENTITY) PARTITION BY LIST (shard)"
    )
    for shard in range(SHARDS):
        await connection.execute(
            f"CREATE TABLE {schema}.{table}_of_{shard} PARTITION OF {name} FOR VALUES IN ({shard})"
        )


async def explain(connection: asyncpg.Connection, statement: str, arguments: Arguments) -> list[Plan]:
    text = await connection.fetchval(f"EXPLAIN (FORMAT JSON, VERBOSE) {statement}", *arguments)
    return list(walk(json.loads(text)[0]["Plan"]))


def touched(nodes: list[Plan]) -> Iterator[str]:
    """The partitions that are read or changed. An INSERT names the whole table: each row goes to its own partition."""
    for node in nodes:
        if "Relation Name" in node and not (node["Node Type"] == "ModifyTable" and node["Operation"] == "Insert"):
            yield node["Relation Name"]


async def test_each_hot_statement_touches_one_shard(partitioned: asyncpg.Connection) -> None:
    strayed = {}
    for package, name in EVERY:
        nodes = await explain(partitioned, for_citus(load_sql(package, name)), HOT[package][name])
        if others := sorted({found for found in touched(nodes) if re.search(r"_of_[1-9]$", found)}):
            strayed[f"{package}/{name}"] = others
    assert strayed == {}


async def test_statements_that_are_joined_do_as_well(partitioned: asyncpg.Connection) -> None:
    """A letter in hand is looked at in all shards: an address may be a contact of any account."""
    for names in (OF_BATCH, OF_LETTERS):
        statement, arguments = join(names)
        nodes = await explain(partitioned, for_citus(statement), arguments)
        assert [found for found in touched(nodes) if re.search(r"_of_[1-9]$", found)] == []
        assert [found for found in touched(nodes) if found.endswith("_of_0")] != []


async def test_the_plan_shows_a_statement_that_names_no_shard(partitioned: asyncpg.Connection) -> None:
    """Else the other test would pass whatever the statements are."""
    nodes = await explain(partitioned, load_sql("projections", "add_usage"), HOT["projections"]["add_usage"])
    assert any(found.endswith("_of_2") for found in touched(nodes))


def test_every_statement_that_is_marked_is_a_hot_one() -> None:
    """A mark says how one shard is named: the tests above see to it that it does."""
    marked = {
        (file.parts[-3], file.stem)
        for package in HOT
        for file in (ROOT / package).glob("sql/*.sql")
        if "/*citus" in file.read_text(encoding="utf-8")
    }
    assert marked - set(EVERY) == set()
