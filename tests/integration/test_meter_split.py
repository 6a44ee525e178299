"""`meter split` on logs of every age: chains hold, repeats are known, changes are found; it is done wholly or not."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from meter.recover import Begun, Outside
from meter.runtime import fault_points
from meter.runtime.errors import RefusalError
from meter.runtime.fault_points import InjectedError
from meter.runtime.postgres import Pool, load_sql
from meter.setup import insert_rows
from meter.split import check_sent, move_accounts, plan_moves
from meter.store.audit import audit_shard, list_shards
from meter.store.damage import Damage
from meter.store.events import PostgresEventStore
from meter.store.rechain import Wording, seal_shard
from schemas.records import Accepted
from schemas.topics import partition_for
from tests.contract.rows import MOMENT, opened, plan, reversal, usage
from tests.support.damaging import pass_triggers
from tests.support.old_chain import append_old

pytestmark = pytest.mark.not_on_citus("`meter split` refuses there")

BEFORE = 2
ACCOUNTS = [f"acct-{number}" for number in range(12)]
Log = dict[str, list[Accepted]]  # usage by account, as it was sent
WHERE = "SELECT shard FROM meter.events WHERE account_id = $1 GROUP BY shard"
FOLDED = "UPDATE projections.cursors c SET position = s.next_position - 1 FROM meter.shards s WHERE s.shard = c.shard"
POINTS = ("split_accounts_moved", "split_before_commit", "split_after_commit")


def shard_of(account: str, shards: int) -> int:
    return partition_for(account.encode(), shards)


class Batches:
    """Appends to shards, each where it stands."""

    def __init__(self, pool: Pool, shards: int) -> None:
        self.pool, self.shards = pool, shards
        self.sent: Log = {account: [] for account in ACCOUNTS}
        self.offsets: dict[int, tuple[int, int]] = {}  # of usage and accounts, where the shard goes on

    async def write(self, *, old: bool = False, opening: bool = False, again: bool = False) -> tuple[int, int]:
        """Usage of every account, with its opening before or what it sent first once more behind. Stored, repeated."""
        stored = duplicates = 0
        for shard in range(self.shards):
            done = await self._write_shard(shard, old=old, opening=opening, again=again)
            stored, duplicates = stored + done[0], duplicates + done[1]
        return stored, duplicates

    async def _write_shard(self, shard: int, *, old: bool, opening: bool, again: bool) -> tuple[int, int]:
        used, changed = start = self.offsets.get(shard, (0, 0))
        events = []
        for account in ACCOUNTS:
            if shard_of(account, self.shards) != shard:
                continue
            if opening:
                events.append(opened(changed, account_id=account, event_id=str(uuid4())))
                changed += 1
            new = [usage(used, account_id=account)]
            if again:
                new.append(self.sent[account][0]._replace(offset=used + 1))
            self.sent[account].append(new[0])
            used += len(new)
            events += new
        self.offsets[shard] = used, changed
        made = plan(*events, shard=shard, start=start, end=(used, changed))
        if old:
            async with self.pool.acquire() as connection:
                await append_old(connection, made)
            return len(made.rows), 0
        done = await PostgresEventStore(self.pool).append(made)
        return done.stored, done.duplicates

    async def split(self, shards: int) -> list[Begun]:
        """As the command does behind its questions to Kafka."""
        await self.pool.execute(FOLDED)
        await check_sent(self.pool, self.shards)
        planned = await plan_moves(self.pool, self.shards, shards)
        begun = await move_accounts(
            self.pool, planned, self.shards, shards, Outside(), MOMENT, by="tester", reason="more accounts"
        )
        self.shards = shards
        return begun

    async def check(self) -> None:
        """Chains, positions and links hold, and everybody is where producers will look."""
        assert await self.findings() == set()
        for account in ACCOUNTS:
            found = [row["shard"] for row in await self.pool.fetch(WHERE, account)]
            assert found == [shard_of(account, self.shards)], account

    async def findings(self) -> set[Damage]:
        async with self.pool.acquire() as connection:
            assert len(await list_shards(connection)) == self.shards
            reports = [await audit_shard(connection, shard) for shard in range(self.shards)]
        return {finding.damage for report in reports for finding in report.findings}


@pytest.fixture
async def batches(pool: Pool) -> Batches:
    async with pool.acquire() as connection:
        await insert_rows(connection, BEFORE)
    return Batches(pool, BEFORE)


async def write_old(batches: Batches) -> None:
    """Batches of version 2, from before events had a key."""
    pool = batches.pool
    await pool.execute(load_sql("meter", "allow_unidentified"))
    await pool.execute("ALTER TABLE meter.batches ALTER chain_version SET DEFAULT 2, ALTER waiting SET DEFAULT 0")
    await batches.write(old=True, opening=True)
    await batches.write(old=True)
    await pool.execute("ALTER TABLE meter.batches ALTER chain_version DROP DEFAULT, ALTER waiting DROP DEFAULT")
    await pool.execute(load_sql("meter", "refuse_unidentified"))


async def tamper(pool: Pool, statement: str, *values: Any) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await pass_triggers(connection)
        assert await connection.execute(statement, *values) != "UPDATE 0"


async def test_a_log_of_version_2_is_split_and_repeats_of_it_are_known(batches: Batches) -> None:
    await write_old(batches)
    await batches.write()
    await batches.split(2 * BEFORE)
    await batches.check()
    assert await batches.write(again=True) == (len(ACCOUNTS), len(ACCOUNTS)), "old events have no key, and come again"
    await batches.check()
    with pytest.raises(asyncpg.CheckViolationError, match="events_identified"):
        await batches.pool.execute("INSERT INTO meter.events SELECT * FROM meter.events WHERE event_key IS NULL")


@pytest.mark.parametrize("old", [False, True])
async def test_a_split_after_a_split(batches: Batches, old: bool) -> None:
    """Accounts that moved move on: their events are in batches of two other shards."""
    await (write_old(batches) if old else batches.write(opening=True))
    for shards in (2 * BEFORE, 6 * BEFORE):
        begun = await batches.split(shards)
        assert {each.shard for each in begun} == set(range(shards))
        await batches.check()
        assert await batches.write(again=True) == (len(ACCOUNTS), len(ACCOUNTS))
        await batches.check()
    moved = [account for account in ACCOUNTS if len(places_of(account)) == 3]
    assert moved, "some account was in three shards"
    await reverse(batches, moved[0])
    await batches.check()


def places_of(account: str) -> set[int]:
    return {shard_of(account, shards) for shards in (BEFORE, 2 * BEFORE, 6 * BEFORE)}


async def reverse(batches: Batches, account: str) -> None:
    """What the account used before it moved."""
    shard, pool = shard_of(account, batches.shards), batches.pool
    [at] = await pool.fetch("SELECT usage_offset, accounts_offset FROM meter.shards WHERE shard = $1", shard)
    start = (at["usage_offset"], at["accounts_offset"])
    event = reversal(start[1], 1, batches.sent[account][0].event_id, account_id=account)
    assert (await PostgresEventStore(pool).append(plan(event, shard=shard, start=start))).stored == 1


@pytest.mark.parametrize("number", [0, 1])
async def test_a_change_of_what_moved_is_found(batches: Batches, number: int) -> None:
    """Of an event from before the first split, and of one from between the two."""
    await batches.write(opening=True)
    await batches.split(2 * BEFORE)
    await batches.write()
    await batches.split(6 * BEFORE)
    account = next(account for account in ACCOUNTS if len(places_of(account)) == 3)
    changed = batches.sent[account][number]
    await tamper(batches.pool, "UPDATE meter.events SET amount = amount + 1 WHERE id = $1 OR event_key = $2",
                 changed.event_id, changed.key)  # fmt: skip
    assert await batches.findings() == {Damage.BATCH_CHANGED}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE meter.moved SET upto = upto - 1 WHERE shard = 3",
        "UPDATE meter.moved SET origin = 0 WHERE shard = 3",
        "DELETE FROM meter.moved WHERE shard = 3",
    ],
)
async def test_a_change_of_where_accounts_came_from_is_found(batches: Batches, statement: str) -> None:
    await batches.write(opening=True)
    await batches.split(2 * BEFORE)
    await batches.write()
    await tamper(batches.pool, statement)
    assert await batches.findings()


@pytest.mark.parametrize("point", POINTS)
async def test_stopped_anywhere_nothing_or_all_is_done_and_it_goes_on(
    batches: Batches, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    await write_old(batches)
    monkeypatch.setattr(fault_points, "_armed", {point: {1: "raise"}})
    monkeypatch.setattr(fault_points, "_visits", {})
    with pytest.raises(InjectedError):
        await batches.split(2 * BEFORE)
    if point == "split_after_commit":
        batches.shards = 2 * BEFORE
    else:
        await batches.check()
        await batches.split(2 * BEFORE)
    await batches.check()
    assert await batches.write(again=True) == (len(ACCOUNTS), len(ACCOUNTS))
    assert await disabled_triggers(batches.pool) == []


async def test_events_that_are_in_no_balance_yet_are_waited_for(batches: Batches) -> None:
    """Behind the cursor positions of accounts that moved would be holes, at which the fold stops for good."""
    await batches.write(opening=True)
    with pytest.raises(RefusalError, match="in no balance yet: 48 events"):
        await check_sent(batches.pool, BEFORE)
    await batches.split(2 * BEFORE)
    await batches.check()


async def disabled_triggers(pool: Pool) -> Sequence[str]:
    rows = await pool.fetch("SELECT tgname FROM pg_trigger WHERE tgenabled = 'D'")
    return [row["tgname"] for row in rows]


async def test_a_log_that_was_chained_anew_is_refused_and_left_as_it_is(batches: Batches) -> None:
    await write_old(batches)
    await seal_shard(batches.pool, 0, 2, Wording(MOMENT, "tester", "old data sealed"), lambda _events: None)
    with pytest.raises(RefusalError, match="cannot be split yet"):
        await batches.split(2 * BEFORE)
    await batches.check()
