"""The event store in Postgres: one transaction per batch of a shard, its offsets beside the events they produced.

Small batches of several shards share one. What happens inside the transaction is in `batches.py` and `together.py`;
what is sent as one statement is in `at_once.py`.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import asyncpg

from meter.plan import AppendPlan
from meter.runtime.errors import OwnershipLostError
from meter.runtime.fault_points import fault_point
from meter.runtime.postgres import Executor, Pool, is_of_citus, note_failure, takes_one_shard, write_transaction
from meter.runtime.postgres.failures import has_no_room
from meter.store.at_once import append_at_once, are_small
from meter.store.batches import REFUSED, append_batch, copy_accepted_rows, copy_rows, is_of_identity, sql
from meter.store.port import Appended, Head
from meter.store.together import append_batches
from schemas.topics import ACCOUNTS, USAGE

T = TypeVar("T")


class PostgresEventStore:
    def __init__(self, pool: Pool, *, acquire_timeout_s: float = 30) -> None:
        self._pool = pool
        self._acquire_timeout_s = acquire_timeout_s
        self._heads: dict[int, Head] = {}  # by shard, where the last batch from here left the log

    async def fetch_offsets(self, topics: Sequence[str], shards: Sequence[int]) -> Mapping[tuple[str, int], int]:
        rows = await self._pool.fetch(sql("fetch_offsets"), list(shards))
        columns = {USAGE: "usage_offset", ACCOUNTS: "accounts_offset"}
        return {(topic, row["shard"]): row[columns[topic]] for row in rows for topic in topics}

    async def append(self, plan: AppendPlan) -> Appended:
        try:
            appended = await self._append_at_once([plan]) or [await self._append(plan)]
        except Exception as error:
            await note_failure(self._pool, error)
            raise
        self._keep_heads(appended)
        return appended[0]

    async def _append(self, plan: AppendPlan) -> Appended:
        try:
            appended = await self._transact(lambda connection: append_batch(connection, plan, copy_rows))
        except REFUSED as error:
            if has_no_room(error) or (isinstance(error, asyncpg.UniqueViolationError) and not is_of_identity(error)):
                raise
            appended = await self._transact(lambda connection: append_batch(connection, plan, copy_accepted_rows))
        return appended

    async def append_together(self, plans: Sequence[AppendPlan]) -> list[Appended] | None:
        try:
            if await takes_one_shard(self._pool):
                return None
            appended = await self._append_at_once(plans)
            if appended is None:
                appended = await self._transact(lambda connection: append_batches(connection, plans))
        except (OwnershipLostError, *REFUSED):
            return None
        except Exception as error:
            await note_failure(self._pool, error)
            raise
        self._keep_heads(appended)
        return appended

    async def _append_at_once(self, plans: Sequence[AppendPlan]) -> list[Appended] | None:
        """None: nothing is written, and the batches go the usual way, which also finds out why."""
        heads = [self._heads.pop(plan.shard, None) for plan in plans]
        known = [head for head in heads if head is not None and not head.has_old]
        if len(known) < len(plans) or not are_small(plans):
            return None
        try:
            async with self._pool.acquire(timeout=self._acquire_timeout_s) as connection:
                if is_of_citus(connection):
                    return None
                await fault_point("before_commit")
                appended = await append_at_once(connection, plans, known)
        except REFUSED:
            return None
        if appended is not None:
            await fault_point("after_commit")
        return appended

    def _keep_heads(self, appended: Iterable[Appended]) -> None:
        self._heads |= {done.shard: done.head for done in appended if done.head is not None}

    async def _transact(self, append: Callable[[Executor], Awaitable[T]]) -> T:
        async with self._pool.acquire(timeout=self._acquire_timeout_s) as connection, write_transaction(connection):
            appended = await append(connection)
            await fault_point("before_commit")
        await fault_point("after_commit")
        return appended
