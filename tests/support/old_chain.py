"""Batches as they were stored before events had a key: the old columns and the old chain, for tests of the upgrade."""

from datetime import UTC, datetime
from uuid import UUID

from meter.plan import AppendPlan
from meter.runtime.postgres import Executor

COLUMNS = (
    "position", "amount", "kafka_offset", "occurred_at", "recorded_at", "event_id", "shard", "type", "resource",
    "account_id", "name", "source", "data", "extensions",
)  # fmt: skip
DUPLICATE = """
WITH appended AS (
    INSERT INTO meter.duplicates (shard, topic, kafka_offset, event_id, recorded_at) VALUES ($1, $2, $3, $4, $5)
    RETURNING *
)
SELECT sha256(record_send(ROW(a.shard, a.topic, a.kafka_offset, a.event_id, a.recorded_at))) FROM appended a
"""
BATCH = """
INSERT INTO meter.batches (shard, batch, first_position, last_position, usage_from, usage_to, accounts_from,
                           accounts_to, stored, duplicates, rejected, gaps, recorded_at, previous, hash)
SELECT s.shard, s.next_batch, s.next_position, s.next_position + $2 - 1, $3, $4, $5, $6, $2, $7, 0, 0, $8, s.head,
       sha256('\\x02'::bytea || s.head || record_send(ROW(
           s.shard, s.next_batch, s.next_position, s.next_position + $2 - 1, $3::bigint, $4::bigint, $5::bigint,
           $6::bigint, $2::int, $7::int, 0, 0::bigint, $8::timestamptz)) || $9::bytea)
FROM meter.shards s WHERE s.shard = $1
"""
SHARD = """
UPDATE meter.shards s
SET usage_offset = b.usage_to, accounts_offset = b.accounts_to, next_position = b.last_position + 1,
    next_batch = b.batch + 1, head = b.hash
FROM meter.batches b WHERE s.shard = $1 AND b.shard = s.shard AND b.batch = s.next_batch
"""


async def append_old(connection: Executor, plan: AppendPlan) -> None:
    """One batch by version 2 of the chain: events and at most one repeat."""
    first: int = await connection.fetchval("SELECT next_position FROM meter.shards WHERE shard = $1", plan.shard)
    rows = [
        (
            position, row.amount, row.offset, row.occurred_at, plan.recorded_at, UUID(row.event_id), plan.shard,
            row.type, row.resource, row.account_id, row.name, row.source, row.data, row.extensions,
        )
        for position, row in enumerate(plan.rows, first)
    ]  # fmt: skip
    await connection.copy_records_to_table("events", schema_name="meter", columns=COLUMNS, records=rows)
    covered = b"".join(map(encode_old, rows))
    for again in plan.again:
        covered += await connection.fetchval(
            DUPLICATE, plan.shard, again.topic, again.offset, UUID(again.event_id), plan.recorded_at
        )
    await connection.execute(
        BATCH, plan.shard, len(rows), plan.expected.usage, plan.following.usage, plan.expected.accounts,
        plan.following.accounts, len(plan.again), plan.recorded_at, covered,
    )  # fmt: skip
    await connection.execute(SHARD, plan.shard)


def encode_old(row: tuple[object, ...]) -> bytes:
    """The row as binary COPY has it."""
    sizes = {"position": 8, "amount": 8, "kafka_offset": 8, "shard": 4, "type": 2, "resource": 2}
    fields = [encode_value(value, sizes.get(name, 0)) for name, value in zip(COLUMNS, row, strict=True)]
    return len(COLUMNS).to_bytes(2) + b"".join(fields)


def encode_value(value: object, size: int) -> bytes:
    if value is None:
        return b"\xff" * 4
    if isinstance(value, datetime):
        since = value - datetime(2000, 1, 1, tzinfo=UTC)
        micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        raw = micros.to_bytes(8, signed=True)
    elif isinstance(value, UUID):
        raw = value.bytes
    elif isinstance(value, int):
        raw = value.to_bytes(size, signed=True)
    else:
        raw = str(value).encode()
    return len(raw).to_bytes(4) + raw
