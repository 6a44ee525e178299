"""What follows an account's corrections in their batch, in the database: remarked, sealed and opened as in batches of
its own."""

import json
from collections.abc import Mapping

import pytest

from meter.closings import ALREADY_CLOSED, CLOSED, REOPENED
from meter.openings import ALREADY_OPEN
from meter.runtime.postgres import Pool, load_sql
from meter.store.events import PostgresEventStore
from schemas.amounts import MICRO
from schemas.codes import CODES
from schemas.records import Accepted, Outcome, Remark, Remarked
from tests.contract.rows import opened, plan, reversal, revoked, usage

RENAMED, FORGOTTEN = CODES["account.renamed.v1"], CODES["account.forgotten.v1"]
TOGETHER = pytest.mark.parametrize("together", [True, False], ids=["in one batch", "in many"])
ANN = {"display_name": "Ann"}


def said(offset: int, type: int, data: Mapping[str, object] | None = None, **changes: object) -> Accepted:
    return opened(offset, type=type, data=json.dumps(data or {}), name="", **changes)


async def append(store: PostgresEventStore, results: list[Outcome], first: int, *, together: bool) -> None:
    """Results of metering.accounts from the offset `first` on, behind one event of usage."""
    if together:
        await store.append(plan(*results, start=(1, first)))
        return
    for offset, result in enumerate(results, first):
        await store.append(plan(result, start=(1, offset)))


@TOGETHER
async def test_what_follows_a_correction_is_remarked(pool: Pool, together: bool) -> None:
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    store = PostgresEventStore(pool)
    await store.append(plan(usage(0, event_id="request 1")))
    team = json.dumps({"plan": "team", "contacts": ["owner@example.com"]})
    results: list[Outcome] = [
        opened(0),
        revoked(1, MICRO),
        said(2, CLOSED),
        said(3, CLOSED),
        reversal(4, 1, "request 1"),
        Remarked(said(5, RENAMED, ANN), (Remark("time_zone", "is no time zone"),)),
        said(6, REOPENED),
        opened(7, data=team),
    ]
    await append(store, results, 0, together=together)
    rows = await pool.fetch("SELECT kafka_offset, field, reason FROM meter.remarks ORDER BY 1")
    assert [tuple(row) for row in rows] == [
        (3, "type", ALREADY_CLOSED), (5, "time_zone", "is no time zone"), (7, "plan", ALREADY_OPEN),
    ]  # fmt: skip
    assert await pool.fetchval("SELECT position FROM meter.openings") == 2


@TOGETHER
async def test_a_repeat_behind_a_correction_is_compared_without_names_where_they_are_forgotten(
    pool: Pool, together: bool
) -> None:
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    store = PostgresEventStore(pool)
    named = said(1, RENAMED, ANN)
    await store.append(plan(usage(0), opened(0), named, said(2, FORGOTTEN, {"reason": "asked"})))
    later = said(5, RENAMED, {"display_name": "Bob"})
    await append(store, [revoked(3, MICRO), named._replace(offset=4), later], 3, together=together)
    assert [row["kafka_offset"] for row in await pool.fetch("SELECT kafka_offset FROM meter.duplicates")] == [4]
    assert await pool.fetchval("SELECT count(*) FROM meter.rejections") == 0
    texts = [row["data"] for row in await pool.fetch("SELECT data::text AS data FROM meter.events")]
    assert not [text for text in texts if "Ann" in text or "Bob" in text]


@TOGETHER
async def test_openings_around_a_forgetting_are_remarked_as_they_are_in_batches_of_their_own(
    pool: Pool, together: bool
) -> None:
    """Before it with what they name, behind it without: what is forgotten differs from nothing."""
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    store = PostgresEventStore(pool)
    await store.append(plan(usage(0), opened(0)))
    other = json.dumps({"plan": "team", "contacts": ["other@example.com"], "display_name": "Bob"})
    results: list[Outcome] = [
        opened(1),
        opened(2, data=other),
        said(3, RENAMED, ANN, account_id="acc-2"),
        opened(4, data=other, account_id="acc-2"),
        said(5, FORGOTTEN, {"reason": "asked"}),
        said(6, FORGOTTEN, {"reason": "asked"}, account_id="acc-2"),
        opened(7),
        opened(8, data=other),
        opened(9, account_id="acc-2"),
        said(10, FORGOTTEN, {"reason": "asked"}, account_id="acc-3"),
        opened(11, account_id="acc-3"),
        opened(12, data=other, account_id="acc-3"),
        said(13, FORGOTTEN, {"reason": "asked"}, account_id="acc-4"),
        said(14, RENAMED, ANN, account_id="acc-4"),
        opened(15, data=other, account_id="acc-4"),
    ]
    await append(store, results, 1, together=together)
    rows = await pool.fetch("SELECT kafka_offset, field FROM meter.remarks ORDER BY 1, 2")
    assert [tuple(row) for row in rows] == [
        (2, "contacts"), (2, "display_name"), (2, "plan"), (4, "display_name"), (8, "plan"), (9, "plan"), (12, "plan"),
    ]  # fmt: skip
    texts = await pool.fetch("SELECT data::text AS data FROM meter.events")
    assert not [row for row in texts if "Bob" in row["data"] or "@" in row["data"]]
    assert await pool.fetchval("SELECT count(*) FROM meter.keys WHERE key IS NOT NULL") == 0
