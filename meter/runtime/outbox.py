"""Publishes messages that were written in the same transaction as the data: at least once, per shard in order.

One transaction: lock the shards' rows in `<schema>.outbox_shards` → read → publish (all acks) → delete → commit. The
lock keeps other relays from the shard. A crash after publishing publishes again; receivers drop what is not newer. The
statements belong to the package that owns the schema: lock_outbox_shards, fetch_outbox, delete_outbox and count_outbox
in `<schema>/sql`.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from meter.runtime.fault_points import fault_point
from meter.runtime.kafka.producer import Message, Producer
from meter.runtime.log import get_logger
from meter.runtime.looks import Looks
from meter.runtime.postgres import Executor, Pool, load_sql, takes_one_shard
from meter.runtime.process.health import Health
from meter.runtime.process.metrics import begin
from meter.runtime.waiting import wait_for
from schemas.build import STRUCTURED_HEADERS

log = get_logger("outbox")

ALL_SHARDS = 2**31
# After a failure the relay takes one shard at a time, this many times: a shard whose messages cannot be published then
# holds up no other.
SINGLY_AFTER_FAILURE = 50
ReadMessage = Callable[[Any], Message]  # of a row of the outbox, by the names of its columns
Choose = Callable[[Executor, Sequence[int]], Awaitable[Sequence[object]]]


async def all_in_order(_connection: Executor, _shards: Sequence[int]) -> Sequence[object]:
    """Where every message may be sent at once."""
    return ()


class OutboxRelay:
    """Publishes `<schema>.outbox`. Any number may run, in any number of processes.

    `read` makes the message of a row, `messages_for` where all go to one topic. `key`: the columns that `delete_outbox`
    takes. `topics`: those it publishes to, counted from the start. `choose` is asked for what `fetch_outbox` needs to
    know beside the locked shards.

    `woken_by_every_commit`: the owner sets `wake` after every commit to the outbox, also after those of other
    processes. Otherwise the relay looks once more after it took everything: another process may have committed to a
    shard that was locked here.
    """

    def __init__(
        self,
        pool: Pool,
        producer: Producer,
        schema: str,
        read: ReadMessage,
        *,
        key: Sequence[str] = ("shard", "id"),
        health: Health | None = None,
        topics: Sequence[str] = (),
        batch: int = 1000,
        looks: Looks | None = None,
        woken_by_every_commit: bool = False,
        choose: Choose = all_in_order,
    ) -> None:
        self.name = f"{schema}-outbox"
        self.wake = asyncio.Event()
        self._pool = pool
        self._producer = producer
        self._schema = schema
        self._read = read
        self._key = key
        self._health = health
        self._topics = topics
        self._batch = batch
        self._looks = looks or Looks(1.0)
        self._woken_by_every_commit = woken_by_every_commit
        self._choose = choose
        self._waiting = 0
        self._singly = 0
        self._more = False

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until stopped: when `wake` is set, and now and then. Errors go to the caller."""
        if self._health is not None:
            self._health.watch(self.name, lambda: self._waiting)
            begin(self._health.metrics.published, self._topics)
        stopped = asyncio.create_task(stop.wait())
        stopped.add_done_callback(lambda _task: self.wake.set())
        told = True
        try:
            while not stop.is_set():
                self.wake.clear()
                count = await self.relay()
                self._looks.note(found=count > 0, told=told)
                told = True
                # A look that finds nothing costs about as much as one that finds messages.
                if count == 0 or (self._woken_by_every_commit and not self._more):
                    told = await wait_for(self.wake, self._looks.rest_s)
        finally:
            stopped.cancel()

    async def relay(self) -> int:
        """Publish the next messages of all shards. Returns their number: 0 also when other relays hold the shards."""
        try:
            count = await self._relay_all()
        except Exception:
            self._singly = SINGLY_AFTER_FAILURE
            raise
        self._singly = max(0, self._singly - 1)
        return count

    async def _relay_all(self) -> int:
        if await takes_one_shard(self._pool):
            return await self._relay_each()
        return await self._relay(1 if self._singly else ALL_SHARDS)

    async def _relay_each(self) -> int:
        """A shard that fails is raised after the others were published."""
        found = await self._pool.fetch(load_sql(self._schema, "find_outbox_shards"))
        done = [await self._try_shard(row["shard"]) for row in found]
        self._more = any(more for _count, more, _error in done)
        for error in [error for _count, _more, error in done if error is not None]:
            raise error
        return sum(count for count, _more, _error in done)

    async def _try_shard(self, shard: int) -> tuple[int, bool, Exception | None]:
        try:
            return await self._relay(ALL_SHARDS, shard), self._more, None
        except Exception as error:
            return 0, False, error

    async def _relay(self, most_shards: int, only: int | None = None) -> int:
        async with self._pool.acquire() as connection, connection.transaction():
            locked = await connection.fetch(load_sql(self._schema, "lock_outbox_shards"), most_shards, only)
            shards = [row["shard"] for row in locked]
            if not shards:
                self._waiting, self._more = 0, False
                return 0
            most_of_each = max(1, self._batch // len(shards))
            more = await self._choose(connection, shards)
            rows = await connection.fetch(load_sql(self._schema, "fetch_outbox"), shards, most_of_each, *more)
            self._waiting, self._more = len(rows), most_shards < ALL_SHARDS or len(rows) >= most_of_each
            await fault_point("outbox_before_publish")
            messages = [self._read(row) for row in rows]
            await self._producer.publish(messages)
            await fault_point("outbox_between_publish_and_delete")
            keys = [[row[column] for row in rows] for column in self._key]
            await connection.execute(load_sql(self._schema, "delete_outbox"), *keys)
        self._note(shards, messages)
        return len(rows)

    def _note(self, shards: Sequence[int], messages: Sequence[Message]) -> None:
        self._waiting = 0
        log.debug("outbox_published", shards=shards, events=len(messages))
        if self._health is not None:
            self._health.mark_progress(self.name)
            for topic, count in Counter(message.topic for message in messages).items():
                self._health.metrics.published.labels(topic).inc(count)

    async def count(self) -> int:
        """Number of messages that wait to be published."""
        return int(await self._pool.fetchval(load_sql(self._schema, "count_outbox")))

    async def measure_age(self) -> float:
        """For how many seconds the oldest message waits; 0 where none does."""
        return float(await self._pool.fetchval(load_sql(self._schema, "measure_outbox_age")))


class OutboxWatch:
    """Shows the age of an outbox: of all of it in every process, so that one that no relay works at is seen as well."""

    def __init__(self, relay: OutboxRelay, health: Health, *, every_s: float = 5.0) -> None:
        self.name = f"{relay.name}-age"
        self._relay = relay
        self._age = health.metrics.outbox_age_seconds.labels(relay.name)
        self._every_s = every_s

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._age.set(await self._relay.measure_age())
            await wait_for(stop, self._every_s)


def messages_for(topic: str) -> ReadMessage:
    """Key and value as they stand in the row, to the shard's partition of this topic: that is also where the key would
    lead, until somebody gives the topic more partitions."""
    return lambda row: Message(topic, row["key"], row["value"], row["shard"], STRUCTURED_HEADERS)
