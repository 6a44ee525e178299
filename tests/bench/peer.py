"""The usual way to write this consumer, one event at a time and in batches, over the same topic on the same servers.

It has the same validation as `rows.decode`, idempotence by the event's id and the balance in the same transaction; it
has no log of positions, no hash chain, no rejections kept and no read model besides the balance.
"""

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from meter.runtime.postgres import load_sql
from tests.bench.databases import SQL, connect, fetch_one
from tests.bench.events import Message, account_name
from tests.bench.rows import CODES, amount_of, decode

POLL_RECORDS = 500  # as Kafka's own clients take at most by default


async def measure_plain(dsn: str, bootstrap: str, topic: str, accounts: int, seconds: float) -> float:
    """One event, one transaction, one commit of the offset."""

    async def work(connection: asyncpg.Connection, consumer: AIOKafkaConsumer, stop: Callable[[], bool]) -> int:
        insert, update = load_sql(SQL, "insert_peer_event"), load_sql(SQL, "update_peer_balance")
        seen = 0
        while not stop():
            record = await consumer.getone()
            event = decode(Message(record.key, record.value))
            if event is not None:
                values = to_values(event)
                async with connection.transaction():
                    if await connection.fetchval(insert, *values) is not None:
                        await connection.execute(update, values[1], values[3], values[4])
            await consumer.commit({TopicPartition(record.topic, record.partition): record.offset + 1})
            seen += 1
        return seen

    return await run_peer(dsn, bootstrap, topic, accounts, seconds, work)


async def measure_batched(dsn: str, bootstrap: str, topic: str, accounts: int, seconds: float) -> float:
    """A poll's records in one transaction with executemany, then one commit of the offsets."""

    async def work(connection: asyncpg.Connection, consumer: AIOKafkaConsumer, stop: Callable[[], bool]) -> int:
        apply = load_sql(SQL, "apply_peer_event")
        seen = 0
        while not stop():
            polled = await consumer.getmany(timeout_ms=1000, max_records=POLL_RECORDS)
            records = [record for part in polled.values() for record in part]
            if not records:  # the backlog is done: what follows is measured as standing still, not as an error
                continue
            values = [to_values(event) for event in decode_all(records) if event is not None]
            async with connection.transaction():
                await connection.executemany(apply, values)
            await consumer.commit({partition: part[-1].offset + 1 for partition, part in polled.items()})
            seen += len(records)
        return seen

    return await run_peer(dsn, bootstrap, topic, accounts, seconds, work)


Work = Callable[[asyncpg.Connection, AIOKafkaConsumer, Callable[[], bool]], Awaitable[int]]


async def run_peer(dsn: str, bootstrap: str, topic: str, accounts: int, seconds: float, work: Work) -> float:
    """Work from the first record on for so long, and check that the result is consistent; records per second."""
    group = f"peer-{time.time_ns()}"
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    async with connect(dsn) as connection:
        await prepare(connection, accounts)
        await consumer.start()
        try:
            while not consumer.assignment():
                await consumer.getmany(timeout_ms=100, max_records=1)
            await consumer.seek_to_beginning()
            started = time.perf_counter()
            seen = await work(connection, consumer, lambda: time.perf_counter() - started >= seconds)
            took = time.perf_counter() - started
        finally:
            await consumer.stop()
        events, agree = await fetch_one(connection, "sum_peer")
    if not agree or not 0.9 * seen < events <= seen:
        raise AssertionError(f"the peer stored {events} events of {seen} records; balances agree: {agree}")
    return seen / took


async def prepare(connection: asyncpg.Connection, accounts: int) -> None:
    await connection.execute("DROP SCHEMA IF EXISTS peer CASCADE")
    await connection.execute(load_sql(SQL, "create_peer"))
    await connection.executemany(load_sql(SQL, "open_peer_balance"), [(account_name(n),) for n in range(accounts)])


def decode_all(records: Sequence[ConsumerRecord]) -> list[dict[str, Any] | None]:
    return [decode(Message(record.key, record.value)) for record in records]


def to_values(event: dict[str, Any]) -> tuple[Any, ...]:
    resource = 2 if CODES[event["type"]] == 4 else 1
    moment = datetime.fromisoformat(event["time"])
    data = json.dumps(event["data"])
    return event["id"], event["subject"], event["type"], resource, amount_of(event), moment, event["source"], data
