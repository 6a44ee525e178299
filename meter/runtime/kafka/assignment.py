"""Which shards the group has given to this consumer, and bringing them to the stored offsets.

The rebalance listener does nothing that can wait or fail: it pauses what came and marks it as unpositioned. The main
loop then reads the stored offsets, checks them against the broker, seeks and resumes, so that every error there reaches
the caller instead of aiokafka's log.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition

from meter.runtime.errors import TopicIdentityError
from meter.runtime.kafka.admin import TopicAdmin
from meter.runtime.kafka.failures import unreachable
from meter.runtime.kafka.offset_ranges import Range, check_ranges
from meter.runtime.kafka.partition_buffer import Feed
from meter.runtime.kafka.shard_buffers import Shelf
from meter.runtime.settings import Settings

log = structlog.get_logger(component="kafka_assignment")

T = TypeVar("T")

OFFSETS_TIMEOUT_S = 20


class OffsetStore(Protocol):
    async def fetch_offsets(self, topics: Sequence[str], shards: Sequence[int]) -> Mapping[tuple[str, int], int]:
        """The next offset to read per (logical topic, shard); a shard that was never set up is missing."""
        ...


class Assignment:
    """Assigned shards; those on the shelf are positioned, the others wait for it (some for a pause to pass)."""

    def __init__(self, settings: Settings, names: Mapping[str, str], store: OffsetStore, shelf: Shelf) -> None:
        self.shards: frozenset[int] = frozenset()
        self._settings = settings
        self._names = names  # on the broker, by logical topic
        self._store = store
        self._shelf = shelf
        self._generation = 0
        self._lopsided: frozenset[int] = frozenset()
        self._pauses: dict[int, tuple[int, float]] = {}  # shard: rewinds in a row, not before (loop time)

    # --- said by the listener ---------------------------------------------------------------------------------------

    def forget(self) -> None:
        """Partitions were revoked."""
        self._generation += 1
        self.shards = self._lopsided = frozenset()
        self._shelf.clear()

    def accept(self, consumer: Any, partitions: Collection[TopicPartition]) -> None:
        """Partitions were assigned. Pause first: aiokafka delivers from its own committed offset otherwise."""
        consumer.pause(*partitions)
        for tp in partitions:
            # While it has no position aiokafka asks for committed offsets and fails with NoOffsetForPartition.
            consumer.seek(tp, 0)
        self.forget()
        held = [{tp.partition for tp in partitions if tp.topic == name} for name in self._names.values()]
        self.shards = frozenset(set.intersection(*held))
        self._lopsided = frozenset(set.union(*held)) - self.shards
        log.info("shards_assigned", shards=sorted(self.shards))

    # --- said by the main loop --------------------------------------------------------------------------------------

    def check_even(self) -> None:
        if self._lopsided:
            raise TopicIdentityError(
                f"topics {', '.join(self._names.values())} must have the same number of partitions, but this consumer "
                f"got partitions {sorted(self._lopsided)} of some of them only: compare the topics with the setting "
                "METERING_PARTITIONS and run `meter setup`"
            )

    def count_waiting(self) -> int:
        """Shards that should be read and cannot be yet."""
        return len(self.shards - set(self._shelf.shards) - self._shelf.busy.keys())

    def progressed(self, shard: int) -> None:
        self._pauses.pop(shard, None)

    def rewind(self, consumer: Any, shards: Iterable[int]) -> None:
        """Have the stored offsets read again. Repeated rewinds without progress are spaced out, up to 5 s."""
        now = asyncio.get_running_loop().time()
        for shard in shards:
            self._shelf.busy.pop(shard, None)
            count = self._pauses.get(shard, (0, 0.0))[0]
            pause_s = 0.0 if count == 0 else min(5.0, 0.05 * 2**count) * random.uniform(0.5, 1.0)  # noqa: S311
            self._pauses[shard] = (min(count + 1, 10), now + pause_s)
            self.unposition(consumer, shard)

    def unposition(self, consumer: Any, shard: int) -> None:
        if places := self._shelf.drop(shard):
            held = consumer.assignment()
            consumer.pause(*(tp for place in places if (tp := TopicPartition(*place)) in held))

    async def position(self, consumer: Any) -> None:
        """Seek to the stored offsets, after checking that the broker still has what comes next."""
        now = asyncio.get_running_loop().time()
        done = {*self._shelf.shards, *self._shelf.busy}
        waiting = [
            shard for shard in sorted(self.shards) if shard not in done and self._pauses.get(shard, (0, 0.0))[1] <= now
        ]
        if not waiting:
            return
        generation = self._generation
        stored = await self._store.fetch_offsets(tuple(self._names), waiting)
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
            feeds = {}
            for topic, name in self._names.items():
                tp, here = TopicPartition(name, shard), found[name, shard]
                feed = feeds[name, shard] = Feed(topic, shard, here.stored or 0)
                feed.skip_to(here.begin)
                consumer.seek(tp, feed.next)
                consumer.resume(tp)
            self._shelf.put(shard, feeds)


async def within(call: Awaitable[T], doing: str) -> T:
    """A deadline that names Kafka: a bare TimeoutError could be anybody's."""
    try:
        async with asyncio.timeout(OFFSETS_TIMEOUT_S):
            return await call
    except TimeoutError as error:
        raise unreachable(error, doing) from error


class RebalanceListener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Exceptions in here are logged by aiokafka and then ignored, so nothing in here can fail or wait."""

    def __init__(self, revoked: Callable[[], None], assigned: Callable[[Collection[TopicPartition]], None]) -> None:
        self._revoked = revoked
        self._assigned = assigned

    def on_partitions_revoked(self, _revoked: Collection[TopicPartition]) -> None:
        self._revoked()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._assigned(assigned)
