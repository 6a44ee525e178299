"""The reader and the group consumer of `protocols`, with aiokafka."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import TopicPartition as AiokafkaPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.protocol.group import LeaveGroupRequest

from meter.runtime.kafka.adapter.assignor import ShardAssignor
from meter.runtime.kafka.adapter.metadata import fetch_topic
from meter.runtime.kafka.adapter.options import client_options
from meter.runtime.kafka.adapter.patches import patch_aiokafka
from meter.runtime.kafka.adapter.protocols import Polled, TopicInfo, TopicPartition
from meter.runtime.kafka.adapter.record_objects import AsRead
from meter.runtime.kafka.adapter.stopping import stop_quietly
from meter.runtime.settings import Settings

FETCH_WAIT_MS = 500
# Range is for the time that a group still has members of a version without the other.
ASSIGNORS = (ShardAssignor, RangePartitionAssignor)
# aiokafka keeps one fetched piece of every partition, compressed, until it is polled: this much for all partitions.
FETCHED_BYTES = 8 * 1024 * 1024
PARTITION_BYTES = (64 * 1024, 1024 * 1024)
# A broker answers a fetch at once when it has this much: while records gather, and while they are few. It cuts a
# response short where the next piece does not fit whole, so what it waits for is well below the most that it may send.
GATHERED_BYTES = 512 * 1024
FIRST_BYTE = 1
# So long a fetch stands while nothing comes. What is positioned anew, after a failure, waits for its end.
CALM_WAIT_MS = 500
# And so long after ten seconds in which nothing came. Not longer: what is asked over the same connection waits as well.
IDLE_WAIT_MS = 1_000
# Of one response: 10,000 packed events. While aiokafka reads a response it holds the bytes three times, and
# what it has read of one waits beside the buffers: four times as much takes 35 MB more, and packed events come in no
# earlier. Those that are not packed, 2,500 to a response, come in at a rate that is 8 % lower.
RESPONSE_BYTES = 1024 * 1024


class AiokafkaReader:
    """Implements `ReaderClient`."""

    def __init__(self, settings: Settings, *, fetch_wait_ms: int = FETCH_WAIT_MS, **options: Any) -> None:
        """`options` are those of AIOKafkaConsumer. Without `isolation_level` uncommitted records are read, too."""
        self.inner: Any = AIOKafkaConsumer(
            **client_options(settings),
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=fetch_wait_ms,
            **options,
        )

    async def start(self) -> None:
        patch_aiokafka()
        await self.inner.start()

    async def stop(self, timeout_s: float) -> None:
        await stop_quietly(self.inner, timeout_s)

    def assign(self, partitions: Collection[TopicPartition]) -> None:
        self.inner.assign(to_aiokafka(partitions))

    def assignment(self) -> Set[TopicPartition]:
        assigned: Set[TopicPartition] = self.inner.assignment()
        return assigned

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.inner.seek(AiokafkaPartition(*partition), offset)

    async def poll(
        self, partitions: Collection[TopicPartition], *, timeout_ms: int, max_records: int
    ) -> Mapping[TopicPartition, Sequence[Polled]]:
        if not partitions:
            return {}  # `getmany` takes no partition for every partition
        found: Mapping[TopicPartition, Sequence[Polled]] = await self.inner.getmany(
            *to_aiokafka(partitions), timeout_ms=timeout_ms, max_records=max_records
        )
        return found

    def fetch_offset(self, partition: TopicPartition) -> int:
        """The public `position()` is a coroutine: another task could seek before it answers."""
        state = self.inner._subscription.subscription.assignment.state_value(partition)
        return int(state.position) if state is not None and state.has_valid_position else 0

    def highwater(self, partition: TopicPartition) -> int | None:
        offset: int | None = self.inner.highwater(partition)
        return offset

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        offsets: Mapping[TopicPartition, int] = await self.inner.beginning_offsets(to_aiokafka(partitions))
        return offsets

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        offsets: Mapping[TopicPartition, int] = await self.inner.end_offsets(to_aiokafka(partitions))
        return offsets

    async def describe_topic(self, name: str) -> TopicInfo | None:
        return await fetch_topic(self.inner._client, name)


class AiokafkaConsumer(AiokafkaReader):
    """Implements `ConsumerClient`."""

    def __init__(self, settings: Settings, *, group: str, topics: int) -> None:
        """`topics` is the number of topics to read: with the partitions of each it bounds the bytes per fetch."""
        super().__init__(
            settings,
            client_id=f"{group}-consumer",
            group_id=group,
            isolation_level="read_committed",
            partition_assignment_strategy=ASSIGNORS,
            session_timeout_ms=settings.kafka_session_ms,
            rebalance_timeout_ms=settings.kafka_rebalance_ms,
            heartbeat_interval_ms=min(3_000, settings.kafka_session_ms // 4),
            max_poll_interval_ms=300_000,
            fetch_wait_ms=CALM_WAIT_MS,
            fetch_min_bytes=FIRST_BYTE,
            # After so long aiokafka looks for partitions to fetch from though nothing has happened. What happens wakes
            # it, and five looks a second were a sixth of what a service costs that has nothing to do.
            consumer_timeout_ms=IDLE_WAIT_MS,
            # The broker sends a larger record batch all the same (KIP-74) when its partition is first in a request.
            max_partition_fetch_bytes=share_fetched_bytes(topics * settings.partitions),
            fetch_max_bytes=RESPONSE_BYTES,
            check_crcs=True,
            key_deserializer=AsRead(settings.topic_prefix),
        )
        self._least_ms = settings.kafka_fetch_wait_ms

    async def stop(self, timeout_s: float) -> None:
        """In the middle of a rebalance aiokafka waits for its end; `_leave_group` does not."""
        await stop_quietly(self.inner, timeout_s, farewell=self._leave_group)

    async def _leave_group(self) -> None:
        """Finish a stop that was given up. Otherwise the tasks inside would go on fetching for ever, and the group
        would keep this member's shards from the other members for a whole session.
        """
        coordinator = self.inner._coordinator
        await self.inner._fetcher.close()
        await coordinator._stop_heartbeat_task()
        await coordinator._stop_commit_offsets_refresh_task()
        if coordinator.member_id:
            await coordinator._send_req(LeaveGroupRequest(coordinator.group_id, coordinator.member_id))

    def subscribe(
        self,
        topics: Collection[str],
        *,
        on_revoked: Callable[[], None],
        on_assigned: Callable[[Collection[TopicPartition]], None],
    ) -> None:
        self.inner.subscribe(list(topics), listener=RebalanceListener(on_revoked, on_assigned))

    def pause(self, *partitions: TopicPartition) -> None:
        self.inner.pause(*to_aiokafka(partitions))

    def resume(self, *partitions: TopicPartition) -> None:
        self.inner.resume(*to_aiokafka(partitions))

    def gather(self, wait_s: float, *, is_idle: bool) -> None:
        """aiokafka takes both figures at construction only, and reads them for every request."""
        fetcher = self.inner._fetcher
        fetcher._fetch_min_bytes = GATHERED_BYTES if wait_s else FIRST_BYTE
        rest_ms = max(IDLE_WAIT_MS if is_idle else CALM_WAIT_MS, self._least_ms)
        fetcher._fetch_max_wait_ms = max(1, round(wait_s * 1000)) if wait_s else rest_ms

    def has_stopped_fetching(self) -> bool:
        follows_leaders = self.inner._client._sync_task
        return bool(self.inner._fetcher.error_future.done() or (follows_leaders and follows_leaders.done()))

    def check_group(self) -> None:
        """aiokafka raises such an error in `getmany` only, and without shards nobody calls `getmany`."""
        self.inner._coordinator.check_errors()

    def has_leader(self, partition: TopicPartition) -> bool:
        leader = self.inner._client.cluster.leader_for_partition(AiokafkaPartition(*partition))
        return leader is not None and leader >= 0

    def stay(self) -> None:
        with self.inner._subscription.fetch_context():
            pass  # what ends here counts as a poll

    def last_stable_offset(self, partition: TopicPartition) -> int | None:
        offset: int | None = self.inner.last_stable_offset(partition)
        return offset

    def fetched_at(self, partition: TopicPartition) -> int | None:
        stamp: int | None = self.inner.last_poll_timestamp(partition)
        return stamp

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        await self.inner.commit({AiokafkaPartition(*tp): offset for tp, offset in offsets.items()})

    async def fetch_committed(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        offsets = await asyncio.gather(*(self.inner.committed(tp) for tp in to_aiokafka(partitions)))
        pairs = zip(partitions, offsets, strict=True)
        return {tp: offset for tp, offset in pairs if offset is not None}


class RebalanceListener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Passes the group's decisions on. aiokafka only logs an exception in here, so nothing here may fail or wait."""

    def __init__(
        self, on_revoked: Callable[[], None], on_assigned: Callable[[Collection[TopicPartition]], None]
    ) -> None:
        self._on_revoked = on_revoked
        self._on_assigned = on_assigned

    def on_partitions_revoked(self, _revoked: Collection[TopicPartition]) -> None:
        self._on_revoked()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._on_assigned(assigned)


def to_aiokafka(partitions: Collection[TopicPartition]) -> list[Any]:
    """aiokafka checks that partitions are of its own class."""
    return [AiokafkaPartition(*tp) for tp in partitions]


def share_fetched_bytes(partitions: int) -> int:
    """Bytes that one fetch may bring of one partition."""
    least, most = PARTITION_BYTES
    return min(most, max(least, FETCHED_BYTES // partitions))
