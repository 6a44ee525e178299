"""Old logs: what was stored in clear is sealed, the chain made anew and proved, and a change is still found."""

import json
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from meter.anchors import ShardHead, render_anchor
from meter.runtime import fault_points
from meter.runtime.errors import RefusalError
from meter.runtime.fault_points import InjectedError
from meter.runtime.postgres import Executor, Pool, load_sql
from meter.sealing import FORGOTTEN_CODE
from meter.store.anchored import AnchorAudit
from meter.store.audit import ShardReport, audit_shard
from meter.store.damage import Damage, Finding
from meter.store.events import PostgresEventStore
from meter.store.rechain import Sealed, Wording, seal_shard
from meter.store.rehash import hash_batch
from schemas.records import Accepted
from tests.contract.rows import MOMENT, opened, plan, rejected, usage
from tests.support.damaging import pass_triggers
from tests.support.old_chain import append_old
from tests.support.searching import find

pytestmark = pytest.mark.not_on_citus("`meter seal` refuses there")

ANN, EVE, NAME = "ann.person@example.com", "eve.person@example.com", "Person & Example"
WORDING = Wording(MOMENT, "tester", "old data sealed")
POINTS = ("seal_events_sealed", "seal_before_commit", "seal_after_commit")
Anchors = list[tuple[int, bytes | None]]


def opening(offset: int, account: str, address: str, **more: Any) -> Accepted:
    data = json.dumps({"plan": "free", "contacts": [address], "display_name": NAME} | more)
    return opened(offset, event_id=str(uuid4()), account_id=account, data=data)


async def as_before(rows: Any, plan: Any) -> Any:
    return plan.rows


@pytest.fixture
async def old_log(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> Anchors:
    """Chains of version 2 and 4 in clear, then sealed ones; returns the anchors of each batch."""
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    anchors: Anchors = []
    async with pool.acquire() as connection:
        await connection.execute("ALTER TABLE meter.events DROP CONSTRAINT events_identified")
        await connection.execute(
            "ALTER TABLE meter.batches ALTER chain_version SET DEFAULT 2, ALTER waiting SET DEFAULT 0"
        )
        await append_old(connection, plan(usage(0), opening(0, "acc-1", ANN)))
        await connection.execute(
            "ALTER TABLE meter.batches ALTER chain_version DROP DEFAULT, ALTER waiting DROP DEFAULT"
        )
        await connection.execute(load_sql("meter", "refuse_unidentified"))
        await note_anchor(pool, anchors)
    store = PostgresEventStore(pool)
    with monkeypatch.context() as patch:
        patch.setattr("meter.store.batches.seal_rows", as_before)
        start = 1
        for account, address in (("acc-2", EVE), ("acc-3", f"x.{EVE}")):
            await store.append(plan(usage(start), opening(start, account, address), start=(start, start)))
            await note_anchor(pool, anchors)
            start += 1
        await store.append(plan(rejected("metering.usage", 3), usage(4), start=(3, 3)))
    await store.append(plan(usage(5), opening(3, "acc-4", f"y.{EVE}"), start=(5, 3)))
    await note_anchor(pool, anchors)
    return anchors


async def note_anchor(pool: Pool, anchors: Anchors) -> None:
    [row] = await pool.fetch("SELECT * FROM meter.batches ORDER BY batch DESC LIMIT 1")
    head = ShardHead(
        row["shard"], row["batch"], row["last_position"], row["hash"], row["recorded_at"], row["generation"]
    )
    anchors.append((len(anchors), render_anchor(head).value))


async def seal(pool: Pool, generation: int = 2) -> Sealed:
    return await seal_shard(pool, 0, generation, WORDING, lambda _events: None)


async def audit(pool: Pool) -> ShardReport:
    async with pool.acquire() as connection:
        return await audit_shard(connection, 0)


async def compare(pool: Pool | Executor, anchors: Anchors) -> list[Finding]:
    checked = AnchorAudit(pool)
    await checked.check(anchors)
    return checked.findings()


async def stored(pool: Pool) -> list[str]:
    return [row[0] for row in await pool.fetch("SELECT data::text FROM meter.events ORDER BY position")]


async def test_what_was_in_clear_is_sealed_and_the_log_is_whole(pool: Pool, old_log: Anchors) -> None:
    before = [data.encode() for data in await stored(pool)]
    assert find(before, ANN, EVE, NAME) == [ANN, EVE, NAME]
    assert await seal(pool) == Sealed(0, 3, 5, 2)
    assert find([data.encode() for data in await stored(pool)], ANN, EVE, NAME) == []
    report = await audit(pool)
    assert (report.findings, report.former, report.closed) == ([], 5, 0)
    assert await compare(pool, old_log) == []
    [record] = await pool.fetch("SELECT generation, batch, reason FROM meter.generations")
    assert tuple(record) == (2, 6, "old data sealed")
    assert (await seal(pool, 3)).events_sealed == 0, "nothing is left to do"
    assert await pool.fetchval("SELECT max(generation) FROM meter.shards") == 2


async def test_the_log_goes_on_and_repeats_are_known(pool: Pool, old_log: Anchors) -> None:
    await seal(pool)
    store = PostgresEventStore(pool)
    again = opening(4, "acc-9", ANN)
    assert (await store.append(plan(again, usage(6), start=(6, 4)))).stored == 4
    assert (await store.append(plan(again._replace(offset=5), start=(7, 5)))).duplicates == 1
    await note_anchor(pool, old_log)
    assert (await audit(pool)).findings == []
    assert await compare(pool, old_log) == []


async def test_who_is_forgotten_afterwards_cannot_be_opened_and_verify_counts_it(pool: Pool, old_log: Anchors) -> None:
    await seal(pool)
    forgetting = opened(4, type=FORGOTTEN_CODE, name="asked", data='{"reason":"asked"}', account_id="acc-2")
    await PostgresEventStore(pool).append(plan(forgetting, start=(6, 4)))
    report = await audit(pool)
    assert (report.findings, report.former, report.closed) == ([], 4, 1)
    assert await compare(pool, old_log) == []


async def test_of_who_was_forgotten_before_nothing_is_kept(pool: Pool, old_log: Anchors) -> None:
    forgetting = opened(4, type=FORGOTTEN_CODE, name="asked", data='{"reason":"asked"}', account_id="acc-1")
    await pool.execute(
        "INSERT INTO meter.keys (shard, account_id, made_at, forgotten_at) VALUES (0, 'acc-1', now(), now())"
    )
    await PostgresEventStore(pool).append(plan(forgetting, start=(6, 4)))
    await seal(pool)
    assert json.loads((await stored(pool))[0])["sealed"] == "forgotten"
    report = await audit(pool)
    assert (report.findings, report.former, report.closed) == ([], 5, 1)


@pytest.mark.parametrize("point", POINTS)
async def test_stopped_anywhere_nothing_or_all_is_done_and_it_goes_on(
    pool: Pool, old_log: Anchors, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    monkeypatch.setattr(fault_points, "_armed", {point: {1: "raise"}})
    monkeypatch.setattr(fault_points, "_visits", {})
    before = await stored(pool)
    with pytest.raises(InjectedError):
        await seal(pool)
    if point != "seal_after_commit":
        assert await stored(pool) == before
    assert (await audit(pool)).findings == []
    await seal(pool)
    assert find([data.encode() for data in await stored(pool)], ANN, EVE, NAME) == []
    assert (await audit(pool)).findings == []
    assert await compare(pool, old_log) == []
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute("UPDATE meter.events SET amount = 1")


async def test_a_damaged_log_is_refused_and_left_as_it_is(pool: Pool, old_log: Anchors) -> None:
    await tamper(pool, "UPDATE meter.events SET amount = amount + 1 WHERE position = 6")
    before = await stored(pool)
    with pytest.raises(RefusalError, match="damaged"):
        await seal(pool)
    assert await stored(pool) == before


async def tamper(pool: Pool, *statements: str) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await pass_triggers(connection)
        for statement in statements:
            await connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "damage"),
    [
        ("UPDATE meter.events SET amount = amount + 1 WHERE position = 6", Damage.BATCH_CHANGED),
        ("UPDATE meter.former_hashes SET hash = sha256('x') WHERE batch = 2", Damage.FORMER_CHANGED),
        ("DELETE FROM meter.former_hashes WHERE batch = 5", Damage.FORMER_CHANGED),
        ("UPDATE meter.generations SET sealed_from = sha256('x')", Damage.BATCH_CHANGED),
        (
            "DELETE FROM meter.sealed_later WHERE position = (SELECT max(position) FROM meter.sealed_later)",
            Damage.FORMER_CHANGED,
        ),
    ],
)
async def test_a_change_after_the_sealing_is_found(
    pool: Pool, old_log: Anchors, statement: str, damage: Damage
) -> None:
    await seal(pool)
    await tamper(pool, statement)
    assert damage in {finding.damage for finding in (await audit(pool)).findings}


async def test_a_history_rewritten_under_cover_of_the_sealing_is_found(pool: Pool, old_log: Anchors) -> None:
    """Somebody changes an event, and chains all of it anew as the sealing does; no anchor was published since."""
    await seal(pool)
    await tamper(pool, "UPDATE meter.events SET amount = amount + 1 WHERE position = 6")
    await rewrite(pool)
    report = await audit(pool)
    assert {finding.damage for finding in report.findings} == {Damage.FORMER_CHANGED}
    assert report.findings[0].batch == 2


async def rewrite(pool: Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await pass_triggers(connection)
        previous = bytes(32)
        for row in await connection.fetch("SELECT batch FROM meter.batches ORDER BY batch"):
            if await connection.fetchval("SELECT count(*) FROM meter.generations WHERE batch = $1", row["batch"]):
                await connection.execute("UPDATE meter.generations SET head = $1", previous)
                await connection.execute(
                    "UPDATE meter.batches SET evidence = (SELECT sha256(record_send(ROW(shard, generation, batch, "
                    "from_position, usage_offset, accounts_offset, head, usage_known, accounts_known, position_known, "
                    "begun_at, begun_by, reason, sealed_from))) FROM meter.generations) WHERE batch = $1",
                    row["batch"],
                )
            [batch] = await connection.fetch(load_sql("meter", "fetch_batches"), 0, row["batch"], row["batch"])
            new = await hash_batch(connection, 0, batch, previous)
            await connection.execute(
                "UPDATE meter.batches SET previous = $1, hash = $2 WHERE batch = $3", previous, new, row["batch"]
            )
            previous = new
        await connection.execute("UPDATE meter.shards SET head = $1", previous)


async def test_an_anchor_of_before_that_the_former_hashes_contradict_is_found(pool: Pool, old_log: Anchors) -> None:
    await seal(pool)
    [row] = await pool.fetch("SELECT * FROM meter.batches WHERE batch = 2")
    head = ShardHead(
        0, 2, row["last_position"], row["hash"], row["recorded_at"], 1
    )  # the new hash, of the old generation
    found = await compare(pool, [(0, render_anchor(head).value)])
    assert [finding.damage for finding in found] == [Damage.HISTORY_REWRITTEN]


async def test_a_tail_that_was_cut_is_not_excused_by_the_generation(pool: Pool, old_log: Anchors) -> None:
    """An anchor of the generation before, of a batch behind the sealing: nothing was lost there, so it contradicts."""
    await seal(pool)
    head = ShardHead(0, 7, 99, bytes(32), MOMENT, 1)
    found = await compare(pool, [(0, render_anchor(head).value)])
    assert [finding.damage for finding in found] == [Damage.LOG_CUT]


async def test_a_member_of_our_name_hides_nothing(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version before stored whatever a producer added to the data."""
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    with monkeypatch.context() as patch:
        patch.setattr("meter.store.batches.seal_rows", as_before)
        await PostgresEventStore(pool).append(plan(opening(0, "acc-1", ANN, sealed="forgotten"), start=(0, 0)))
    assert (await seal(pool)).events_sealed == 1
    assert find([data.encode() for data in await stored(pool)], ANN, NAME) == []
    assert (await audit(pool)).findings == []
