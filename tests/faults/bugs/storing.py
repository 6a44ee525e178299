"""Bugs of a writer: no fence, offsets apart from their data, clashes swallowed, commits repeated blindly."""

from collections.abc import Sequence
from dataclasses import replace as changed
from typing import Any

from meter import ingest
from meter.content import Content, content_of
from meter.plan import AppendPlan, Offsets
from meter.runtime.failures import is_transient
from meter.runtime.fault_points import fault_point
from meter.settle import settle
from meter.store import batches, together
from meter.store.events import PostgresEventStore
from meter.store.port import Appended, Head
from tests.faults.bugs.bug import FEW, Bug, replace
from tests.faults.schedule import Focus

TWO_OUTCOMES = frozenset({"offset with two outcomes", "broken chain"})
LOSSES = frozenset({"event not stored", "offset without an outcome", "offset with the wrong outcome"})
UNFENCED = """
UPDATE meter.shards SET usage_offset = $2, accounts_offset = $3 WHERE shard = $1
RETURNING next_position, next_batch, head, false, generation
"""


LOCKED = """
SELECT next_position, next_batch, head, false, generation FROM meter.shards WHERE shard = $1 FOR UPDATE
"""


async def not_this_way(_self: Any, _plans: Any) -> None:
    return None


def singly() -> None:
    """Each batch in a transaction of its own, which is where the bugs below are put in."""
    replace(PostgresEventStore, "append_together", not_this_way)
    replace(PostgresEventStore, "_append_at_once", not_this_way)


async def advance_unfenced(connection: Any, plan: AppendPlan) -> Head:
    return Head(*await connection.fetchrow(UNFENCED, plan.shard, *plan.following))


def no_compare_and_set() -> None:
    singly()
    replace(batches, "advance_shard", advance_unfenced)


def no_fence_together() -> None:
    """Of several small batches in one transaction; each alone has its fence."""

    async def advance(connection: Any, plans: Sequence[AppendPlan]) -> dict[int, Head]:
        return {plan.shard: await advance_unfenced(connection, plan) for plan in plans}

    replace(together, "advance_shards", advance)
    replace(PostgresEventStore, "_append_at_once", not_this_way)


def offset_before_rows() -> None:
    singly()

    async def append(self: Any, plan: AppendPlan) -> Appended:
        async with self._pool.acquire() as connection:
            await batches.advance_shard(connection, plan)
        await fault_point("after_compare_and_set")
        async with self._pool.acquire() as connection, connection.transaction():
            head = Head(*await connection.fetchrow(LOCKED, plan.shard))
            known = await batches.find_known(connection, plan, head)
            plan, rows = await batches.copy_rows(connection, plan, known, head)
            evidence = await batches.append_evidence(connection, plan)
            appended = await batches.seal_batch(connection, plan, head, rows, evidence)
            await fault_point("before_commit")
        return appended

    replace(PostgresEventStore, "_append", append)


def untargeted_conflict() -> None:
    """Positions counted in memory, and ON CONFLICT DO NOTHING to be on the safe side."""
    singly()
    next_positions: dict[int, int] = {}
    advance, seal = batches.advance_shard, batches.seal_batch

    async def advance_remembering(connection: Any, plan: AppendPlan) -> Head:
        head = await advance(connection, plan)
        return head._replace(next_position=next_positions.get(plan.shard, head.next_position))

    async def seal_remembering(connection: Any, plan: AppendPlan, *rest: Any) -> Any:
        appended = await seal(connection, plan, *rest)
        next_positions[plan.shard] = appended.last_position + 1
        return appended

    async def copy_and_insert(connection: Any, rows: Any) -> None:
        await connection.execute("CREATE TEMP TABLE incoming (LIKE meter.events) ON COMMIT DROP")
        await connection.copy_to_table("incoming", source=memoryview(rows), format="binary")
        await connection.execute("INSERT INTO meter.events SELECT * FROM incoming ON CONFLICT DO NOTHING")

    replace(batches, "advance_shard", advance_remembering)
    replace(batches, "seal_batch", seal_remembering)
    replace(batches, "copy_to_events", copy_and_insert)


def blind_commit_retry() -> None:
    """The connection died during COMMIT: do it again, whatever became of the first time."""
    singly()

    async def append(self: Any, plan: AppendPlan) -> Any:
        try:
            return await self._append(plan)
        except Exception as error:
            if not is_transient(error):
                raise
        fence = replace(batches, "advance_shard", advance_unfenced)
        try:
            return await self._append(plan)
        finally:
            replace(batches, "advance_shard", fence)

    replace(PostgresEventStore, "append", append)


def claimed_before_write() -> None:
    """Ids of events are claimed when they are seen, not when they are stored."""
    claimed: dict[bytes, Content] = {}
    plan_batch = ingest.Ingest.plan_batch

    def plan(self: Any, batch: Any) -> AppendPlan:
        planned = plan_batch(self, batch)
        known = {row.key: claimed[row.key] for row in planned.rows if row.key in claimed}
        claimed.update({row.key: content_of(row) for row in planned.rows})
        return settle(planned, known)

    replace(ingest.Ingest, "plan_batch", plan)


def one_bad_record_drops_the_batch() -> None:
    """A batch with a record that breaks the contract is thrown away, so that the service can go on."""
    plan_batch = ingest.Ingest.plan_batch

    def plan(self: Any, batch: Any) -> AppendPlan:
        planned = plan_batch(self, batch)
        return changed(planned, rows=(), corrections=(), derived=frozenset()) if planned.rejections else planned

    replace(ingest.Ingest, "plan_batch", plan)


def usage_offset_alone() -> None:
    """The offset of the second topic is not part of the transaction: it is written afterwards."""
    singly()
    advance = batches.advance_shard

    async def advance_usage(connection: Any, plan: AppendPlan) -> Head:
        accounts = plan.expected.accounts
        return await advance(connection, changed(plan, following=Offsets(plan.following.usage, accounts)))

    append = PostgresEventStore.append

    async def append_and_follow(self: Any, plan: AppendPlan) -> Any:
        appended = await append(self, plan)
        async with self._pool.acquire() as connection:
            await connection.execute(
                "UPDATE meter.shards SET accounts_offset = $2 WHERE shard = $1", plan.shard, plan.following.accounts
            )
        return appended

    replace(batches, "advance_shard", advance_usage)
    replace(PostgresEventStore, "append", append_and_follow)


ZOMBIES = Focus({"point_stop": 5, "kill": 2, "pause": 3}, services=("meter",), fault_points=("after_fetch",), long=1.0)
FAILING_COMMITS = Focus(
    {"swallow_commit": 6, "terminate_backends": 2, "reset": 1}, services=("meter",), links=("meter",)
)

BUGS = (
    Bug(
        name="no_compare_and_set",
        service="meter",
        says="a writer that lost its shard writes all the same",
        switch_on=no_compare_and_set,
        signs=TWO_OUTCOMES,
        focus=ZOMBIES,
        round_s=25.0,
        twins=True,
        shares=FEW,
    ),
    Bug(
        name="no_fence_together",
        service="meter",
        says="small batches in one transaction are written whoever has their shards",
        switch_on=no_fence_together,
        signs=TWO_OUTCOMES,
        focus=ZOMBIES,
        round_s=25.0,
        twins=True,
        shares=FEW,
    ),
    Bug(
        name="offset_before_rows",
        service="meter",
        says="the offset is committed before the rows",
        switch_on=offset_before_rows,
        signs=LOSSES,
        focus=Focus({"point_kill": 4, "kill": 2}, services=("meter",), fault_points=("after_compare_and_set",)),
    ),
    Bug(
        name="untargeted_conflict",
        service="meter",
        says="ON CONFLICT DO NOTHING without a target swallows position clashes",
        switch_on=untargeted_conflict,
        signs=LOSSES,
        focus=Focus({"join": 3, "pause": 3, "swallow_commit": 3}, services=("meter",), long=0.6),
    ),
    Bug(
        name="blind_commit_retry",
        service="meter",
        says="a COMMIT without a reply is done again",
        switch_on=blind_commit_retry,
        signs=TWO_OUTCOMES,
        focus=FAILING_COMMITS,
        shares=FEW,
    ),
    Bug(
        name="claimed_before_write",
        service="meter",
        says="an id counts as known before its event is stored",
        switch_on=claimed_before_write,
        signs=LOSSES,
        focus=Focus({"terminate_backends": 4, "reset": 2, "lose_commit": 3}, services=("meter",), links=("meter",)),
    ),
    Bug(
        name="one_bad_record_drops_the_batch",
        service="meter",
        says="what cannot be decoded takes its batch along",
        switch_on=one_bad_record_drops_the_batch,
        signs=LOSSES,
        focus=Focus({"kill": 1}, services=("meter",)),
    ),
    Bug(
        name="usage_offset_alone",
        service="meter",
        says="the second topic's offset is stored apart from its events",
        switch_on=usage_offset_alone,
        signs=TWO_OUTCOMES,
        focus=Focus({"point_kill": 4, "kill": 1}, services=("meter",), fault_points=("after_commit",)),
        shares=FEW,
    ),
)
