"""Bugs of a projection: a cursor apart from its data, an outbox that forgets too early, peaks hidden in a batch."""

import asyncio
from typing import Any

from meter.runtime.fault_points import fault_point
from meter.runtime.kafka.acks import note_seen
from meter.runtime.kafka.producer import Landed, Producer
from meter.runtime.outbox import OutboxRelay
from meter.runtime.postgres import load_sql
from projections import fold as folding
from projections import plan as planning
from projections import store
from projections.plan import FoldPlan
from projections.store import FoldStore
from tests.faults.bugs.bug import Bug, current, replace
from tests.faults.oracle.published import PERCENT_WRONG
from tests.faults.schedule import Focus
from tests.faults.world import Shares

WRONG_SUMS = frozenset({"usage by day that is not the sum of its events", "balance that is not the sum of its events"})
UNTOLD = frozenset(
    {
        "balance known wrongly to the notifier",
        "balance never told to the notifier",
        "banner that is not true",
        "notice missing",
    }
)


def cursor_after_commit() -> None:
    """The cursor is moved in a transaction of its own, after the one that folded."""

    text = store.sql("add_usage").replace("SET position = r.upto", "SET position = c.position")
    sql, fold = store.sql, FoldStore.fold

    async def fold_and_advance(self: Any, plan: Any) -> FoldPlan | None:
        planned = await fold(self, plan)
        if planned is not None:
            shards, positions = [r.shard for r in planned.ranges], [r.upto for r in planned.ranges]
            await self._pool.execute(store.sql("advance_cursors"), store.PROJECTION, shards, positions)
        return planned

    replace(store, "sql", lambda name: text if name == "add_usage" else sql(name))
    replace(FoldStore, "fold", fold_and_advance)


def outbox_deleted_before_publish() -> None:
    async def relay(self: Any) -> int:
        async with self._pool.acquire() as connection, connection.transaction():
            locked = await connection.fetch(load_sql(self._schema, "lock_outbox_shards"), None, [])
            shards = [row["shard"] for row in locked]
            if not shards:
                return 0
            rows = await connection.fetch(load_sql(self._schema, "fetch_outbox"), shards, self._batch)
            places = [row["shard"] for row in rows], [row["id"] for row in rows]
            await connection.execute(load_sql(self._schema, "delete_outbox"), *places)
        await fault_point("outbox_before_publish")
        messages = [self._read(row) for row in rows]
        await self._producer.publish(messages)
        self._note(shards, messages)
        return len(rows)

    replace(OutboxRelay, "relay", relay)


def outbox_without_acks() -> None:
    """Handed to the client counts as published."""

    async def publish_each(self: Any, messages: Any) -> list[Landed]:
        for m in messages:
            ack = await self.send(m.topic, m.key, m.value, partition=m.partition, headers=m.headers)
            ack.add_done_callback(note_seen)
        await asyncio.sleep(0)
        return [Landed(0, -1) for _ in messages]

    replace(Producer, "publish_each", publish_each)


def told_per_batch() -> None:
    """Only the state at the end of a batch is told: a peak inside it, before a grant or a reversal, is never seen."""
    fold = current(planning, "fold")

    def fold_and_tell_last(state: Any, steps: Any, keep: Any) -> Any:
        after, told = fold(state, steps, keep)
        return after, told and [after]

    replace(planning, "fold", fold_and_tell_last)


def folded_without_lock() -> None:
    """Two workers fold the same events: the cursor is read, not locked."""
    text = store.sql("claim_shards").replace("FOR UPDATE OF c SKIP LOCKED", "")
    sql = store.sql

    def sql_without_lock(name: str) -> str:
        return text if name == "claim_shards" else sql(name)

    replace(store, "sql", sql_without_lock)


def percent_rounded_up() -> None:
    """What is nearly used up is told as used up: 74.999 of 75 as 100 %, while it is allowed."""

    def round_up(consumed: int, allocation: int) -> int:
        return -(-consumed * 100 // allocation) if allocation > 0 else (100 if consumed >= allocation else 0)

    replace(folding, "percent_of", round_up)


BUGS = (
    Bug(
        name="cursor_after_commit",
        service="projections",
        says="the cursor moves after the commit of what it covers",
        switch_on=cursor_after_commit,
        signs=WRONG_SUMS,
        focus=Focus(
            {"point_kill": 4, "kill": 2, "terminate_backends": 2},
            services=("projections",),
            fault_points=("after_commit",),
        ),
    ),
    Bug(
        name="folded_without_lock",
        service="projections",
        says="the cursor is read without a lock",
        switch_on=folded_without_lock,
        signs=WRONG_SUMS,
        focus=Focus({"pause": 3, "kill": 1}, services=("projections",), long=0.0),
        twins=True,
    ),
    Bug(
        name="outbox_deleted_before_publish",
        service="projections",
        says="the outbox forgets what it has not yet published",
        switch_on=outbox_deleted_before_publish,
        signs=UNTOLD,
        focus=Focus({"point_kill": 4, "kill": 1}, services=("projections",), fault_points=("outbox_before_publish",)),
    ),
    Bug(
        name="outbox_without_acks",
        service="projections",
        says="the outbox does not wait for the broker's word",
        switch_on=outbox_without_acks,
        signs=UNTOLD,
        focus=Focus({"strand": 1}, services=("projections",)),
        # A process needs time to start and to have something under way, or there is nothing to lose.
        mean_pause_s=6.0,
        # Many, so that most of those that lose a balance have no next one in the round to make up for it.
        accounts=600,
    ),
    Bug(
        name="told_per_batch",
        service="projections",
        says="thresholds are looked at once per batch",
        switch_on=told_per_batch,
        signs=frozenset({"notice missing"}),
        focus=Focus({"pause": 2, "kill": 2}, services=("projections",), long=0.5),
        mean_pause_s=2.0,
        shares=Shares(grants=0.03, reversals=0.05),
    ),
    Bug(
        name="percent_rounded_up",
        service="projections",
        says="99.999 % is told as 100 % while more is allowed",
        switch_on=percent_rounded_up,
        signs=frozenset({PERCENT_WRONG}),
        focus=Focus({"kill": 1}, services=("projections",)),
        mean_pause_s=4.0,
    ),
)
