"""`projections republish`: the present state of every account once more, through the outbox, while the services run.

For receivers that lost what was published: a re-created topic, records removed by retention. A message follows from its
state alone, its id included, so it is the one that was published before, or one that is newer; who has it drops it.

A page is read and put into the outbox under the shard's cursor: the fold of the shard waits meanwhile, and what it
publishes later stands behind the page. How far each shard is stands in the same transaction: an interruption repeats
nothing.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from meter.runtime.log import get_logger
from meter.runtime.postgres import Executor, Pool, write_transaction
from meter.runtime.waiting import wait_for
from projections.messages import OutboxMessage, render_account, render_balance
from projections.store import PROJECTION, append_outbox, fetch_accounts, fetch_balances, sql

log = get_logger("republish")
PAGE_ACCOUNTS: Final = 500
# Messages of changes stand behind those of a republication, so it gives them no long queue.
MOST_WAITING: Final = 5_000
LOOK_S: Final = 0.5
REMIND_S: Final = 10.0
PATIENCE_S: Final = 5.0  # what waits is published, and what is stored folded, in less where nothing is wrong
EVERY_S: Final = 5.0

Report = Callable[[str], None]


class Unfinished(NamedTuple):
    shard: int
    accounts: int
    begun_at: datetime


class Republication:
    """Sends what is left of the newest republication. Several processes may share one."""

    def __init__(
        self,
        pool: Pool,
        *,
        progress: Callable[[int], None] = lambda _accounts: None,
        report: Report = lambda _line: None,
        page_accounts: int = PAGE_ACCOUNTS,
        most_waiting: int = MOST_WAITING,
        stop: asyncio.Event | None = None,
    ) -> None:
        self._pool = pool
        self._progress = progress
        self._report = report
        self._page_accounts = page_accounts
        self._most_waiting = most_waiting
        self._stop = stop or asyncio.Event()
        self._folded: set[int] = set()  # shards that are folded to the newest generation

    async def run(self) -> int:
        """The number of accounts that were put into the outbox. One shard after the other; one that has to wait for
        long, as for a partition without a leader, comes again behind the others."""
        clock = asyncio.get_running_loop().time
        left = deque(each.shard for each in await fetch_unfinished(self._pool))
        sent, waits_since, moved_at, reported_at = 0, clock(), clock(), clock()
        while left and not self._stop.is_set():
            if (what_for := await self._find_wait(left[0])) is None:
                if (accounts := await self._send_page(left[0])) is None:
                    left.popleft()
                else:
                    sent += accounts
                    self._progress(accounts)
                waits_since = moved_at = clock()
                continue
            if clock() >= max(moved_at, reported_at) + REMIND_S:
                self._report(f"shard {left[0]}: waiting for `projections run` to {what_for}")
                reported_at = clock()
            if clock() >= waits_since + PATIENCE_S:
                left.rotate(-1)
                waits_since = clock()
            await wait_for(self._stop, LOOK_S)
        return sent

    async def _send_page(self, shard: int) -> int | None:
        """None: the shard is done."""
        async with self._pool.acquire() as connection, write_transaction(connection):
            await connection.fetchval(sql("lock_cursor"), PROJECTION, shard)
            row = await connection.fetchrow(sql("lock_republication"), shard)
            if row is None:
                return None
            found = await connection.fetch(sql("find_next_accounts"), shard, row["after"], self._page_accounts)
            ids = [each["account_id"] for each in found]
            generation = await connection.fetchval(sql("fetch_generation"), shard)
            await append_outbox(connection, await render_states(connection, shard, ids, generation))
            await connection.execute(sql("advance_republication"), shard, ids[-1] if ids else None, len(ids))
        return len(ids) if ids else None

    async def _find_wait(self, shard: int) -> str | None:
        """What the shard has to wait for before its next page.

        A state from before the newest generation, sent as of it, would take back newer ones that readers have.
        """
        if shard not in self._folded:
            if await self._pool.fetchval(sql("is_before_generation"), PROJECTION, shard):
                return "fold what was stored"
            self._folded.add(shard)
        return "publish what is in the outbox" if await self._count_outbox(shard) > self._most_waiting else None

    async def _count_outbox(self, shard: int) -> int:
        return int(await self._pool.fetchval(sql("count_outbox_of_shard"), shard))


class RepublishLoop:
    """Goes on with a republication that was interrupted, or that `meter recover` asked for."""

    name = "republication"

    def __init__(self, pool: Pool, *, every_s: float = EVERY_S) -> None:
        self._pool = pool
        self._every_s = every_s

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if await fetch_unfinished(self._pool):
                accounts = await Republication(self._pool, stop=stop).run()
                log.info("accounts_republished", accounts=accounts)
            await wait_for(stop, self._every_s)


async def fetch_unfinished(pool: Pool) -> list[Unfinished]:
    return [Unfinished(*row) for row in await pool.fetch(sql("fetch_unfinished"))]


async def begin(pool: Pool, topic_id: str | None = None) -> None:
    """Begin with every shard anew; with `topic_id`, to another topic than before."""
    async with pool.acquire() as connection, write_transaction(connection):
        if topic_id is not None:
            await connection.execute(sql("replace_topic"), topic_id)
        await connection.execute(sql("begin_republication"))


async def count_republished(pool: Pool) -> int:
    """Accounts that are in the outbox by now, those that `projections run` put there beside the command included."""
    return int(await pool.fetchval(sql("count_republished")))


async def count_accounts(pool: Pool) -> int:
    """Accounts that are to be sent, those of shards that were begun included."""
    left = await fetch_unfinished(pool)
    total = await pool.fetchval(sql("count_opened"), [each.shard for each in left])
    return max(0, int(total) - sum(each.accounts for each in left))


async def render_states(connection: Executor, shard: int, ids: Sequence[str], generation: int) -> list[OutboxMessage]:
    """Of each account, then of its balances that ever had an epoch: no others are published."""
    accounts = await fetch_accounts(connection, ids, [shard])
    messages = [render_account(accounts[name], generation) for name in ids]
    states = await fetch_balances(connection, ids, [shard])
    return messages + [render_balance(state, generation) for _key, state in sorted(states.items()) if state.epoch > 0]
