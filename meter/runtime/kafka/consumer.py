"""The consumer that keeps its offsets in Postgres: `ShardConsumer`.

A shard is partition *p* of all its topics. Only what the database stores counts; Kafka's committed offsets are for lag
tools. Its rooms: `kafka_assignment` (which shards, and from where), `kafka_poll` (records in), `shelf` (what is held,
and batches out), `kafka_commits` (lag tools).
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.protocol.group import LeaveGroupRequest

from meter.runtime.clock import Clock
from meter.runtime.errors import DependencyUnreachableError, TopicIdentityError
from meter.runtime.kafka.admin import TopicAdmin, TopicInfo, fetch_topic
from meter.runtime.kafka.assignment import Assignment, OffsetStore, RebalanceListener, within
from meter.runtime.kafka.client import check_codecs, client_options, stop_quietly
from meter.runtime.kafka.commits import Commits
from meter.runtime.kafka.failures import is_transient, unreachable
from meter.runtime.kafka.poller import Poller, seek_if_assigned
from meter.runtime.kafka.record_objects import as_read
from meter.runtime.kafka.shard_buffers import Batch, Shelf
from meter.runtime.settings import Settings

START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 2
IDENTITY_PAUSE_S = 30.0
# aiokafka keeps a fetched piece of every partition until it is asked for, compressed; so much for all of them.
FETCHED_BYTES = 24 * 1024 * 1024
PARTITION_BYTES = (64 * 1024, 1024 * 1024)
# With so much a fetch is full before its time is over.
GATHERED_BYTES = 1024 * 1024
# Of one response, which is there three times while it is read.
RESPONSE_BYTES = 4 * 1024 * 1024


class TopicGuard(Protocol):
    async def check_topics(self, topics: Mapping[str, TopicInfo]) -> None:
        """Compare with what is recorded (or record it, the first time); raise TopicIdentityError."""
        ...


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
        self._names = {topic: settings.topic(topic) for topic in topics}
        self._group = settings.group(group)
        self._clock = clock
        self._guard = guard
        self._consumer: Any = None
        self._shelf = Shelf(
            batch_events=settings.batch_events, batch_bytes=settings.batch_bytes, buffer_bytes=settings.buffer_bytes
        )
        self._assignment = Assignment(settings, self._names, store, self._shelf)
        self._poller = Poller(self._shelf, settings.poll_ms)
        self._commits = Commits()
        self._freed = asyncio.Event()
        self._next_identity_check = 0.0

    # --- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Join the group. Raises DependencyUnreachableError (also while the topics are missing)."""
        check_codecs()
        await self._check_topics_exist()
        consumer = self._make_consumer()
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                consumer.subscribe(list(self._names.values()), listener=RebalanceListener(self._forget, self._accept))
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
            fetch_min_bytes=GATHERED_BYTES,
            # A record batch that is larger comes nevertheless (KIP-74), when its partition stands first in a request.
            max_partition_fetch_bytes=share_fetched_bytes(len(self._names) * self._settings.partitions),
            fetch_max_bytes=RESPONSE_BYTES,
            check_crcs=True,
            key_deserializer=as_read,
        )

    async def _check_topics_exist(self) -> None:
        """A consumer that subscribes to a missing topic makes it, with the broker's defaults: ask first."""
        async with TopicAdmin(self._settings) as admin:
            for topic, name in self._names.items():
                if await admin.find(topic) is None:
                    raise DependencyUnreachableError(f"there is no topic {name}: run `meter setup`", dependency="kafka")

    async def stop(self) -> None:
        """Commit what was acknowledged and leave the group, within 5 s, whatever the brokers do."""
        consumer, self._consumer = self._consumer, None
        if consumer is None:
            return
        await self._commits.flush(consumer)
        # In the middle of a rebalance aiokafka waits for its end. Not leaving would keep the shards from the others for
        # a whole session.
        await stop_quietly(consumer, STOP_TIMEOUT_S, farewell=lambda: end_halfway(consumer))
        await self._poller.stop()
        self._forget()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # --- the four verbs ---------------------------------------------------------------------------------------------

    async def receive(self) -> list[Batch]:
        """Wait up to `poll_ms` for records; at most `batch_events` and about `batch_bytes` per shard; else [].

        Raises TransientError (repeat: every partition is read again from the right offset) or a RefusalError.
        """
        consumer = self._running
        self._freed.clear()
        if consumer._fetcher.error_future.done():
            # aiokafka would answer "no records" from now on, without an end and without an error.
            raise DependencyUnreachableError("kafka: the fetch task has ended", dependency="kafka")
        try:
            # aiokafka stands still until an error of the group is taken, and gives it out in `getmany` only; during a
            # rebalance there are no shards, and so no `getmany`.
            consumer._coordinator.check_errors()
            self._assignment.check_even()
            await self._check_identity(consumer)
            await self._assignment.position(consumer)
            self._poller.turn(consumer)
            batches = self._shelf.take()
            if not batches:
                if self._poller.refusal is not None and not self._shelf.busy:
                    raise self._poller.refusal
                await self._poller.wait(self._freed)
                self._poller.turn(consumer)
                batches = self._shelf.take()
        except kafka_errors.KafkaError as error:
            self._recover(consumer, error)
            if is_transient(error):
                raise unreachable(error, "receiving") from error
            raise
        return batches

    def advance(self, batch: Batch) -> None:
        """The batch is committed in the database."""
        if self._shelf.store(batch):
            self._assignment.progressed(batch.shard)
            self._freed.set()

    async def rewind(self, shards: Iterable[int]) -> None:
        """Forget what is held of these shards and read their stored offsets again before the next batch.

        Repeated rewinds of a shard without an advance between them are spaced out, up to 5 s.
        """
        self._assignment.rewind(self._consumer, shards)
        self._freed.set()

    async def acknowledge(self, batches: Iterable[Batch]) -> None:
        """Tell Kafka, for lag tools: best effort, at most once a second, in the background, never raises."""
        for batch in batches:
            for topic, offset in batch.end.items():
                self._commits.note(self._names[topic], batch.shard, offset)
        if self._consumer is not None:
            self._commits.turn(self._consumer)

    # --- what is known ----------------------------------------------------------------------------------------------

    @property
    def assigned(self) -> frozenset[int]:
        """Shards that the group has given to this consumer, positioned or not."""
        return self._assignment.shards

    def lag(self) -> int:
        """Records (offsets) on the broker that are not stored yet, of the positioned shards, as of the last fetch."""
        consumer = self._consumer
        if consumer is None:
            return 0
        # A shard that is assigned but cannot be positioned is waiting work, too.
        total = self._assignment.count_waiting()
        for place, feed in self._shelf.feeds.items():
            tp = TopicPartition(*place)
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

    # --- inside -----------------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        self._assignment.forget()
        self._commits.forget()

    def _accept(self, partitions: Collection[TopicPartition]) -> None:
        if self._consumer is not None:
            self._assignment.accept(self._consumer, partitions)
            self._commits.forget()
            self._freed.set()

    async def _check_identity(self, consumer: Any) -> None:
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

    def _recover(self, consumer: Any, error: kafka_errors.KafkaError) -> None:
        """After a failed `getmany` the client's positions prove nothing: partitions it drained may be lost."""
        if isinstance(error, kafka_errors.OffsetOutOfRangeError | kafka_errors.NoOffsetForPartitionError):
            for shard in list(self._shelf.shards):
                self._assignment.unposition(consumer, shard)  # positioned again, with all checks
            self._next_identity_check = 0.0
            return
        for place, feed in self._shelf.feeds.items():
            seek_if_assigned(consumer, TopicPartition(*place), feed.next)


async def end_halfway(consumer: Any) -> None:
    """What is left to do where `AIOKafkaConsumer.stop` was given up: its tasks would go on fetching for ever."""
    coordinator = consumer._coordinator
    await consumer._fetcher.close()
    await coordinator._stop_heartbeat_task()
    await coordinator._stop_commit_offsets_refresh_task()
    if coordinator.member_id:
        await coordinator._send_req(LeaveGroupRequest(coordinator.group_id, coordinator.member_id))


def share_fetched_bytes(partitions: int) -> int:
    """Bytes that one fetch may bring of one partition."""
    least, most = PARTITION_BYTES
    return min(most, max(least, FETCHED_BYTES // partitions))
