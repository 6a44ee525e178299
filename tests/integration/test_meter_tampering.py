"""Random changes to the log, as superuser with triggers off: the check finds every one, and cries wolf at none."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest

from meter.runtime.postgres import Executor, Pool, close_pool, create_pool, load_sql
from meter.store import check, rehash
from meter.store.anchored import AnchorAudit
from meter.store.audit import audit_shard
from meter.store.damage import Damage
from meter.store.events import PostgresEventStore
from meter.verify import choose_shards, verify_log
from tests.contract.rows import MOMENT, opened, plan, rejected, usage
from tests.integration.tampering import (
    BATCHES,
    TABLES,
    Intruder,
    Values,
    cut_tail,
    fetch_anchors,
    fill,
    find_damage,
    rewrite_history,
)

TAMPERINGS = int(os.environ.get("METERING_TEST_TAMPERINGS", "1000"))
SEED = int(os.environ.get("METERING_TEST_SEED", "1"))
# What it vouches for elsewhere, and what it does not look at.
OTHERS = {
    "generations": "covered by the hash of the batch that begins one: tests/e2e/test_recover.py",
    "moved": "likewise: tests/integration/test_meter_split.py",
    "former_hashes": "compared with anchors: tests/integration/test_meter_seal.py",
    "sealed_later": "likewise",
    "pruned": "how far evidence was removed: rows that it says are there are missed",
    "pruned_counts": "how much was removed, for the metric",
    "keys": "no part of the chain, so that they can be thrown away",
    "openings": "which event opened an account: follows from the events",
    "remarks": "what was left out of an event, for people",
    "topics": "compared with Kafka at each start",
    "outbox": "what waits to be sent on; what it is of is in `rerouted` and `waiting`",
    "outbox_shards": "what a publisher locks",
    "replays": "what people did with rejections",
    "dismissals": "likewise",
    "moving": "what a split works with, and leaves empty",
}


@pytest.fixture
async def intruded(dsn: str, pool: Pool) -> AsyncIterator[tuple[Executor, Values]]:
    """A connection to a filled log, and its anchors. What is done in `attack` is undone."""
    await fill(pool)
    own = await create_pool(dsn, application_name="tests", max_size=1)
    async with own.acquire() as connection:
        yield connection, await fetch_anchors(connection)
    await close_pool(own)


@asynccontextmanager
async def attack(connection: Executor) -> AsyncIterator[None]:
    transaction = connection.transaction(isolation="repeatable_read")
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


Intruded = tuple[Executor, Values]


@pytest.mark.not_on_citus("the coordinator lists its own shards beside the tables")
async def test_each_table_is_vouched_for_or_says_why_not(pool: Pool) -> None:
    rows = await pool.fetch(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'meter' AND c.relkind IN ('r', 'p')"
    )
    assert {row["relname"] for row in rows} == {*TABLES, *OTHERS}


async def test_a_clean_log_has_no_damage(intruded: Intruded) -> None:
    connection, anchors = intruded
    assert await find_damage(connection, anchors) == []


async def count_unseen(intruded: Intruded, number: int) -> list[str]:
    connection, anchors = intruded
    intruder = Intruder(connection, SEED)
    await intruder.prepare()
    unseen = []
    for _ in range(number):
        async with attack(connection):
            done = await intruder.tamper()
            if not await find_damage(connection, anchors):
                unseen.append(done)
    assert await find_damage(connection, anchors) == []
    return unseen


by_place = pytest.mark.not_on_citus("knows a row by its place on one server (ctid)")


@by_place
async def test_every_random_tampering_is_found(intruded: Intruded) -> None:
    unseen = await count_unseen(intruded, TAMPERINGS)
    assert not unseen, f"seed {SEED}: {len(unseen)} of {TAMPERINGS} were not found:\n" + "\n".join(unseen)


@by_place
async def test_a_check_that_trusts_the_hash_is_caught(intruded: Intruded, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test of the test: with the comparison of hashes gone, changes go unseen."""
    trusting = check.check_batch
    monkeypatch.setattr(
        "meter.store.audit.check_batch",
        lambda shard, link, row: trusting(shard, link, row._replace(hash=row.sealed_hash)),
    )
    assert await count_unseen(intruded, 120)


@pytest.mark.parametrize("keep", [0, 3, 5])
async def test_a_cut_tail_is_found_by_the_anchors_alone(intruded: Intruded, keep: int) -> None:
    connection, anchors = intruded
    await connection.execute("SET session_replication_role = replica")
    async with attack(connection):
        await cut_tail(connection, 1, keep)
        assert await find_damage(connection, []) == []
        found = await find_damage(connection, anchors)
    first_gone = keep + 2 - keep % 2  # even batches are anchored
    assert [(f.shard, f.batch, f.damage) for f in found] == [(1, first_gone, Damage.LOG_CUT)]


async def test_rewritten_history_is_found_by_the_anchors_alone(intruded: Intruded) -> None:
    connection, anchors = intruded
    await connection.execute("SET session_replication_role = replica")
    async with attack(connection):
        position = await connection.fetchval("SELECT first_position FROM meter.batches WHERE shard = 0 AND batch = 3")
        await rewrite_history(connection, 0, position)
        assert await find_damage(connection, []) == []
        found = await find_damage(connection, anchors)
    assert [(f.shard, f.batch, f.damage) for f in found] == [(0, 4, Damage.HISTORY_REWRITTEN)]


async def test_the_batch_of_the_damage_is_named(intruded: Intruded) -> None:
    connection, _ = intruded
    await connection.execute("SET session_replication_role = replica")
    async with attack(connection):
        await connection.execute(
            "DELETE FROM meter.events e USING meter.batches b WHERE b.shard = 1 AND b.batch = 2 "
            "AND e.shard = b.shard AND e.position = b.first_position + 1"
        )
        await connection.execute("DELETE FROM meter.batches WHERE shard = 1 AND batch = 4")
        found = await find_damage(connection, [])
    assert [(f.shard, f.batch, f.damage) for f in found] == [
        (1, 2, Damage.BATCH_CHANGED),
        (1, 4, Damage.BATCH_MISSING),
    ]
    assert "events: 6 are there, the batch says 7" in found[0].detail


async def test_a_batch_that_the_server_cannot_read_is_named(
    intruded: Intruded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a bad page: the chunk is halved until the batch is known, and the rest is checked all the same."""
    real = rehash.hash_events

    async def stumble(
        connection: Executor, shard: int, batches: Sequence[asyncpg.Record], statement: str
    ) -> list[bytes]:
        if 3 in [batch["batch"] for batch in batches]:
            raise asyncpg.DataCorruptedError("invalid page in block 7")
        return await real(connection, shard, batches, statement)

    monkeypatch.setattr(rehash, "hash_events", stumble)
    connection, _ = intruded
    async with attack(connection):
        report = await audit_shard(connection, 1)
    assert [(f.batch, f.damage, f.detail) for f in report.findings] == [
        (3, Damage.BATCH_UNREADABLE, "invalid page in block 7")
    ]
    assert report.batches == BATCHES


async def test_damage_is_named_in_its_own_batch_alone_however_it_shifts_the_rows(intruded: Intruded) -> None:
    """Batches are cut out of one stream: a row longer, shorter, gone or of another position misleads nobody."""
    connection, _ = intruded
    await connection.execute("SET session_replication_role = replica")
    first = "position = (SELECT first_position FROM meter.batches WHERE shard = 0 AND batch = 3) AND shard = 0"
    for change in (
        f"UPDATE meter.events SET source = repeat('x', 5000) WHERE {first}",
        f"UPDATE meter.events SET data = '{{}}' WHERE {first}",
        f"UPDATE meter.events SET extensions = '{{}}' WHERE {first}",
        f"UPDATE meter.events SET position = position + 1000 WHERE {first}",
        f"DELETE FROM meter.events WHERE {first}",
    ):
        async with attack(connection):
            assert (await connection.execute(change)).endswith(" 1")
            found = await find_damage(connection, [])
        assert {(f.shard, f.batch) for f in found if f.damage is not Damage.STRAY_ROW} == {(0, 3)}, change


async def test_an_unreadable_anchor_is_told(intruded: Intruded) -> None:
    connection, anchors = intruded
    found = await find_damage(connection, [*anchors, (99, b"{"), (100, None)])
    assert [f.damage for f in found] == [Damage.ANCHOR_UNREADABLE] * 2


async def test_a_log_that_grows_meanwhile_raises_no_alarm(pool: Pool) -> None:
    """Four writers append as fast as they can while the whole check, anchors and all, runs over and over."""
    await pool.execute(load_sql("meter", "insert_shards"), 4)
    store = PostgresEventStore(pool)

    async def write(shard: int) -> None:
        for number in range(40):
            offset, account = number * 4, number
            event = usage(offset)
            rows = (event, usage(offset + 1, event_id=event.event_id), rejected("metering.usage", offset + 2))
            await store.append(
                plan(
                    *rows,
                    opened(account, account_id=f"acc-{shard}-{number}"),
                    shard=shard,
                    start=(offset, account),
                    end=(offset + 4, account + 1),
                    at=MOMENT + timedelta(seconds=number),
                )
            )

    writers = [asyncio.create_task(write(shard)) for shard in range(4)]
    checked: list[int] = []
    while not all(writer.done() for writer in writers) or len(checked) < 2:
        anchors = AnchorAudit(pool)
        values = await fetch_anchors(pool)
        report = await verify_log(pool, await choose_shards(pool, None))
        await anchors.check(values)
        assert report.findings + anchors.findings() == []
        checked.append(report.events)
    await asyncio.gather(*writers)
    final = await verify_log(pool, await choose_shards(pool, None))
    assert (final.findings, final.events, final.batches) == ([], 4 * 40 * 4, 4 * 40)
    assert checked == sorted(checked)
    assert any(0 < seen < final.events for seen in checked), "no check ran while the log grew"
