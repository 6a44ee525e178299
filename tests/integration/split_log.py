"""A log of twelve accounts in two shards, for tests of `meter split`."""

from uuid import uuid4

from meter.recover import Begun, Outside
from meter.runtime.postgres import Pool
from meter.setup import insert_rows
from meter.split import check_sent, move_accounts, plan_moves
from meter.store.audit import audit_shard, list_shards
from meter.store.damage import Damage
from meter.store.events import PostgresEventStore
from schemas.records import Accepted
from schemas.topics import partition_for
from tests.contract.rows import MOMENT, opened, plan, reversal, usage
from tests.support.old_chain import append_old

BEFORE = 2
ACCOUNTS = [f"acct-{number}" for number in range(12)]
Log = dict[str, list[Accepted]]  # usage by account, as it was sent
WHERE = "SELECT shard FROM meter.events WHERE account_id = $1 GROUP BY shard"
FOLDED = "UPDATE projections.cursors c SET position = s.next_position - 1 FROM meter.shards s WHERE s.shard = c.shard"


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


async def begin_log(pool: Pool) -> Batches:
    async with pool.acquire() as connection:
        await insert_rows(connection, BEFORE)
    return Batches(pool, BEFORE)


async def reverse(batches: Batches, account: str) -> None:
    """What the account used before it moved."""
    shard, pool = shard_of(account, batches.shards), batches.pool
    start = await find_offsets(pool, shard)
    event = reversal(start[1], 1, batches.sent[account][0].event_id, account_id=account)
    assert (await PostgresEventStore(pool).append(plan(event, shard=shard, start=start))).stored == 1
    batches.offsets[shard] = await find_offsets(pool, shard)


async def find_offsets(pool: Pool, shard: int) -> tuple[int, int]:
    [at] = await pool.fetch("SELECT usage_offset, accounts_offset FROM meter.shards WHERE shard = $1", shard)
    return at["usage_offset"], at["accounts_offset"]
