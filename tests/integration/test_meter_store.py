"""What is Postgres's own in the event store: the chain in SQL, the unique index as backstop, refused values, COMMIT."""

import asyncio
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import cast

import asyncpg
import pytest

from meter.content import Content
from meter.plan import AppendPlan
from meter.runtime.errors import OwnershipLostError
from meter.runtime.postgres import Pool, failures, load_sql
from meter.store import batches, events, together
from meter.store.bisect import Attempt, Refusal, find_refused
from meter.store.events import PostgresEventStore
from meter.store.layout import GENESIS, encode_rows, mark_row
from meter.store.port import Head
from schemas.records import Accepted, Outcome
from schemas.topics import USAGE
from tests.contract.rows import MOMENT, opened, plan, rejected, rerouted, usage
from tests.integration.tampering import find_damage
from tests.support import until
from tests.support.held_commits import hold_commits
from tests.support.meter import rehash
from tests.support.waiting import GIVEN_UP_S
from tests.support.working_time import within


@pytest.fixture
async def store(pool: Pool) -> PostgresEventStore:
    await pool.execute(load_sql("meter", "insert_shards"), 3)
    return PostgresEventStore(pool)


async def stored_hashes(pool: Pool, shard: int) -> list[bytes]:
    return [
        r["hash"] for r in await pool.fetch("SELECT hash FROM meter.batches WHERE shard = $1 ORDER BY batch", shard)
    ]


async def fetch_one(pool: Pool, statement: str) -> asyncpg.Record:
    row = await pool.fetchrow(statement)
    assert row is not None
    return row


async def test_the_rows_as_stored_give_the_same_chain(store: PostgresEventStore, pool: Pool) -> None:
    """Python's bytes are those of COPY and of record_send: NULLs, text beyond ASCII, extensions, an empty batch."""
    unusual = usage(
        1, name="modèle 模型 🙂", data='{"credits": 0.25,  "model":"\\u0000"}', extensions='{"trace":"ä"}', amount=0
    )
    await store.append(plan(usage(0), unusual, opened(0, account_id="a:b@c.d_-"), shard=1))
    await store.append(plan(rejected("metering.usage", 2), shard=1, start=(2, 1), end=(5, 1)))
    await store.append(plan(*[usage(5 + i, amount=i) for i in range(100)], shard=1, start=(5, 1)))
    computed = await rehash(pool, 1, 1, 3)
    assert [row.batch for row in computed] == [1, 2, 3]
    assert [row.hash for row in computed] == await stored_hashes(pool, 1)


async def test_a_row_that_holds_how_the_next_batch_begins(store: PostgresEventStore, pool: Pool) -> None:
    """An amount of 16 beside an offset that is the next batch's first position: no false alarm."""
    last = usage(3, amount=16)
    assert mark_row(3) in encode_rows([last], 0, 2, last.occurred_at)
    await store.append(plan(usage(0), rejected("metering.usage", 1), rejected("metering.usage", 2), last))
    await store.append(plan(usage(4), start=(4, 0)))
    await store.append(plan(usage(5), start=(5, 0)))
    assert [row.hash for row in await rehash(pool, 0, 1, 3)] == await stored_hashes(pool, 0)


async def test_the_chain_starts_at_zero_and_ends_at_the_shards_head(store: PostgresEventStore, pool: Pool) -> None:
    await store.append(plan(usage(0)))
    await store.append(plan(usage(1), start=(1, 0)))
    batches = await pool.fetch("SELECT previous, hash FROM meter.batches WHERE shard = 0 ORDER BY batch")
    head = await pool.fetchval("SELECT head FROM meter.shards WHERE shard = 0")
    assert [batches[0]["previous"], batches[1]["previous"], head] == [GENESIS, batches[0]["hash"], batches[1]["hash"]]


async def test_data_is_kept_as_sent(store: PostgresEventStore, pool: Pool) -> None:
    text = '{"credits": 0.250,  "model":"large", "b":1, "a":2}'
    await store.append(plan(usage(0, data=text)))
    assert await pool.fetchval("SELECT data::text FROM meter.events") == text


@pytest.mark.not_on_citus("append-only holds by triggers, which Citus has not: by privileges there (test_citus)")
@pytest.mark.parametrize("table", ["events", "batches", "duplicates", "rejections", "replays", "gaps"])
async def test_the_log_is_append_only_even_for_its_owner(store: PostgresEventStore, pool: Pool, table: str) -> None:
    event = usage(0)
    await store.append(plan(event, usage(1, event_id=event.event_id), rejected("metering.usage", 2), end=(4, 0)))
    await pool.execute(load_sql("meter", "append_replay"), 1, "tests", event.occurred_at, [0], [7])
    column = await pool.fetchval(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'meter' AND table_name = $1 "
        "AND is_identity = 'NO' LIMIT 1",
        table,
    )
    change, delete = f"UPDATE meter.{table} SET {column} = {column}", f"DELETE FROM meter.{table}"
    for statement in (change, delete, f"TRUNCATE meter.{table} CASCADE"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await pool.execute(statement)


async def test_the_unique_index_catches_what_the_probe_misses(
    store: PostgresEventStore, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the probe blind, a repeated id still cannot be stored twice, and it does not abort its batch."""
    rows = [usage(i) for i in range(5)]
    await store.append(plan(*rows))

    async def see_nothing(connection: object, plan: AppendPlan, head: Head) -> dict[bytes, Content]:
        return {}

    monkeypatch.setattr(batches, "find_known", see_nothing)
    fresh = [usage(5), usage(8)]
    again = [usage(6, event_id=rows[1].event_id), usage(7, event_id=rows[4].event_id)]
    other = usage(9, event_id=rows[2].event_id, amount=1)
    appended = await store.append(plan(fresh[0], *again, fresh[1], other, start=(5, 0)))
    assert (appended.stored, appended.duplicates, appended.rejected) == (2, 2, 1)
    assert await pool.fetchval("SELECT reason FROM meter.rejections") == "id_reused"
    positions = [r[0] for r in await pool.fetch("SELECT position FROM meter.events ORDER BY position")]
    assert positions == list(range(1, 8))
    assert await pool.fetchval("SELECT array_agg(kafka_offset ORDER BY kafka_offset) FROM meter.duplicates") == [6, 7]
    computed = await rehash(pool, 0, 1, 2)
    assert [row.hash for row in computed] == await stored_hashes(pool, 0)


async def test_a_taken_position_is_damage_and_never_hidden(store: PostgresEventStore, pool: Pool) -> None:
    await store.append(plan(usage(0)))
    await pool.execute("UPDATE meter.shards SET next_position = 1 WHERE shard = 0")
    with pytest.raises(asyncpg.UniqueViolationError) as caught:
        await store.append(plan(usage(1), start=(1, 0)))
    assert re.fullmatch(r"events_position(_\d+)?", caught.value.constraint_name or "")  # on Citus with its part
    assert await store.fetch_offsets(["metering.usage"], [0]) == {("metering.usage", 0): 1}


REFUSED = {
    "NUL in text": {"name": "a\x00b"},
    "a lone surrogate": {"name": "a\ud800b"},
    "no JSON": {"data": "{"},
    "JSON nested beyond the server's stack": {"data": "[" * 60_000},
    "a negative amount": {"amount": -1},
    "an amount beyond BIGINT": {"amount": 2**63},
}


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED.keys())
async def test_a_value_that_postgres_refuses_costs_only_its_own_record(
    store: PostgresEventStore, pool: Pool, changes: dict[str, object]
) -> None:
    rows = [usage(i) for i in range(8)]
    rows[5] = usage(5, **changes)
    appended = await store.append(plan(*rows))
    assert (appended.stored, appended.rejected) == (7, 1)
    row = await fetch_one(pool, "SELECT kafka_offset, reason, detail FROM meter.rejections")
    assert (row["kafka_offset"], row["reason"]) == (5, "unstorable")
    assert row["detail"]


async def test_what_has_the_id_of_a_refused_event_is_stored_once(store: PostgresEventStore, pool: Pool) -> None:
    bad = usage(0, name="\x00")
    again = (usage(2, event_id=bad.event_id), bad._replace(offset=3), usage(4, event_id=bad.event_id))
    appended = await store.append(plan(bad, usage(1), *again))
    assert (appended.stored, appended.duplicates, appended.rejected) == (2, 1, 2)


async def test_of_many_spellings_of_one_identity_as_many_are_tried_as_may_become_rows(
    store: PostgresEventStore, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a try of its own, under the shard's lock: a request that was sent again thousands of times held it up."""
    tried: list[int] = []

    async def count(rows: Sequence[Accepted], attempt: Attempt) -> list[tuple[Accepted, Refusal]]:
        tried.append(len(rows))
        return await find_refused(rows, attempt)

    monkeypatch.setattr(batches, "find_refused", count)
    spellings = [usage(number, event_id="request", account_id="acc-1", amount=number) for number in range(1, 101)]
    appended = await store.append(plan(usage(0, name="\x00"), *spellings))
    assert (appended.stored, appended.duplicates, appended.rejected) == (1, 0, 100)
    assert (tried[0], sum(tried)) == (2, 2), "the refused one and the first of the others"


async def test_unusual_bytes_of_a_rejected_record_are_kept(store: PostgresEventStore, pool: Pool) -> None:
    bad = rejected(
        "metering.usage", 0, key=None, value=bytes(range(256)), timestamp_ms=-1,
        headers=[("a\x00b", b"\xff\x00"), ("c", None), ("c", b"")],
    )._replace(detail="NUL \x00 and \ud800")  # fmt: skip
    await store.append(plan(bad))
    row = await fetch_one(pool, "SELECT key, value, headers::text, kafka_timestamp, detail FROM meter.rejections")
    assert row["key"] is None and row["value"] == bytes(range(256)) and row["kafka_timestamp"] is None
    assert row["headers"] == '[["a\\\\x00b", "/wA="], ["c", null], ["c", ""]]'
    assert row["detail"] == "NUL \\x00 and \\ud800"


async def count_stored(pool: Pool) -> int:
    count: int = await pool.fetchval("SELECT count(*) FROM meter.events")
    return count


@pytest.mark.not_on_citus("holds up COMMIT by a trigger, which Citus has not")
async def test_an_unknown_outcome_of_commit_is_settled_by_the_offsets(
    store: PostgresEventStore, pool: Pool, dsn: str
) -> None:
    """The connection dies while COMMIT is under way: whatever happened, going by the stored offset loses and repeats
    nothing."""
    async with hold_commits(pool, dsn) as holder:
        append = asyncio.create_task(store.append(plan(usage(0))))

        async def find_committing() -> int:
            pid = await holder.fetchval(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                "AND wait_event_type = 'Lock' AND wait_event = 'advisory'"
            )
            return pid or 0

        pid: int = await until(find_committing, message="COMMIT does not wait")
        await holder.execute("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises(failures.TRANSIENT):
            await append
    offsets = await store.fetch_offsets(["metering.usage"], [0])
    start = offsets["metering.usage", 0]
    assert await count_stored(pool) == start
    events_left = [usage(0)][start:]
    await store.append(plan(*events_left, start=(start, 0), end=(1, 0)))
    assert await count_stored(pool) == 1


async def test_a_commit_that_arrived_although_its_answer_was_lost(
    store: PostgresEventStore, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repeating the same plan blindly stores nothing: the compare-and-set stops it."""
    first = plan(usage(0), usage(1))

    async def lose_answer(name: str) -> None:
        if name == "after_commit":
            raise ConnectionResetError("the answer to COMMIT was lost")

    monkeypatch.setattr(events, "fault_point", lose_answer)
    with pytest.raises(ConnectionResetError):
        await store.append(first)
    monkeypatch.undo()
    with pytest.raises(OwnershipLostError):
        await store.append(first)
    assert await count_stored(pool) == 2


async def test_without_the_fence_competing_writers_would_repeat_offsets(
    store: PostgresEventStore, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test of the fence's test: an UPDATE that ignores the expected offsets lets the second writer in."""
    unfenced = load_sql("meter", "advance_shard").replace(
        "AND usage_offset = $2 AND accounts_offset = $3", "AND $2::bigint >= 0 AND $3::bigint >= 0"
    )
    real = batches.sql
    monkeypatch.setattr(batches, "sql", lambda name: unfenced if name == "advance_shard" else real(name))
    for _ in range(2):
        await store.append(plan(usage(0)))
    offsets: Sequence[int] = [r[0] for r in await pool.fetch("SELECT kafka_offset FROM meter.events")]
    assert offsets == [0, 0]


@pytest.mark.not_on_citus("a transaction takes one shard there: nothing is stored together")
async def test_a_shard_that_another_locks_is_not_waited_for(store: PostgresEventStore, pool: Pool) -> None:
    """Of several shards: the others are to go on without it."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM meter.shards WHERE shard = 1 FOR UPDATE")
        with within(5):
            async with asyncio.timeout(GIVEN_UP_S):
                assert await store.append_together([plan(usage(0), shard=0), plan(usage(0), shard=1)]) is None
                assert (await store.append(plan(usage(0), shard=0))).stored == 1
    together = await store.append_together([plan(usage(1), shard=0, start=(1, 0)), plan(usage(0), shard=1)])
    assert together is not None
    assert [done.stored for done in together] == [1, 1]


@pytest.mark.not_on_citus("a transaction takes one shard there: nothing is stored together")
async def test_batches_of_usage_are_stored_together_with_all_that_stands_in_them(
    store: PostgresEventStore, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repeats, rejections, gaps and records that are sent on, one by one or packed: the chain covers them."""
    stored = [usage(0), usage(0, account_id="acc-2")]
    assert await store.append_together([plan(one, shard=shard) for shard, one in enumerate(stored)]) is not None

    def make(shard: int, *more: Accepted) -> AppendPlan:
        event = usage(2, account_id=f"acc-{shard}")
        sent_on = rerouted(USAGE, 5), rerouted(USAGE, 6)
        results: list[Outcome] = [event, event._replace(offset=3), rejected(USAGE, 4), *sent_on, *more]
        room = 0 if shard else None
        return plan(*results, shard=shard, start=(1, 0), end=(9, 0), at=MOMENT + timedelta(seconds=shard), room=room)

    plans = [make(shard, one._replace(offset=7)) for shard, one in enumerate(stored)]
    plans.append(plan(rejected(USAGE, 0), shard=2))
    monkeypatch.setattr(together, "append_batch", None)  # nothing is appended alone
    saved = await store.append_together(plans)
    assert saved is not None
    assert [done[4:9] for done in saved] == [(1, 2, 1, 2, 2)] * 2 + [(0, 0, 1, 0, 0)]
    async with pool.acquire() as proxy, proxy.transaction(isolation="repeatable_read"):
        connection = cast("asyncpg.Connection", proxy)
        assert await find_damage(connection, []) == []
