"""Publishing what was written in the same transaction as the data: at least once, per shard in order, then deleted.

The transaction here holds the shard's row in `<schema>.outbox_shards`, so one relay works on a shard at a time:
lock → read → publish (all acks) → delete → commit. A crash between the last two publishes again; receivers drop what is
not newer. The statements are the owner's: lock_outbox_shard, fetch_outbox,
delete_outbox and count_outbox in `<schema>/sql`.
"""

import asyncio

import structlog

from meter.runtime.health import Health
from meter.runtime.kafka_producer import Message, Producer
from meter.runtime.points import point
from meter.runtime.postgres import Pool, load_sql
from meter.runtime.service import wait_for

log = structlog.get_logger(component="outbox")


class OutboxRelay:
    """Publishes `<schema>.outbox` on a topic. Any number may run, in any number of processes."""

    def __init__(
        self,
        pool: Pool,
        producer: Producer,
        schema: str,
        topic: str,
        *,
        health: Health | None = None,
        batch: int = 1000,
        poll_s: float = 1.0,
    ) -> None:
        self.name = f"{schema}-outbox"
        self.wake = asyncio.Event()
        self._pool = pool
        self._producer = producer
        self._schema = schema
        self._topic = topic
        self._health = health
        self._batch = batch
        self._poll_s = poll_s
        self._waiting = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until stopped; woken by `wake`, and every `poll_s` in any case. Errors go to the caller."""
        if self._health is not None:
            self._health.watch(self.name, lambda: self._waiting)
        stopped = asyncio.create_task(stop.wait())
        stopped.add_done_callback(lambda _task: self.wake.set())
        try:
            while not stop.is_set():
                self.wake.clear()
                if await self.relay() == 0:
                    await wait_for(self.wake, self._poll_s)
        finally:
            stopped.cancel()

    async def relay(self) -> int:
        """Publish one shard's next messages; how many. 0: nothing is there, or others are at it."""
        async with self._pool.acquire() as connection, connection.transaction():
            shard = await connection.fetchval(load_sql(self._schema, "lock_outbox_shard"))
            if shard is None:
                self._waiting = 0
                return 0
            rows = await connection.fetch(load_sql(self._schema, "fetch_outbox"), shard, self._batch)
            self._waiting = len(rows)
            await point("outbox_before_publish")
            await self._producer.publish([Message(self._topic, row["key"], row["value"]) for row in rows])
            await point("outbox_between_publish_and_delete")
            await connection.execute(load_sql(self._schema, "delete_outbox"), shard, [row["id"] for row in rows])
        self._note(shard, len(rows))
        return len(rows)

    def _note(self, shard: int, count: int) -> None:
        self._waiting = 0
        log.debug("outbox_published", shard=shard, events=count)
        if self._health is not None:
            self._health.mark_progress(self.name)
            self._health.metrics.published.labels(self._topic).inc(count)

    async def count(self) -> int:
        """Messages that wait to be published."""
        return int(await self._pool.fetchval(load_sql(self._schema, "count_outbox")))
