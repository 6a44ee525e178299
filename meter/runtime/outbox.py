"""Publishes messages that were written in the same transaction as the data: at least once, per shard in order.

One transaction: lock the shards' rows in `<schema>.outbox_shards` → read → publish (all acks) → delete what landed, of
each shard and partition up to the first that did not → commit. The lock keeps other relays from the shard. A crash
after publishing publishes again; receivers drop what is not newer. A shard whose publishing fails is held: a fault of
the service names it, it is tried again beside the others in growing pauses, and they go on.

The statements belong to the package that owns the schema: lock_outbox_shards, fetch_outbox, delete_outbox and
count_outbox in `<schema>/sql`.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from meter.runtime.failures import explain, explain_refusal, is_access_refused, is_transient
from meter.runtime.fault_points import fault_point
from meter.runtime.kafka.producer import Message, Producer
from meter.runtime.log import get_logger
from meter.runtime.looks import Looks
from meter.runtime.outbox_messages import Failure, ReadMessage, split_landed
from meter.runtime.postgres import Executor, Pool, is_of_citus, load_sql, takes_one_shard
from meter.runtime.process.health import Health
from meter.runtime.process.metrics import begin
from meter.runtime.waiting import pauses, wait_for

log = get_logger("outbox")

# Pauses before a held shard is tried again.
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 15.0
# Between two looks of a relay that its own process wakes: another one may have ended with messages in the outbox.
POLL_S: Final = 5.0
Choose = Callable[[Executor, Sequence[int]], Awaitable[Sequence[object]]]


async def all_in_order(_connection: Executor, _shards: Sequence[int]) -> Sequence[object]:
    """Where every message may be sent at once."""
    return ()


class Relayed(NamedTuple):
    """What came of one transaction: how many messages landed, and why each shard stopped that did."""

    landed: int
    failed: Mapping[int, Failure]
    more: bool = False  # there may be more to publish
    locked: frozenset[int] = frozenset()  # the others have nothing to publish, or another relay is at them


class Held:
    """A shard whose publishing fails."""

    def __init__(self) -> None:
        self._pauses: Iterator[float] = pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self.due = 0.0

    def pause(self) -> float:
        pause_s = next(self._pauses)
        self.due = asyncio.get_running_loop().time() + pause_s
        return pause_s


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
        self._looks = looks or Looks(POLL_S)
        self._woken_by_every_commit = woken_by_every_commit
        self._choose = choose
        self._waiting = 0
        self._more = False
        self._held: dict[int, Held] = {}
        self._holds = asyncio.Event()  # a shard is held that was not

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until stopped: when `wake` is set, and now and then. Errors go to the caller, but not those of a
        shard while others can be published."""
        if self._health is not None:
            self._health.watch(self.name, lambda: self._waiting)
            begin(self._health.metrics.published, self._topics)
        stopped = asyncio.create_task(stop.wait())
        stopped.add_done_callback(lambda _task: self.wake.set())
        retries = asyncio.create_task(self._retry_held(), name=f"{self.name}-held")
        retries.add_done_callback(lambda _task: self.wake.set())
        told = True
        try:
            while not stop.is_set():
                self.wake.clear()
                if retries.done():
                    retries.result()  # it ends by an error alone
                count = await self.relay() if told or await self._has_some() else 0
                self._looks.note(found=count > 0, told=told)
                told = True
                # A look that finds nothing costs about as much as one that finds messages.
                if count == 0 or (self._woken_by_every_commit and not self._more):
                    told = await wait_for(self.wake, self._looks.rest_s)
        finally:
            stopped.cancel()
            retries.cancel()
            await asyncio.wait({retries})
            if not retries.cancelled():
                retries.exception()  # the one of the loop above is told

    async def _has_some(self) -> bool:
        """Where nobody has told of anything: one statement, which gives its locks back at once."""
        async with self._pool.acquire() as connection:
            if is_of_citus(connection):
                return True
            return bool(await connection.fetch(load_sql(self._schema, "lock_outbox_shards"), None, sorted(self._held)))

    async def relay(self) -> int:
        """Publish the next messages of all shards that are not held. Returns how many landed: 0 also when other relays
        hold the shards. Where nothing landed at all, raises an error that does not pass by itself: a right that is
        lacking, or a bug. Whether all of Kafka is away is the probe's to say.
        """
        done = await self._relay_all()
        self._more = done.more
        for error, _ in done.failed.values():
            if done.landed == 0 and (is_access_refused(error) or not is_transient(error)):
                raise error
        for shard, failure in done.failed.items():
            self._hold(shard, failure)
        if done.failed:
            self._waiting = 0  # what a fault names is no work for the watchdog
            self.wake.set()  # the others are not done
        return done.landed

    async def _relay_all(self) -> Relayed:
        if not await takes_one_shard(self._pool):
            return await self._relay(watched=True)
        done: list[Relayed] = []
        for shard in sorted(await self._find_left() - self._held.keys()):
            done.append(await self._relay([shard], watched=True))
            if done[-1].failed:
                break  # it is held before the next one is waited for
        failed = done[-1].failed if done else {}
        return Relayed(sum(each.landed for each in done), failed, any(each.more for each in done))

    async def _relay(self, only: Sequence[int] | None = None, *, watched: bool = False) -> Relayed:
        """`watched`: the watchdog is to see what waits; a held shard has a fault instead."""
        left_out = sorted(self._held) if only is None else []
        async with self._pool.acquire() as connection, connection.transaction():
            locked = await connection.fetch(load_sql(self._schema, "lock_outbox_shards"), only, left_out)
            shards = [row["shard"] for row in locked]
            if not shards:
                self._waiting = 0 if watched else self._waiting
                return Relayed(0, {})
            most_of_each = max(1, self._batch // len(shards))
            more = await self._choose(connection, shards)
            rows = await connection.fetch(load_sql(self._schema, "fetch_outbox"), shards, most_of_each, *more)
            self._waiting = len(rows) if watched else self._waiting
            await fault_point("outbox_before_publish")
            messages = [self._read(row) for row in rows]
            results = await self._producer.publish_each(messages)
            landed, failed = split_landed([row["shard"] for row in rows], messages, results)
            await fault_point("outbox_between_publish_and_delete")
            keys = [[rows[number][column] for number in landed] for column in self._key]
            if landed:
                await connection.execute(load_sql(self._schema, "delete_outbox"), *keys)
        if landed or not failed:
            self._waiting = 0 if watched else self._waiting
            self._note(shards, [messages[number] for number in landed])
        return Relayed(len(landed), failed, len(rows) >= most_of_each, frozenset(shards))

    def _hold(self, shard: int, failure: Failure) -> None:
        """Leave it out of what is published together, and try it again after a pause."""
        if shard not in self._held:
            self._held[shard] = Held()
            self._holds.set()
        error, place = failure
        pause_s, said = self._held[shard].pause(), f"{place}: {explain_refusal(error) or explain(error)}"
        log.warning("outbox_shard_held", shard=shard, detail=said, pause_s=round(pause_s, 2))
        if self._health is not None:
            self._health.set_fault(
                self._fault_of(shard),
                f"messages of shard {shard} cannot be published to {said}. They are tried again without end. See "
                "whether that partition has a leader and enough replicas (kafka-topics.sh --describe)",
            )

    def _release(self, shard: int) -> None:
        del self._held[shard]
        log.info("outbox_shard_released", shard=shard)
        if self._health is not None:
            self._health.set_fault(self._fault_of(shard), None)
        self.wake.set()

    def _fault_of(self, shard: int) -> str:
        return f"{self.name} shard {shard}"

    async def _retry_held(self) -> None:
        """Beside the others, which do not wait for it: a partition without a leader takes the whole publish timeout."""
        while True:
            self._holds.clear()
            now = asyncio.get_running_loop().time()
            due = [shard for shard, held in self._held.items() if held.due <= now]
            singly = await takes_one_shard(self._pool)
            for shards in [[shard] for shard in due] if singly else [due] if due else []:
                await self._retry(shards)
            if not self._held:
                await self._holds.wait()
            rest_s = min(held.due for held in self._held.values()) - asyncio.get_running_loop().time()
            await asyncio.sleep(max(0.0, min(rest_s, FIRST_PAUSE_S)))  # another may be held meanwhile

    async def _retry(self, shards: Sequence[int]) -> None:
        """Together: of several partitions without a leader each takes the whole publish timeout."""
        done = await self._relay(shards)
        left = await self._find_left() if set(shards) - done.locked else frozenset[int]()
        for shard in shards:
            if (failure := done.failed.get(shard)) is not None:
                self._hold(shard, failure)
            elif shard in done.locked or shard not in left:
                self._release(shard)
            else:
                self._held[shard].pause()  # another relay is at it, and knows as little whether it can be published

    async def _find_left(self) -> frozenset[int]:
        """The shards that have something to publish, whoever is at them."""
        return frozenset(row["shard"] for row in await self._pool.fetch(load_sql(self._schema, "find_outbox_shards")))

    def _note(self, shards: Sequence[int], messages: Sequence[Message]) -> None:
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
