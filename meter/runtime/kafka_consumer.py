"""The consumer that keeps its offsets in Postgres: `ShardConsumer`.

A shard is partition *p* of all its topics. Only what the database stores counts; Kafka's committed offsets are for lag
tools. The rebalance listener does nothing that can wait or fail: it pauses what came and marks it as unpositioned. The
main loop then reads the stored offsets, checks them against the broker, seeks and resumes, so that every error there
reaches the caller instead of aiokafka's log.
"""

import asyncio
import random
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from meter.runtime.clock import Clock
from meter.runtime.errors import DependencyUnreachableError, TopicIdentityError
from meter.runtime.feed import Feed, Verdict
from meter.runtime.kafka_admin import TopicAdmin, TopicInfo, fetch_topic
from meter.runtime.kafka_client import check_codecs, client_options, is_transient, stop_quietly, unreachable
from meter.runtime.positions import Range, check_ranges
from meter.runtime.settings import Settings
from schemas.records import Record

log = structlog.get_logger(component="kafka_consumer")

T = TypeVar("T")

START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 8
OFFSETS_TIMEOUT_S = 20
COMMIT_TIMEOUT_S = 5
COMMIT_PAUSE_S = 1.0
IDENTITY_PAUSE_S = 30.0
# One synchronous slice of record decoding: about 50 ms, so heartbeats are never late.
POLL_RECORDS = 20_000


class OffsetStore(Protocol):
    async def fetch_offsets(self, topics: Sequence[str], shards: Sequence[int]) -> Mapping[tuple[str, int], int]:
        """The next offset to read per (logical topic, shard); a shard that was never set up is missing."""
        ...


class TopicGuard(Protocol):
    async def check_topics(self, topics: Mapping[str, TopicInfo]) -> None:
        """Compare with what is recorded (or record it, the first time); raise TopicIdentityError."""
        ...


class Batch(NamedTuple):
    """Records of one shard, in offset order per logical topic; the offsets the database must expect, and then have."""

    shard: int
    records: dict[str, list[Record]]
    start: dict[str, int]
    end: dict[str, int]

    @property
    def size(self) -> int:
        return sum(map(len, self.records.values()))


class ShardConsumer:
    """Receive batches per shard, each starting at the stored offset.

    A shard with a batch that was neither advanced nor rewound gets no further one, so shards can be worked on at the
    same time, and `receive` may be called while batches are being stored. Not for use from several tasks at once.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        topics: Sequence[str],
        group: str,
        store: OffsetStore,
        clock: Clock,
        guard: TopicGuard | None = None,
    ) -> None:
        self._settings = settings
        self._topics = tuple(topics)
        self._names = {topic: settings.topic(topic) for topic in topics}
        self._group = settings.group(group)
        self._store = store
        self._clock = clock
        self._guard = guard
        self._consumer: Any = None
        self._generation = 0
        self._assigned: frozenset[int] = frozenset()
        self._lopsided: frozenset[int] = frozenset()
        self._feeds: dict[TopicPartition, Feed] = {}
        self._shards: dict[int, list[Feed]] = {}  # positioned shards
        self._busy: dict[int, Batch] = {}
        self._pauses: dict[int, tuple[int, float]] = {}  # shard: rewinds in a row, not before (loop time)
        self._poll: asyncio.Task[tuple[dict[TopicPartition, list[Any]], dict[TopicPartition, int]]] | None = None
        self._freed = asyncio.Event()
        self._acknowledged: dict[TopicPartition, int] = {}
        self._commit: asyncio.Task[None] | None = None
        self._next_commit = 0.0
        self._next_identity_check = 0.0

    # --- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Join the group. Raises DependencyUnreachableError (also while the topics are missing)."""
        check_codecs()
        await self._check_topics_exist()
        consumer = self._make_consumer()
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                consumer.subscribe(list(self._names.values()), listener=RebalanceListener(self))
                self._consumer = consumer
                await consumer.start()
        except BaseException as error:
            self._consumer = None
            await stop_quietly(consumer, STOP_TIMEOUT_S)
            if is_transient(error):
                raise unreachable(error, f"connecting to {self._settings.kafka_bootstrap}") from error
            raise

    def _make_consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **client_options(self._settings),
            client_id=f"{self._group}-consumer",
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            # Range keeps partition p of all topics together; sticky keeps state on its class.
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=self._settings.kafka_session_ms,
            rebalance_timeout_ms=self._settings.kafka_rebalance_ms,
            heartbeat_interval_ms=min(3_000, self._settings.kafka_session_ms // 4),
            max_poll_interval_ms=300_000,
            fetch_max_wait_ms=self._settings.kafka_fetch_wait_ms,
            max_partition_fetch_bytes=1024 * 1024,
            fetch_max_bytes=16 * 1024 * 1024,
            check_crcs=True,
        )

    async def _check_topics_exist(self) -> None:
        """A consumer that subscribes to a missing topic makes it, with the broker's defaults: ask first."""
        async with TopicAdmin(self._settings) as admin:
            for topic, name in self._names.items():
                if await admin.find(topic) is None:
                    raise DependencyUnreachableError(f"there is no topic {name}: run `meter setup`", dependency="kafka")

    async def stop(self) -> None:
        """Commit what was acknowledged and leave the group; within STOP_TIMEOUT_S + COMMIT_TIMEOUT_S."""
        consumer, self._consumer = self._consumer, None
        if consumer is None:
            return
        if self._commit is not None:
            await asyncio.wait({self._commit}, timeout=COMMIT_TIMEOUT_S)
        if self._acknowledged:
            await self._commit_offsets(consumer)
        await stop_quietly(consumer, STOP_TIMEOUT_S)
        if self._poll is not None:
            # Only now: a cancelled getmany switches aiokafka's max-poll protection off for good.
            self._poll.cancel()
            await asyncio.wait({self._poll}, timeout=1)
            if not self._poll.cancelled() and self._poll.done():
                self._poll.exception()
            self._poll = None
        self._forget()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # --- the four verbs ---------------------------------------------------------------------------------------------

    async def receive(self) -> list[Batch]:
        """Wait up to `poll_ms` for records; at most `batch_events` per shard; [] where nothing came.

        Raises TransientError (repeat: every partition is read again from the right offset) or TopicIdentityError.
        """
        consumer = self._running
        self._freed.clear()
        if consumer._fetcher.error_future.done():
            # aiokafka would answer "no records" from now on, without an end and without an error.
            raise DependencyUnreachableError("kafka: the fetch task has ended", dependency="kafka")
        try:
            await self._check_identity(consumer)
            await self._position_shards(consumer)
            self._absorb(consumer)
            batches = self._take()
            if not batches:
                await self._wait_for_records()
                self._absorb(consumer)
                batches = self._take()
        except kafka_errors.KafkaError as error:
            self._recover(consumer, error)
            if is_transient(error):
                raise unreachable(error, "receiving") from error
            raise
        return batches

    def advance(self, batch: Batch) -> None:
        """The batch is committed in the database."""
        if self._busy.get(batch.shard) is not batch:
            return  # the shard was rewound, or lost and assigned anew, meanwhile: the stored offsets are read again
        del self._busy[batch.shard]
        self._pauses.pop(batch.shard, None)
        for feed in self._shards.get(batch.shard, ()):
            feed.store(batch.end[feed.topic])
        self._freed.set()

    async def rewind(self, shards: Iterable[int]) -> None:
        """Forget what is held of these shards and read their stored offsets again before the next batch.

        Repeated rewinds of a shard without an advance between them are spaced out, up to 5 s.
        """
        now = asyncio.get_running_loop().time()
        for shard in shards:
            self._busy.pop(shard, None)
            count = self._pauses.get(shard, (0, 0.0))[0]
            pause_s = 0.0 if count == 0 else min(5.0, 0.05 * 2**count) * random.uniform(0.5, 1.0)  # noqa: S311
            self._pauses[shard] = (min(count + 1, 10), now + pause_s)
            self._unposition(shard)
        self._freed.set()

    async def acknowledge(self, batches: Iterable[Batch]) -> None:
        """Tell Kafka, for lag tools: best effort, at most once a second, in the background, never raises."""
        for batch in batches:
            for topic, offset in batch.end.items():
                self._acknowledged[TopicPartition(self._names[topic], batch.shard)] = offset
        loop_time = asyncio.get_running_loop().time()
        if (
            self._acknowledged
            and self._commit is None
            and loop_time >= self._next_commit
            and self._consumer is not None
        ):
            self._next_commit = loop_time + COMMIT_PAUSE_S
            self._commit = asyncio.create_task(self._commit_offsets(self._consumer))
            self._commit.add_done_callback(self._commit_ended)

    # --- what is known ----------------------------------------------------------------------------------------------

    @property
    def assigned(self) -> frozenset[int]:
        """Shards that the group has given to this consumer, positioned or not."""
        return self._assigned

    def lag(self) -> int:
        """Records (offsets) on the broker that are not stored yet, of the positioned shards, as of the last fetch."""
        consumer = self._consumer
        if consumer is None:
            return 0
        # A shard that is assigned but cannot be positioned is waiting work, too.
        total = len(self._assigned - self._shards.keys() - self._busy.keys())
        for tp, feed in self._feeds.items():
            try:
                end = consumer.last_stable_offset(tp)
                end = consumer.highwater(tp) if end is None or end < 0 else end
            except kafka_errors.IllegalStateError:
                continue  # revoked between two steps of the loop
            total += feed.lag(end)
        return total

    @property
    def _running(self) -> Any:
        if self._consumer is None:
            raise RuntimeError("ShardConsumer is not started")
        return self._consumer

    # --- assignment -------------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        """Partitions were revoked. Batches on their way stay busy: their compare-and-set decides about them."""
        self._generation += 1
        self._assigned = self._lopsided = frozenset()
        self._feeds.clear()
        self._shards.clear()
        self._acknowledged.clear()

    def _accept(self, consumer: Any, partitions: Collection[TopicPartition]) -> None:
        """Partitions were assigned. Pause first: aiokafka delivers from its own committed offset otherwise."""
        consumer.pause(*partitions)
        for tp in partitions:
            # While it has no position aiokafka asks for committed offsets and fails with NoOffsetForPartition.
            consumer.seek(tp, 0)
        self._forget()
        held = [{tp.partition for tp in partitions if tp.topic == name} for name in self._names.values()]
        self._assigned = frozenset(set.intersection(*held))
        self._lopsided = frozenset(set.union(*held)) - self._assigned
        self._freed.set()
        log.info("shards_assigned", shards=sorted(self._assigned))

    async def _check_identity(self, consumer: Any) -> None:
        if self._lopsided:
            raise TopicIdentityError(
                f"topics {', '.join(self._names.values())} must have the same number of partitions, but this consumer "
                f"got partitions {sorted(self._lopsided)} of some of them only: compare the topics with the setting "
                "METERING_PARTITIONS and run `meter setup`"
            )
        now = asyncio.get_running_loop().time()
        if self._guard is None or now < self._next_identity_check:
            return
        infos = {}
        for topic, name in self._names.items():
            info = await within(fetch_topic(consumer._client, name), "describing topics")
            if info is None:
                raise TopicIdentityError(f"topic {name} was deleted while it was being read: nothing was written since")
            infos[topic] = info._replace(topic=topic)
        await self._guard.check_topics(infos)
        self._next_identity_check = now + IDENTITY_PAUSE_S

    async def _position_shards(self, consumer: Any) -> None:
        """Seek to the stored offsets, after checking that the broker still has what comes next."""
        now = asyncio.get_running_loop().time()
        waiting = [
            shard
            for shard in sorted(self._assigned)
            if shard not in self._shards and shard not in self._busy and self._pauses.get(shard, (0, 0.0))[1] <= now
        ]
        if not waiting:
            return
        generation = self._generation
        stored = await self._store.fetch_offsets(self._topics, waiting)
        ranges = await self._fetch_ranges(consumer, waiting, stored)
        if generation != self._generation:
            return  # a rebalance came between: what was read may be out of date
        if await check_ranges(ranges, lambda: self._fetch_ranges_surely(ranges), self._settings):
            self._seek(consumer, waiting, ranges, generation)

    async def _fetch_ranges(
        self, consumer: Any, shards: Sequence[int], stored: Mapping[tuple[str, int], int]
    ) -> list[Range]:
        partitions = [TopicPartition(name, shard) for name in self._names.values() for shard in shards]
        begin = await within(consumer.beginning_offsets(partitions), "reading beginning offsets")
        end = await within(consumer.end_offsets(partitions), "reading end offsets")
        return [
            Range(name, shard, stored.get((topic, shard)), begin[tp], end[tp])
            for topic, name in self._names.items()
            for shard in shards
            if (tp := TopicPartition(name, shard))
        ]

    async def _fetch_ranges_surely(self, ranges: Sequence[Range]) -> list[Range]:
        """The same with the ends that a fetch tells, for brokers whose ListOffsets is only nearly right."""
        async with TopicAdmin(self._settings) as admin:
            ends = {name: await admin.end_offsets(topic) for topic, name in self._names.items()}
        return [item._replace(end=ends[item.topic].get(item.shard, 0)) for item in ranges]

    def _seek(self, consumer: Any, shards: Sequence[int], ranges: Sequence[Range], generation: int) -> None:
        if generation != self._generation:
            return
        found = {(item.topic, item.shard): item for item in ranges}
        for shard in shards:
            feeds = []
            for topic, name in self._names.items():
                tp, here = TopicPartition(name, shard), found[name, shard]
                feed = Feed(topic, shard, here.stored or 0)
                feed.skip_to(here.begin)
                consumer.seek(tp, feed.next)
                consumer.resume(tp)
                self._feeds[tp] = feed
                feeds.append(feed)
            self._shards[shard] = feeds

    def _unposition(self, shard: int) -> None:
        self._shards.pop(shard, None)
        for name in self._names.values():
            tp = TopicPartition(name, shard)
            if self._feeds.pop(tp, None) is not None and tp in self._running.assignment():
                self._running.pause(tp)

    # --- records ----------------------------------------------------------------------------------------------------

    async def _wait_for_records(self) -> None:
        """Until a poll ends, a shard is freed or `poll_ms` have passed. The poll itself is never cancelled."""
        waiters: set[asyncio.Task[Any]] = {asyncio.create_task(self._freed.wait())}
        freed = next(iter(waiters))
        if self._poll is not None:
            waiters.add(self._poll)
        await asyncio.wait(waiters, timeout=self._settings.poll_ms / 1000, return_when=asyncio.FIRST_COMPLETED)
        freed.cancel()

    def _absorb(self, consumer: Any) -> None:
        """Take what the poll brought, and start the next one where there is room."""
        if self._poll is not None and self._poll.done():
            poll, self._poll = self._poll, None
            polled, positions = poll.result()
            for tp, raw in polled.items():
                self._offer(consumer, tp, raw, positions)
            for tp, position in positions.items():
                if tp in self._feeds and not self._feeds[tp].buffer:
                    self._feeds[tp].position = position
        if self._poll is None:
            room = 2 * self._settings.batch_events
            hungry = [tp for tp, feed in self._feeds.items() if len(feed.buffer) < room]
            if hungry:
                self._poll = asyncio.create_task(self._fetch(consumer, hungry))

    async def _fetch(
        self, consumer: Any, partitions: Sequence[TopicPartition]
    ) -> tuple[dict[TopicPartition, list[Any]], dict[TopicPartition, int]]:
        polled = await consumer.getmany(*partitions, timeout_ms=self._settings.poll_ms, max_records=POLL_RECORDS)
        # No await may come between getmany's return and the positions: they belong to these records.
        assignment = consumer.assignment()
        positions = {tp: position_of(consumer, tp) for tp in partitions if tp in assignment}
        return polled, positions

    def _offer(
        self, consumer: Any, tp: TopicPartition, raw: list[Any], positions: Mapping[TopicPartition, int]
    ) -> None:
        feed = self._feeds.get(tp)
        if feed is None:
            return  # rewound or revoked since: positioned again before it is read again
        before = feed.next
        verdict = feed.offer(raw, positions.get(tp, 0))
        if verdict is Verdict.SEEK:
            log.warning("records_skipped", topic=tp.topic, shard=tp.partition, offset=before, found=raw[0].offset)
            self._seek_if_assigned(consumer, tp, feed.next)
        elif verdict is Verdict.TAKEN and raw[0].offset > before:
            log.warning("gap_found", topic=tp.topic, shard=tp.partition, offset=before, found=raw[0].offset)

    def _take(self) -> list[Batch]:
        batches = []
        for shard, feeds in self._shards.items():
            if shard not in self._busy and any(feed.buffer for feed in feeds):
                batches.append(self._take_shard(shard, feeds))
        return batches

    def _take_shard(self, shard: int, feeds: Sequence[Feed]) -> Batch:
        room = self._settings.batch_events
        records: dict[str, list[Record]] = {}
        # The last topic first: grants are few and must not wait behind usage.
        for feed in reversed(feeds):
            records[feed.topic] = feed.take(room)
            room -= len(records[feed.topic])
        start = {feed.topic: feed.stored for feed in feeds}
        batch = Batch(shard, records, start, {feed.topic: feed.handed for feed in feeds})
        self._busy[shard] = batch
        return batch

    def _recover(self, consumer: Any, error: kafka_errors.KafkaError) -> None:
        """After a failed `getmany` the client's positions prove nothing: partitions it drained may be lost."""
        if isinstance(error, kafka_errors.OffsetOutOfRangeError | kafka_errors.NoOffsetForPartitionError):
            for shard in list(self._shards):
                self._unposition(shard)  # positioned again, with all checks
            self._next_identity_check = 0.0
            return
        for tp, feed in self._feeds.items():
            self._seek_if_assigned(consumer, tp, feed.next)

    def _seek_if_assigned(self, consumer: Any, tp: TopicPartition, offset: int) -> None:
        if tp in consumer.assignment():
            consumer.seek(tp, offset)

    # --- Kafka's own committed offsets ------------------------------------------------------------------------------

    async def _commit_offsets(self, consumer: Any) -> None:
        offsets, self._acknowledged = self._acknowledged, {}
        held = consumer.assignment()
        offsets = {tp: offset for tp, offset in offsets.items() if tp in held}
        try:
            if offsets:
                async with asyncio.timeout(COMMIT_TIMEOUT_S):
                    await consumer.commit(offsets)
        except (kafka_errors.KafkaError, TimeoutError, OSError) as error:
            log.info("kafka_commit_failed", reason=type(error).__name__)

    def _commit_ended(self, task: "asyncio.Task[None]") -> None:
        self._commit = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("kafka_commit_failed", reason=type(error).__name__, detail=str(error))


async def within(call: Awaitable[T], doing: str) -> T:
    """A deadline that names Kafka: a bare TimeoutError could be anybody's."""
    try:
        async with asyncio.timeout(OFFSETS_TIMEOUT_S):
            return await call
    except TimeoutError as error:
        raise unreachable(error, doing) from error


def position_of(consumer: Any, tp: TopicPartition) -> int:
    """The client's next offset; the public `position()` is a coroutine, and would give way to a seek."""
    state = consumer._subscription.subscription.assignment.state_value(tp)
    return int(state.position) if state is not None and state.has_valid_position else 0


class RebalanceListener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Exceptions in here are logged by aiokafka and then ignored, so nothing in here can fail or wait."""

    def __init__(self, owner: ShardConsumer) -> None:
        self._owner = owner

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        self._owner._forget()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        consumer = self._owner._consumer
        if consumer is not None:
            self._owner._accept(consumer, assigned)
