"""The event store in Postgres: one transaction per batch of a shard, its offsets beside the events they produced.

The order inside the transaction is the point: the compare-and-set on the shard's offsets comes first, so a writer that
lost the shard changes nothing, and everything after it happens under the shard's row lock.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg

from meter.plan import AppendPlan, Place, without_known, without_unstorable
from meter.runtime.errors import OwnershipLostError
from meter.runtime.fault_points import fault_point
from meter.runtime.postgres import Executor, Pool, load_sql, note_failure
from meter.store.bisect import Fault, Refusal, find_refused
from meter.store.evidence import duplicate_columns, gap_columns, rejection_columns
from meter.store.layout import (
    EVENT_COLUMNS,
    BatchHeader,
    UnstorableError,
    chain_hash,
    encode_rows,
    join_streams,
    rows_of,
)
from meter.store.port import Appended
from schemas.topics import ACCOUNTS, USAGE

EVENT_ID_CONSTRAINT = "events_event_id"

# The data's fault, not the server's: the batch is tried again with the culprits left out.
UNSTORABLE = (
    asyncpg.DataError,
    asyncpg.CheckViolationError,
    asyncpg.NotNullViolationError,
    asyncpg.ProgramLimitExceededError,
    UnstorableError,
)
REFUSED = (*UNSTORABLE, asyncpg.UniqueViolationError)


class Head(NamedTuple):
    """Where a shard's log stands."""

    next_position: int
    next_batch: int
    hash: bytes


# Takes the rows in; returns the plan as it was carried out, and the COPY stream.
Writer = Callable[[Executor, AppendPlan, Head], Awaitable[tuple[AppendPlan, bytes]]]


class PostgresEventStore:
    def __init__(self, pool: Pool, *, acquire_timeout_s: float = 30) -> None:
        self._pool = pool
        self._acquire_timeout_s = acquire_timeout_s

    async def fetch_offsets(self, topics: Sequence[str], shards: Sequence[int]) -> Mapping[tuple[str, int], int]:
        rows = await self._pool.fetch(sql("fetch_offsets"), list(shards))
        columns = {USAGE: "usage_offset", ACCOUNTS: "accounts_offset"}
        return {(topic, row["shard"]): row[columns[topic]] for row in rows for topic in topics}

    async def append(self, plan: AppendPlan) -> Appended:
        try:
            return await self._append(plan)
        except Exception as error:
            await note_failure(self._pool, error)
            raise

    async def _append(self, plan: AppendPlan) -> Appended:
        try:
            return await self._transact(plan, copy_rows)
        except REFUSED as error:
            if isinstance(error, asyncpg.UniqueViolationError) and error.constraint_name != EVENT_ID_CONSTRAINT:
                raise  # a position that is taken: the log is damaged, nothing may hide it
            return await self._transact(plan, copy_accepted_rows)

    async def _transact(self, plan: AppendPlan, write: Writer) -> Appended:
        async with self._pool.acquire(timeout=self._acquire_timeout_s) as connection, connection.transaction():
            head = await advance_shard(connection, plan)
            await fault_point("after_compare_and_set")
            plan = without_known(plan, await find_known_ids(connection, plan))
            plan, stream = await write(connection, plan, head)
            evidence = await append_evidence(connection, plan)
            appended = await seal_batch(connection, plan, head, stream, evidence)
            await fault_point("before_commit")
        await fault_point("after_commit")
        return appended

    async def append_together(self, plans: Sequence[AppendPlan]) -> list[Appended] | None:
        try:
            return await self._transact_together(plans)
        except (OwnershipLostError, *REFUSED):
            return None
        except Exception as error:
            await note_failure(self._pool, error)
            raise

    async def _transact_together(self, plans: Sequence[AppendPlan]) -> list[Appended]:
        async with self._pool.acquire(timeout=self._acquire_timeout_s) as connection, connection.transaction():
            heads = await advance_shards(connection, plans)
            await fault_point("after_compare_and_set")
            known = await find_known_ids_of(connection, plans)
            plans = [without_known(plan, known.get(plan.shard, ())) for plan in plans]
            streams = [encode_rows(p.rows, p.shard, heads[p.shard].next_position, p.recorded_at) for p in plans]
            await fault_point("in_copy")
            await copy_to_events(connection, join_streams(streams))
            evidence = [await append_evidence(connection, plan) for plan in plans]
            appended = await seal_batches(connection, plans, heads, streams, evidence)
            await fault_point("before_commit")
        await fault_point("after_commit")
        return appended


async def advance_shard(connection: Executor, plan: AppendPlan) -> Head:
    row = await connection.fetchrow(sql("advance_shard"), plan.shard, *plan.expected, *plan.following)
    if row is None:
        raise OwnershipLostError(
            f"shard {plan.shard} no longer expects offsets {plan.expected.usage} (usage) and "
            f"{plan.expected.accounts} (accounts)",
            dependency="postgres",
        )
    return Head(*row)


async def advance_shards(connection: Executor, plans: Sequence[AppendPlan]) -> dict[int, Head]:
    """Heads by shard. Raises OwnershipLostError where one is lost, or locked by another: nobody waits for it here."""
    columns = [list(column) for column in zip(*((p.shard, *p.expected, *p.following) for p in plans), strict=True)]
    rows = await connection.fetch(sql("advance_shards"), *columns)
    if len(rows) < len(plans):
        raise OwnershipLostError("not every shard expects these offsets, or one is locked", dependency="postgres")
    return {shard: Head(*head) for shard, *head in rows}


async def find_known_ids(connection: Executor, plan: AppendPlan) -> set[str]:
    known = await find_known_ids_of(connection, [plan])
    return known.get(plan.shard, set())


async def find_known_ids_of(connection: Executor, plans: Sequence[AppendPlan]) -> dict[int, set[str]]:
    """Known ids by shard."""
    ids = ",".join(event_id for plan in plans for event_id in plan.ids())
    if not ids:
        return {}
    known: dict[int, set[str]] = {}
    for shard, event_id in await connection.fetch(sql("find_known_ids"), [p.shard for p in plans], "{" + ids + "}"):
        known.setdefault(shard, set()).add(str(event_id))
    return known


async def copy_rows(connection: Executor, plan: AppendPlan, head: Head) -> tuple[AppendPlan, bytes]:
    """The usual way: every row is good."""
    stream = encode_rows(plan.rows, plan.shard, head.next_position, plan.recorded_at)
    await fault_point("in_copy")
    if plan.rows:
        await copy_to_events(connection, stream)
    return plan, stream


async def copy_accepted_rows(connection: Executor, plan: AppendPlan, head: Head) -> tuple[AppendPlan, bytes]:
    """After a refusal: find the culprits, each try in a savepoint, and take the rest in."""

    async def attempt(rows: Sequence[Any]) -> Refusal | None:
        try:
            stream = encode_rows(rows, plan.shard, head.next_position, plan.recorded_at)
            await try_copy(connection, stream)
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name != EVENT_ID_CONSTRAINT:
                raise
            return Refusal(Fault.KNOWN, "")
        except UNSTORABLE as error:
            return Refusal(Fault.UNSTORABLE, f"the database refused the event: {error}")
        return None

    refused = await find_refused(plan.rows, attempt)
    plan = without_known(plan, (row.event_id for row, refusal in refused if refusal.fault is Fault.KNOWN))
    faults: dict[Place, str] = {
        (row.topic, row.offset): refusal.detail for row, refusal in refused if refusal.fault is Fault.UNSTORABLE
    }
    return await copy_rows(connection, without_unstorable(plan, faults), head)


async def try_copy(connection: Executor, stream: bytes) -> None:
    """COPY inside a savepoint that is always rolled back."""
    savepoint = connection.transaction()
    await savepoint.start()
    try:
        await copy_to_events(connection, stream)
    finally:
        await savepoint.rollback()


async def copy_to_events(connection: Executor, stream: bytes) -> None:
    await connection.copy_to_table(
        "events",
        schema_name="meter",
        columns=EVENT_COLUMNS,
        source=memoryview(stream),  # type: ignore[arg-type]  # bytes would be taken for a path
        format="binary",
    )


async def append_evidence(connection: Executor, plan: AppendPlan) -> bytes:
    """What did not become events; returns the digests of these rows, in order, for the chain."""
    digests: list[bytes] = []
    if plan.repeats:
        columns = duplicate_columns(plan.repeats)
        digests.append(await connection.fetchval(sql("append_duplicates"), plan.shard, plan.recorded_at, *columns))
    if plan.rejections:
        columns = rejection_columns(plan.rejections)
        digests.append(await connection.fetchval(sql("append_rejections"), plan.shard, plan.recorded_at, *columns))
    if plan.gaps:
        columns = gap_columns(plan.gaps)
        digests.append(await connection.fetchval(sql("append_gaps"), plan.shard, plan.recorded_at, *columns))
    return b"".join(digests)


async def seal_batch(connection: Executor, plan: AppendPlan, head: Head, stream: bytes, evidence: bytes) -> Appended:
    header = make_header(plan, head)
    sealed = chain_hash(head.hash, header, rows_of(stream), evidence)
    await connection.execute(sql("seal_batch"), *header, head.hash, sealed)
    return to_appended(header)


async def seal_batches(
    connection: Executor,
    plans: Sequence[AppendPlan],
    heads: Mapping[int, Head],
    streams: Sequence[bytes],
    evidence: Sequence[bytes],
) -> list[Appended]:
    """As `seal_batch`, in one statement for all."""
    headers = [make_header(plan, heads[plan.shard]) for plan in plans]
    rows = []
    for header, stream, digests in zip(headers, streams, evidence, strict=True):
        previous = heads[header.shard].hash
        rows.append((*header, previous, chain_hash(previous, header, rows_of(stream), digests)))
    await connection.execute(sql("seal_batches"), *(list(column) for column in zip(*rows, strict=True)))
    return [to_appended(header) for header in headers]


def make_header(plan: AppendPlan, head: Head) -> BatchHeader:
    return BatchHeader(
        shard=plan.shard,
        batch=head.next_batch,
        first_position=head.next_position,
        last_position=head.next_position + len(plan.rows) - 1,
        usage_from=plan.expected.usage,
        usage_to=plan.following.usage,
        accounts_from=plan.expected.accounts,
        accounts_to=plan.following.accounts,
        stored=len(plan.rows),
        duplicates=len(plan.repeats),
        rejected=len(plan.rejections),
        gaps=plan.gap_offsets(),
        recorded_at=plan.recorded_at,
    )


def to_appended(header: BatchHeader) -> Appended:
    return Appended(
        header.shard,
        header.batch,
        header.first_position,
        header.last_position,
        header.stored,
        header.duplicates,
        header.rejected,
        header.gaps,
    )


def sql(name: str) -> str:
    return load_sql("meter", name)
