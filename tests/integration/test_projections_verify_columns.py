"""Each column of each table of the projections is compared by `projections verify`, or says here why it is not."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

import pytest

from meter.runtime.postgres import Executor, Pool
from projections.verify import Difference, verify_shard
from tests.integration.projections_histories import random_history
from tests.integration.projections_log import SHARDS, EventLog, fold_all, item
from tests.integration.usage_log import fold_usage, sum_all
from tests.support.damaging import damage_on

LATER: Final = datetime(2027, 1, 5, tzinfo=UTC)  # every day and month of the log is over
POSITION: Final = "how far the fold or its sums are: rows are compared as of it, and beyond it nothing is shown"
UNDER_WAY: Final = "what waits to be published: it goes once it is, and says nothing that balances do not"
SCRATCH: Final = "what a rebuild collects: thrown away before and after"
NOT_COMPARED: Final[Mapping[str, str]] = {
    "cursors": POSITION,
    "usage_days_summed": POSITION,
    "usage_summed": POSITION,
    "outbox": UNDER_WAY,
    "outbox_shards": UNDER_WAY,
    "republications": "how far a republication is",
    "rebuild_shards": "what a rebuild locks",
    "rebuilt_accounts": SCRATCH,
    "rebuilt_balances": SCRATCH,
    "rebuilt_names": SCRATCH,
    "rebuilt_slots": SCRATCH,
    "day_names": "what the fold counts the names of a day by: which days are in it depends on how it was cut",
    "usage_days_before": "of the version before, shown until usage has come as far: nothing adds to it",
    "usage_starts": "how far usage_days_before goes",
    "balance_states.exhausted": "Postgres computes it from the row",
}
# Damage to these is in test_projections_notice_damage.py and test_projections_letters.py.
COMPARED_OF_NOTIFIER: Final = {"notices", "balances", "contacts", "told"}
NOT_COMPARED_OF_NOTIFIER: Final[Mapping[str, str]] = {
    "accounts": "plan, zone and state as account.changed told them: told again by each change and by a republication",
    "banners": "what is shown now: worked out anew at each change of the balance",
    "emails": "what became of letters is the mail server's to say: levels are worked out from it",
    "email_attempts": "replies of the mail server",
    "recalled": "what letters said in a history that is lost: levels are worked out from it",
    "thresholds": "the lines that notices are worked out by",
    "cursors": "how far it has read: what is behind it is on its way",
    "generations": "where generations of the log begin, which `meter verify` looks at in the log itself",
    "outbox": UNDER_WAY,
    "outbox_shards": UNDER_WAY,
    "rejections": "what broke its contract",
    "retry_requests": "what people asked for",
    "line_traces": "traces of producers, for tools that show them",
}
TABLES: Final = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')
"""
COLUMNS: Final = """
SELECT c.relname AS table, a.attname AS column, format_type(a.atttypid, NULL) AS type
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = 'projections' AND c.relkind IN ('r', 'p')
ORDER BY 1, a.attnum
"""
WRONG: Final[Mapping[str, str]] = {
    "smallint": "coalesce({}, 0) + 10",
    "integer": "coalesce({}, 0) + 1",
    "bigint": "coalesce({}, 0) + 1",
    "numeric": "coalesce({}, 0) + 1",
    "numeric[]": "{} || 1::numeric",
    "text": "coalesce({}, '') || 'wrong'",
    "boolean": "NOT {}",
    "date": "{} - 62",
    "timestamp with time zone": "coalesce({} + interval '3650 days', now())",  # no other row has a time so late
    "jsonb": """'["wrong@example.com"]'""",
}


def columns_of(rows: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    return [row for row in rows if row[0] not in NOT_COMPARED and f"{row[0]}.{row[1]}" not in NOT_COMPARED]


@pytest.fixture
async def folded(pool: Pool, log: EventLog) -> EventLog:
    await log.append(*random_history(seed=31, accounts=12, length=400))
    for number in range(12):
        told = {"owner": "Ann", "type": "base", "language": "python", "version": "3", "reason": "none"}
        await log.append(item(f"acct-{number}", "sage", "Sage", deployed_at="2026-11-20T10:00:00Z", **told))
    await fold_all(pool, 150)
    await fold_usage(pool, 120)
    await sum_all(pool, LATER)
    return log


async def find(connection: Executor) -> list[Difference]:
    return [each for shard in range(SHARDS) for each in (await verify_shard(connection, shard, None)).differences]


@asynccontextmanager
async def damaged(pool: Pool, statement: str) -> AsyncIterator[Executor]:
    """For as long as the block lasts."""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            said = await damage_on(connection, statement)
            assert not said.endswith(" 0"), statement
            yield connection
        finally:
            await transaction.rollback()


async def fetch_columns(pool: Pool) -> list[tuple[str, str, str]]:
    return [(row["table"], row["column"], row["type"]) for row in await pool.fetch(COLUMNS)]


async def is_found(pool: Pool, statement: str) -> bool:
    async with damaged(pool, statement) as connection:
        return await find(connection) != []


async def test_a_wrong_value_in_each_column_is_found(pool: Pool, folded: EventLog) -> None:
    async with pool.acquire() as connection, connection.transaction():
        assert await find(connection) == []
    missed = []
    for table, column, type in columns_of(await fetch_columns(pool)):
        name = f"projections.{table}"
        row = f"WHERE ctid = (SELECT ctid FROM {name} ORDER BY {column} IS NULL, ctid LIMIT 1)"
        wrong = "(shard + 1) % 3" if column == "shard" else WRONG[type].format(column)
        if not await is_found(pool, f"UPDATE {name} SET {column} = {wrong} {row}"):
            missed.append(f"{table}.{column}")
    assert missed == []


async def test_a_row_that_is_missing_or_too_much_is_found_in_each_table(pool: Pool, folded: EventLog) -> None:
    missed = []
    columns = await fetch_columns(pool)
    for table in sorted({table for table, _, _ in columns_of(columns)}):
        name = f"projections.{table}"
        # Of published states the first of each epoch must be there, and the newest.
        row = "account_id" if table == "exhaustion_steps" else "ctid"
        if not await is_found(pool, f"DELETE FROM {name} WHERE {row} = (SELECT max({row}) FROM {name})"):
            missed.append(f"{table}: missing")
        kept = [column for of, column, _ in columns if of == table and f"{of}.{column}" not in NOT_COMPARED]
        values = ", ".join("'acct-surplus'" if column == "account_id" else column for column in kept)
        surplus = f"INSERT INTO {name} ({', '.join(kept)}) SELECT {values} FROM {name} LIMIT 1"
        if not await is_found(pool, surplus):
            missed.append(f"{table}: too much")
    assert missed == []


async def test_what_is_not_compared_is_there(pool: Pool) -> None:
    """Else a reason would stand for a column that has gone."""
    columns = await fetch_columns(pool)
    assert NOT_COMPARED.keys() <= {table for table, _, _ in columns} | {f"{table}.{name}" for table, name, _ in columns}


async def test_each_table_of_the_notifier_is_compared_or_says_why_not(pool: Pool) -> None:
    tables = {row["relname"] for row in await pool.fetch(TABLES, "notifier")}
    assert tables == COMPARED_OF_NOTIFIER | NOT_COMPARED_OF_NOTIFIER.keys()
