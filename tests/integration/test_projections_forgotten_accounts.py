"""That an account was forgotten stands in the history that people see, and not where nobody opened it."""

from datetime import UTC, datetime

import asyncpg
import pytest

from meter.runtime.postgres import Pool
from projections.console.history import tell_history
from projections.console.reader import ConsoleReader, sql
from tests.integration.plans import explain
from tests.integration.projections_log import EventLog, contacts_changed, fold_all, granted, opened

REAL, MADE_UP, NOON = "acct-1", "made-up", datetime(2026, 11, 25, 12, tzinfo=UTC)
FORGET = "INSERT INTO meter.keys (shard, account_id, made_at, forgotten_at) VALUES ($1, $2, $3, $3)"
TITLE = "Addresses and names forgotten for good"


async def test_the_history_says_that_addresses_and_names_are_gone(pool: Pool, log: EventLog) -> None:
    await log.append(*opened(REAL), granted(REAL, 30), contacts_changed(MADE_UP, "c@example.com"))
    await fold_all(pool)
    reader = ConsoleReader(pool)
    before = tell_history(events=await reader.events(REAL)).entries
    assert before and TITLE not in [entry.title for entry in before]
    for account_id in (REAL, MADE_UP):
        await pool.execute(FORGET, contacts_changed(account_id).shard, account_id, NOON)
    [told] = [entry for entry in tell_history(events=await reader.events(REAL)).entries if entry not in before]
    assert (told.title, told.detail, told.at) == (TITLE, "", NOON)
    assert await reader.events(MADE_UP) == []


@pytest.mark.not_on_citus("reads the plan of one server: on Citus another one runs the statement")
async def test_it_is_found_by_indexes_alone(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("SET enable_seqscan = off")  # the tables are empty; a scan is left where it must be
    await connection.execute(f"PREPARE question AS {sql('list_events')}")
    nodes = await explain(connection, "EXECUTE question ('acct-1', 10, '-infinity', 'infinity')")
    await connection.close()
    by_account = {node["Relation Name"] for node in nodes if "account_id" in node.get("Index Cond", "")}
    assert {"keys", "account_states"} < by_account and any(name.startswith("events") for name in by_account), nodes
