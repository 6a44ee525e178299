"""The consumer that keeps its offsets in Postgres: `ShardConsumer`.

A shard is partition *p* of all its topics. Only what the database stores counts; Kafka's committed offsets are for lag
tools. The parts: `assignment` (which shards, from which offset), `poller` (records in), `shard_buffers` (what is
buffered, batches out), `topic_ends` (where topics end), `commits` (lag tools).
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from typing import Self

from meter.runtime.errors import DependencyUnreachableError
from meter.runtime.kafka.adapter.consumer import AiokafkaConsumer
from meter.runtime.kafka.adapter.protocols import ConsumerClient, TopicPartition
from meter.runtime.kafka.admin import TopicAdmin
from meter.runtime.kafka.assignment import Assignment, OffsetStore
from meter.runtime.kafka.commits import Commits
from meter.runtime.kafka.connecting import not_connected
from meter.runtime.kafka.failures import OFFSET_NOT_THERE, KafkaError, is_transient, unreachable
from meter.runtime.kafka.history import History
from meter.runtime.kafka.identity import IdentityCheck, TopicGuard
from meter.runtime.kafka.lag import PartitionLag
from meter.runtime.kafka.offset_ranges import OF_INPUTS, Remedies
from meter.runtime.kafka.pace import FetchPace
from meter.runtime.kafka.poller import Poller, seek_if_assigned
from meter.runtime.kafka.shard_buffers import Batch, ShardBuffers
from meter.runtime.kafka.topic_ends import TopicEnds
from meter.runtime.settings import Settings

START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 2


class ShardConsumer:
    """Receive batches per shard, each starting at the stored offset.

    A shard whose batch was neither advanced nor rewound gets no further batch. So the caller may store the batches of
    several shards at the same time, and call `receive` meanwhile. Not for use from several tasks at once.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        topics: Sequence[str],
        group: str,
        store: OffsetStore,
        guard: TopicGuard | None = None,
        remedies: Remedies = OF_INPUTS,
        history: History | None = None,
        beyond: bool = False,
        concurrency: int = 4,
    ) -> None:
        """`concurrency`: full batches that the caller stores at the same time. With `beyond` partitions that no shard
        has, of a topic that somebody has grown, are read as well."""
        self._settings = settings
        self._names = {topic: settings.topic(topic) for topic in topics}
        self._group = settings.group(group)
        self._client: ConsumerClient | None = None
        self._buffers = ShardBuffers(
            batch_events=settings.batch_events,
            batch_bytes=settings.batch_bytes,
            buffer_bytes=settings.buffer_bytes,
            concurrency=concurrency,
        )
        self._assignment = Assignment(
            settings, self._names, store, self._buffers, remedies, history, beyond=beyond, wake=self.wake
        )
        self._poller = Poller(self._buffers, settings.poll_ms, FetchPace(settings.kafka_fetch_wait_ms / 1000))
        self._commits = Commits()
        self._freed = asyncio.Event()
        self._identity = IdentityCheck(guard, self._names)
        self._ends = TopicEnds(settings, self._names, self._buffers, self._identity)

    # --- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Join the group. Raises DependencyUnreachableError, also while the topics are missing."""
        await self._check_topics_exist()
        client = AiokafkaConsumer(self._settings, group=self._group, topics=len(self._names))
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                client.subscribe(list(self._names.values()), on_revoked=self._forget, on_assigned=self._accept)
                self._client = client
                await client.start()
        except BaseException as error:
            self._client = None
            await client.stop(STOP_TIMEOUT_S)
            if is_transient(error):
                raise await not_connected(error, self._settings) from error
            raise

    async def _check_topics_exist(self) -> None:
        """Ask first: a consumer that subscribes to a missing topic creates it, with the broker's defaults."""
        async with TopicAdmin(self._settings) as admin:
            for topic, name in self._names.items():
                if await admin.find(topic) is None:
                    raise DependencyUnreachableError(f"there is no topic {name}: run `meter setup`", dependency="kafka")

    async def stop(self) -> None:
        """Commit what was acknowledged and leave the group, within 5 s, whatever the brokers do."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            await self._commits.flush(client)
        finally:
            await client.stop(STOP_TIMEOUT_S)
            await self._ends.close()
            await self._poller.stop()
            self._forget()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # --- the four verbs ---------------------------------------------------------------------------------------------

    async def receive(self) -> list[Batch]:
        """Batches of shards that have records, while there is room in flight; waits for the first until `wake`, and for
        up to `poll_ms` (half a second while little comes, a second after ten without a record), then returns [].
        Whoever holds full batches holds up the other shards.

        A batch has at most `batch_events` records and about `batch_bytes`. Raises TransientError (call again: every
        partition is read from the right offset) or RefusalError (a person must act).
        """
        client = self._started
        self._freed.clear()
        if client.has_stopped_fetching():
            raise DependencyUnreachableError(
                "kafka: the fetch task has ended, or that which learns of leaders", dependency="kafka"
            )
        try:
            client.check_group()
            await self._identity.look(client)  # first: a topic that is gone leaves the other one's partitions
            self._assignment.check_complete()
            await self._assignment.position(client)
            if not self._buffers.partitions:
                client.stay()
            self._poller.keep_polling(client)
            batches = self._buffers.take()
            if not batches:
                await self._poller.wait(self._freed, calm=not self._assignment.count_unpositioned())
                self._poller.keep_polling(client)
                batches = self._buffers.take()
        except KafkaError as error:
            self._recover(client, error)
            if is_transient(error):
                raise unreachable(error, "receiving") from error
            raise
        return batches

    def wake(self) -> None:
        """Let `receive` return at once, with what is there."""
        self._freed.set()

    def advance(self, batch: Batch) -> None:
        """The batch is committed in the database."""
        if self._buffers.store(batch):
            self._assignment.mark_progress(batch)
            self._freed.set()

    async def rewind(self, shards: Iterable[int]) -> None:
        """Forget what is held of these shards and read their stored offsets again before the next batch.

        Repeated rewinds of a shard without an advance between them are spaced out, up to 5 s.
        """
        if self._client is not None:
            self._assignment.rewind(self._client, shards)
        self._freed.set()

    async def acknowledge(self, batches: Iterable[Batch]) -> None:
        """Commit the offsets to Kafka, for lag tools: at most once a second, in the background. Never raises."""
        for batch in batches:
            for topic, offset in batch.end.items():
                self._commits.note(self._names[topic], batch.shard, offset)
        if self._client is not None:
            self._commits.commit_if_due(self._client)

    # --- what is known ----------------------------------------------------------------------------------------------

    @property
    def assigned(self) -> frozenset[int]:
        """Shards that the group has assigned to this consumer, positioned or not."""
        return self._assignment.shards

    def lag(self) -> int:
        """Offsets that can be read and are not stored yet, of the positioned shards, as of the last fetch: the work
        that waits. What an open transaction holds back is none, because no process could do it (`measure_lag` has it);
        nor is what is not fetched yet of a partition without a leader.

        A shard that is assigned and cannot be positioned yet counts as one: it is waiting work.
        """
        client = self._client
        if client is None:
            return 0
        total = self._assignment.count_unpositioned()
        held = client.assignment()
        for tp, buffer in self._buffers.partitions.items():
            if tp in held:  # else revoked between two steps of the loop
                end = client.last_stable_offset(tp) if client.has_leader(tp) else buffer.next
                total += buffer.lag(client.highwater(tp) if end is None or end < 0 else end)
        return total

    async def fetch_ends(self, topic: str) -> dict[int, int]:
        """The end of each shard's partition of a topic, those of other consumers as well, asked of the broker now.

        Partitions that do not answer are missing. Raises TransientError where none does.
        """
        return await self._ends.fetch(self._started, topic)

    async def find_end(self, topic: str, batch: Batch) -> int:
        """The end of the batch's partition of a topic, asked of the broker now.

        Where nothing but markers of transactions lies behind the batch, that is its own end. Raises TransientError.
        """
        return await self._ends.find(self._started, topic, batch)

    async def find_all_ends(self, topic: str) -> list[int]:
        """The end of each partition of a topic by its number, also of those that no shard has, asked of the broker now.

        Where nothing but markers lies behind what this consumer takes in, that is its end. Raises TransientError.
        """
        return await self._ends.find_all(self._started, topic)

    def measure_lag(self) -> list[PartitionLag]:
        """Of each positioned partition, to the high watermark, as of the last fetch."""
        client = self._client
        if client is None:
            return []
        held = client.assignment()
        lags = []
        for tp, buffer in self._buffers.partitions.items():
            end = client.highwater(tp) if tp in held else None
            if end is not None:
                stable = client.last_stable_offset(tp)
                stable = end if stable is None or stable < 0 else stable
                lags.append(PartitionLag(buffer.topic, tp.partition, buffer.stored, stable, end, buffer.lag(end)))
        return lags

    def list_silent(self) -> dict[tuple[str, int], str]:
        """Partitions, by topic and number, whose shard waits to be read because they do not answer, and why."""
        topics = {name: topic for topic, name in self._names.items()}
        return {(topics[tp.topic], tp.partition): reason for tp, reason in self._assignment.away.silent.items()}

    def list_fetched(self) -> dict[tuple[str, int], int | None]:
        """Of each partition that should be fetched from now, when a fetch of it was answered last: a time of the
        client's, to be compared with an earlier one; None: none was yet."""
        client = self._client
        if client is None:
            return {}
        held = client.assignment()
        fetchable = (tp for tp in self._buffers.find_fetchable() if tp in held)
        return {(self._buffers.partitions[tp].topic, tp.partition): client.fetched_at(tp) for tp in fetchable}

    @property
    def _started(self) -> ConsumerClient:
        if self._client is None:
            raise RuntimeError("ShardConsumer is not started")
        return self._client

    # --- inside -----------------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        self._assignment.forget()
        self._commits.forget()

    def _accept(self, partitions: Collection[TopicPartition]) -> None:
        if self._client is not None:
            self._assignment.accept(self._client, partitions)
            self._commits.forget()
            self._freed.set()
            self._identity.require()  # other partitions, perhaps of a topic that was grown

    def _recover(self, client: ConsumerClient, error: Exception) -> None:
        """After a failed poll the client's offsets prove nothing: it may have drained partitions before it failed."""
        if isinstance(error, OFFSET_NOT_THERE):
            for shard in list(self._buffers.shards):
                self._assignment.unposition(client, shard)  # positioned again, with all checks
            self._identity.require()
            return
        for tp, buffer in self._buffers.partitions.items():
            seek_if_assigned(client, tp, buffer.next)
