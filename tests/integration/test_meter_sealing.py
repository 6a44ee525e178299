"""Sealed data in the store: stored encrypted, compared opened, forgotten with its key; the chain stays whole."""

import json
from typing import Any

import asyncpg
import pytest

from meter.forgetting import blank_rejections
from meter.openings import ALREADY_OPEN
from meter.packing import unpack
from meter.runtime.postgres import Pool, create_pool, load_sql
from meter.sealing import FORGOTTEN_CODE
from meter.store import remains
from meter.store.audit import audit_shard
from meter.store.events import PostgresEventStore
from meter.store.outcomes import Outcomes
from meter.store.port import Appended
from meter.store.remains import Remains
from schemas.events import CODES
from schemas.reasons import Reason
from schemas.records import Accepted
from tests.contract.rows import opened, plan, rejected, usage
from tests.support.damaging import pass_triggers
from tests.support.searching import find

ANN, BOB, NAME = "ann.person@example.com", "bob.person@example.com", "Person & Example"
ONE = {"plan": "free", "contacts": [ANN], "display_name": NAME}
SLOWLY = "SELECT count(*) FROM pg_sleep(1.5) WHERE $1::int >= 0 AND $2::text <> ''"
REFUSED = json.dumps({"subject": "acc-1", "data": ONE}).encode()


@pytest.fixture
async def store(pool: Pool) -> PostgresEventStore:
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    return PostgresEventStore(pool)


def opening(offset: int, event_id: str = "opening", **data: Any) -> Accepted:
    return opened(offset, event_id=event_id, data=json.dumps({**ONE, **data}))


def renaming(offset: int, name: str, account: str = "acc-1") -> Accepted:
    data = json.dumps({"display_name": name})
    return opened(offset, type=CODES["account.renamed.v1"], name="", account_id=account, data=data)


def forgetting(offset: int) -> Accepted:
    return opened(offset, type=FORGOTTEN_CODE, name="asked", data='{"reason":"asked"}')


async def append(store: PostgresEventStore, *rows: Accepted) -> Appended:
    return await store.append(plan(*rows, start=(0, rows[0].offset)))


async def stored(pool: Pool) -> list[str]:
    return [row[0] for row in await pool.fetch("SELECT data::text FROM meter.events ORDER BY position")]


async def find_damage(pool: Pool) -> list[object]:
    async with pool.acquire() as connection:
        return list((await audit_shard(connection, 0)).findings)


async def test_addresses_and_names_are_stored_sealed_and_usage_as_it_was(store: PostgresEventStore, pool: Pool) -> None:
    text = '{"credits": 0.250,  "model":"large"}'
    await store.append(plan(usage(0, data=text), opening(0)))
    assert find([data.encode() for data in await stored(pool)], ANN, NAME) == []
    assert text in await stored(pool)
    assert await pool.fetchval("SELECT count(*) FROM meter.keys WHERE length(key) = 32") == 1
    assert await find_damage(pool) == []


def item(offset: int, account: str = "acc-1") -> Accepted:
    """The one event of usage's topic that names somebody."""
    data = json.dumps({"kind": "model", "id": "sage", "name": "Sage", "status": "deployed", "owner": NAME})
    return usage(
        offset, type=CODES["item.changed.v1"], name="sage", resource=None, amount=0, account_id=account, data=data
    )


@pytest.mark.not_on_citus("a transaction takes one shard there: nothing is stored together")
@pytest.mark.parametrize("shards", [1, 2], ids=["alone", "together"])
@pytest.mark.parametrize("before", [0, 1], ids=["at first", "where the log's end is known"])
async def test_an_owner_is_sealed_whichever_way_the_batch_is_stored(pool: Pool, shards: int, before: int) -> None:
    await pool.execute(load_sql("meter", "insert_shards"), shards)
    store = PostgresEventStore(pool)
    for offset in range(before + 1):
        event = item(offset) if offset == before else usage(offset)
        plans = [plan(event, shard=shard, start=(offset, 0)) for shard in range(shards)]
        assert (await store.append_together(plans) if shards > 1 else await store.append(plans[0])) is not None
    assert await pool.fetchval("SELECT count(*) FROM meter.events WHERE type = $1", CODES["item.changed.v1"]) == shards
    assert find([data.encode() for data in await stored(pool)], NAME) == []
    assert await find_damage(pool) == []


async def test_a_batch_of_usage_asks_for_no_key(store: PostgresEventStore, pool: Pool) -> None:
    await store.append(plan(usage(0), usage(1)))
    assert await pool.fetchval("SELECT count(*) FROM meter.keys") == 0


@pytest.mark.parametrize("together", [True, False])
async def test_a_repeat_is_known_and_another_content_is_refused(store: PostgresEventStore, together: bool) -> None:
    rows = [opening(0), opening(1), opening(2, contacts=[BOB])]
    if together:
        result = await append(store, *rows)
        assert (result.stored, result.duplicates, result.reasons) == (3, 1, {Reason.ID_REUSED.value: 1})
        return
    results = [await append(store, row) for row in rows]
    assert [result.stored for result in results] == [3, 0, 0]
    assert results[1].duplicates == 1 and results[2].reasons == {Reason.ID_REUSED.value: 1}


async def test_a_second_opening_is_compared_with_what_the_first_said(store: PostgresEventStore, pool: Pool) -> None:
    await append(store, opening(0))
    await append(store, opening(1, "again"))
    assert await pool.fetch("SELECT FROM meter.remarks") == []
    await append(store, opening(2, "other", contacts=[BOB], display_name="Other"))
    rows = await pool.fetch("SELECT field, reason FROM meter.remarks ORDER BY field")
    assert [tuple(row) for row in rows] == [("contacts", ALREADY_OPEN), ("display_name", ALREADY_OPEN)]


async def test_after_the_forgetting_the_rest_is_compared_and_nothing_new_is_kept(
    store: PostgresEventStore, pool: Pool
) -> None:
    await append(store, opening(0), renaming(1, "Second Name"))
    await append(store, forgetting(2))
    assert await pool.fetchval("SELECT count(*) FROM meter.keys WHERE key IS NULL") == 1
    assert (await append(store, opening(3))).duplicates == 1
    assert (await append(store, opening(4, contacts=[BOB]))).duplicates == 1  # nobody can tell any more
    assert (await append(store, opening(5, plan="team"))).reasons == {Reason.ID_REUSED.value: 1}
    await append(store, renaming(6, "Third Name"))
    assert json.loads((await stored(pool))[-1]) == {"sealed": "forgotten"}
    assert await find_damage(pool) == []


async def test_what_follows_the_forgetting_in_one_batch_is_not_kept(store: PostgresEventStore, pool: Pool) -> None:
    await append(store, opening(0), forgetting(1), renaming(2, "Second Name"), renaming(3, "Somebody", "acc-2"))
    other, forgotten, last = [json.loads(data) for data in (await stored(pool))[-3:]]  # that of acc-2 stands before it
    assert other["sealed"].startswith("1:") and "sealed" not in forgotten and last["sealed"] == "forgotten"
    assert await pool.fetchval("SELECT key FROM meter.keys WHERE account_id = 'acc-1'") is None


@pytest.mark.not_on_citus("a trigger refuses it, and Citus takes none")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE meter.keys SET key = decode(repeat('00', 32), 'hex'), forgotten_at = NULL, cleared_at = NULL",
        "UPDATE meter.keys SET account_id = 'acc-2'",
        "DELETE FROM meter.keys",
        "TRUNCATE meter.keys",
    ],
)
async def test_a_key_that_was_thrown_away_stays_away(store: PostgresEventStore, pool: Pool, statement: str) -> None:
    await append(store, opening(0))
    await append(store, forgetting(1))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute(statement)


async def refuse(store: PostgresEventStore, offset: int, room: int | None = None) -> None:
    """Two refused records of the account and one of another; with `room` for nothing they are packed."""
    records = [
        rejected("metering.accounts", offset, value=REFUSED),
        rejected("metering.accounts", offset + 1, value=REFUSED, key=b"elsewhere"),
        rejected("metering.accounts", offset + 2, value=b'{"subject":"acc-10"}', key=b"acc-10"),
    ]
    await store.append(plan(*records, start=(0, offset), room=room))


async def read_refused(pool: Pool) -> list[bytes]:
    """Rows as they are stored, and the values of the records that are packed in them: compression would hide these."""
    rows = await pool.fetch("SELECT r::text AS row, topic, shard, value, offsets FROM meter.rejections r")
    packed = [unpack(row["topic"], row["shard"], row["value"]) for row in rows if row["offsets"] is not None]
    return [row["row"].encode() for row in rows] + [record.value or b"" for each in packed for record in each]


@pytest.mark.parametrize("room", [None, 0])
async def test_refused_records_are_blanked_and_the_chain_stays_whole(
    store: PostgresEventStore, pool: Pool, room: int | None
) -> None:
    await append(store, opening(0))
    await refuse(store, 1, room)
    await append(store, forgetting(4))
    assert find(await read_refused(pool), ANN, NAME) == [ANN, NAME]
    assert await blank_rejections(pool, "acc-1") == (2 if room is None else 1)
    assert await blank_rejections(pool, "acc-1") == 0
    assert find(await read_refused(pool), ANN, NAME) == []
    assert await find_damage(pool) == []
    if room is None:
        kept = await pool.fetch("SELECT value FROM meter.rejections WHERE NOT forgotten")
        assert [row["value"] for row in kept] == [b'{"subject":"acc-10"}']


@pytest.mark.not_on_citus("a trigger refuses it, and Citus takes none")
async def test_refused_records_stay_while_nobody_is_being_forgotten(store: PostgresEventStore, pool: Pool) -> None:
    await refuse(store, 0)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute("UPDATE meter.rejections SET value = NULL, forgotten = true")
    await append(store, forgetting(3))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute("UPDATE meter.rejections SET reason = 'empty', forgotten = true")


async def test_an_intruder_cannot_hide_refused_records_where_nobody_was_forgotten(
    store: PostgresEventStore, pool: Pool
) -> None:
    await refuse(store, 0)
    async with pool.acquire() as connection, connection.transaction():
        await pass_triggers(connection)
        await connection.execute("UPDATE meter.rejections SET value = NULL, forgotten = true")
    assert await find_damage(pool)


async def test_what_is_on_the_way_is_not_forgotten_yet(store: PostgresEventStore, pool: Pool) -> None:
    """A record of a wrong partition is sent on as it came, so nobody says before that it is gone."""
    await append(store, opening(0), forgetting(1))
    [left] = await pool.fetch(load_sql("meter", "find_remains"), 0, "acc-1")
    assert (left["forgotten"], left["on_the_way"]) == (True, 0)
    await pool.executemany(
        "INSERT INTO meter.outbox (shard, topic, kafka_offset, partition, key, value, headers, timestamp_ms) "
        "VALUES (1, 'metering.accounts', $1, 0, $2, $3, '[]', 0)",
        [(1, b"acc-1", REFUSED), (2, b"acc-10", REFUSED)],
    )
    [left] = await pool.fetch(load_sql("meter", "find_remains"), 0, "acc-1")
    found = Remains(**left, in_clear=0)
    assert (found.on_the_way, found.cleared) == (1, False)
    assert any("not sent on yet" in line for line in found.describe("acc-1"))


async def test_what_is_in_clear_is_counted_however_long_that_takes(
    store: PostgresEventStore, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads much of the log, and the verb had the limit of a short statement."""
    await append(store, opening(0))
    monkeypatch.setattr(
        remains, "load_sql", lambda package, name: SLOWLY if name == "count_in_clear" else load_sql(package, name)
    )
    short = await create_pool(dsn, application_name="tests", command_timeout_s=0.5)
    try:
        assert (await remains.fetch_remains(Outcomes(short), "acc-1")).in_clear == 1
        assert not await remains.is_cleared(Outcomes(short), "acc-1")
    finally:
        await short.close()
