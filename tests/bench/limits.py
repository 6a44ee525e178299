"""The limits the services are held against: bare COPY of the same rows, and reading from Kafka without any work."""

import time

from aiokafka import AIOKafkaConsumer, TopicPartition

from meter.runtime.postgres import load_sql
from meter.store.layout import EVENT_COLUMNS
from tests.bench.databases import SQL, connect
from tests.bench.rows import Row

BATCH_ROWS = 5000  # of one shard, as the meter's largest batch
POLL_RECORDS = 60_000


async def measure_copy(dsn: str, table: str, rows: list[Row]) -> float:
    """Rows per second of asyncpg's COPY into a new table, one commit per batch of a shard."""
    batches = to_batches(rows)
    async with connect(dsn) as connection:
        await connection.execute(f"DROP TABLE IF EXISTS {table}")
        await connection.execute(load_sql(SQL, f"create_{table}"))
        await connection.execute("CHECKPOINT")
        started = time.perf_counter()
        for batch in batches:
            await connection.copy_records_to_table(table, columns=EVENT_COLUMNS, records=batch)
        took = time.perf_counter() - started
        stored = await connection.fetchval(f"SELECT count(*) FROM {table}")
        await connection.execute(f"DROP TABLE {table}")
    if stored != len(rows):
        raise AssertionError(f"{stored} rows of {len(rows)} are in {table}")
    return len(rows) / took


def to_batches(rows: list[Row]) -> list[list[Row]]:
    """Batches of one shard each, in turns over the shards."""
    shard = EVENT_COLUMNS.index("shard")
    shards: dict[int, list[Row]] = {}
    for row in rows:
        shards.setdefault(row[shard], []).append(row)
    longest = max(map(len, shards.values()))
    return [
        batch
        for first in range(0, longest, BATCH_ROWS)
        for own in shards.values()
        if (batch := own[first : first + BATCH_ROWS])
    ]


async def measure_getmany(bootstrap: str, topic: str, partitions: int) -> float:
    """Records per second of one plain consumer over the whole topic, from its first record on."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        assigned = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(assigned)
        total = sum((await consumer.end_offsets(assigned)).values())
        seen, started = 0, time.perf_counter()
        while seen < total:
            records = await consumer.getmany(timeout_ms=1000, max_records=POLL_RECORDS)
            seen += sum(map(len, records.values()))
        return seen / (time.perf_counter() - started)
    finally:
        await consumer.stop()
