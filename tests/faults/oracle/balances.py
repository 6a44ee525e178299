"""Checks 2 and 3: the log hangs together, and balances are the sums of its events, to the micro-unit."""

from pathlib import Path

import asyncpg

from tests.faults.oracle.books import Book
from tests.faults.oracle.findings import Findings
from tests.faults.oracle.offsets import Books
from tests.faults.oracle.published import CODES
from tests.faults.world import World

ALLOWED_WRONG = "account that may spend, or may not, and it is not so"
SQL = Path(__file__).parents[1] / "sql"
BALANCES = """
SELECT account_id, resource, granted, consumed, base, epoch, boundaries FROM projections.balance_states
"""


def load_sql(name: str) -> str:
    return (SQL / f"{name}.sql").read_text(encoding="utf-8")


ALLOWED = "SELECT account_id, resource, allowed FROM projections.all_balances"


async def check_chain(connection: asyncpg.Connection, partitions: int, findings: Findings) -> None:
    for shard in range(partitions):
        for row in await connection.fetch(load_sql("check_chain"), shard, timeout=600):
            findings.add("lost", "broken chain", f"shard {shard}, batch {row['batch']}: {row['fault']}")
    for row in await connection.fetch(load_sql("check_heads")):
        findings.add("lost", "broken chain", f"shard {row['shard']} does not stand where its last batch ends")
    findings.figures["batches"] = await connection.fetchval("SELECT count(*) FROM meter.batches")


async def check_balances(connection: asyncpg.Connection, world: World, books: Books, findings: Findings) -> None:
    left = dict(books)
    for row in await connection.fetch(BALANCES):
        key = world.index_of(row["account_id"]), row["resource"]
        wanted = left.pop(key, None)
        found = (row["granted"], row["consumed"], row["base"], row["epoch"], tuple(row["boundaries"]))
        if wanted is None or found != state_of(wanted):
            counter = "lost" if wanted is not None and row["consumed"] < wanted.consumed else "doubled"
            detail = f"{row['account_id']} resource {row['resource']}: {found}, must be {wanted and state_of(wanted)}"
            findings.add(counter, "balance that is not the sum of its events", detail)
    for account, resource in left:
        findings.add("lost", "balance that is missing", f"{world.accounts[account].name} resource {resource}")
    findings.figures["balances"] = len(books)
    for row in await connection.fetch(ALLOWED):
        book = books.get((world.index_of(row["account_id"]), CODES[row["resource"]]), Book())
        if row["allowed"] is not book.allowed:
            detail = f"{row['account_id']} {row['resource']}: must be {book.allowed}"
            findings.add("notices_missing", ALLOWED_WRONG, detail)


def state_of(book: Book) -> tuple[int, int, int, int, tuple[int, ...]]:
    return book.granted, book.consumed, book.base, book.epoch, tuple(book.totals)


async def check_usage_days(connection: asyncpg.Connection, findings: Findings) -> None:
    for row in await connection.fetch(load_sql("check_usage_days"), timeout=600):
        counter = "lost" if row["found"] < row["wanted"] else "doubled"
        detail = f"{row['account_id']} {row['day']} type {row['type']} {row['name']}: "
        detail += f"{row['found']} events, must be {row['wanted']}, amount off by {row['difference']}"
        findings.add(counter, "usage by day that is not the sum of its events", detail)
