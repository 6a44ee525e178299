"""Which shards the group has assigned to this consumer, and positioning them at the stored offsets.

The rebalance callbacks do nothing that can wait or fail: they pause what was assigned and mark it as not positioned.
The main loop then reads the stored offsets, checks them against the broker, seeks and resumes. So every error of that
reaches the caller instead of aiokafka's log.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

from meter.runtime.errors import TopicIdentityError
from meter.runtime.kafka.adapter.protocols import ConsumerClient, TopicPartition
from meter.runtime.kafka.admin import TopicAdmin
from meter.runtime.kafka.asking import Answers, ask_each, not_answered
from meter.runtime.kafka.away import Away
from meter.runtime.kafka.failures import unreachable
from meter.runtime.kafka.history import History
from meter.runtime.kafka.offset_ranges import OF_INPUTS, OffsetRange, Remedies, check_ranges
from meter.runtime.kafka.partition_buffer import PartitionBuffer
from meter.runtime.kafka.shard_buffers import Batch, ShardBuffers
from meter.runtime.log import get_logger
from meter.runtime.settings import Settings

log = get_logger("kafka_assignment")

T = TypeVar("T")

OFFSETS_TIMEOUT_S = 20
CURSOR_PAUSE_S = 1.0


class OffsetStore(Protocol):
    async def fetch_offsets(self, topics: Sequence[str], shards: Sequence[int]) -> Mapping[tuple[str, int], int]:
        """The next offset to read per (logical topic, shard); a shard that was never set up is missing."""
        ...


class Assignment:
    """The assigned shards. Those in `buffers` are positioned; the others wait to be: some until a pause has passed, and
    those with a partition that does not answer until it does (`away`)."""

    def __init__(
        self,
        settings: Settings,
        names: Mapping[str, str],
        store: OffsetStore,
        buffers: ShardBuffers,
        remedies: Remedies = OF_INPUTS,
        history: History | None = None,
        *,
        beyond: bool = False,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """With `beyond` partitions are read that no shard has, because somebody has grown a topic; else left alone.
        `wake`: a partition that was silent answers, so `position` has something to do."""
        self.shards: frozenset[int] = frozenset()
        self._beyond = beyond
        self._held: frozenset[TopicPartition] = frozenset()
        self._settings = settings
        self._names = names  # on the broker, by logical topic
        self._store = store
        self._buffers = buffers
        self._remedies = remedies
        self._history = history
        self.away = Away(wake)
        self._generation = 0
        self._incomplete: frozenset[int] = frozenset()  # assigned of some topics, not of all
        self._pauses: dict[int, tuple[int, float]] = {}  # shard: rewinds in a row, not before (loop time)

    # --- called in a rebalance --------------------------------------------------------------------------------------

    def forget(self) -> None:
        """Partitions were revoked."""
        self._generation += 1
        self.shards = self._incomplete = frozenset()
        self._held = frozenset()
        self._buffers.clear()
        self.away.forget()

    def accept(self, client: ConsumerClient, partitions: Collection[TopicPartition]) -> None:
        """Partitions were assigned. Pause first: otherwise aiokafka delivers from its own committed offset."""
        client.pause(*partitions)
        for tp in partitions:
            # While a partition has no offset, aiokafka asks for a committed one and fails with NoOffsetForPartition.
            client.seek(tp, 0)
        self.forget()
        self._held = frozenset(TopicPartition(*tp) for tp in partitions)
        held = [{tp.partition for tp in partitions if tp.topic == name} for name in self._names.values()]
        everywhere, anywhere = frozenset(set.intersection(*held)), frozenset(set.union(*held))
        grown = frozenset(number for number in anywhere if self._is_beyond(number))
        self.shards = (everywhere - grown) | (grown if self._beyond else frozenset())
        self._incomplete = anywhere - everywhere - grown
        log.info("shards_assigned", shards=sorted(self.shards))

    def _is_beyond(self, number: int) -> bool:
        """Whether no shard has the partition."""
        return number >= self._settings.partitions

    # --- called by the main loop ------------------------------------------------------------------------------------

    def check_complete(self) -> None:
        """Raise TopicIdentityError when the group assigned a partition of one topic and not of the others."""
        if self._incomplete:
            raise TopicIdentityError(
                f"topics {', '.join(self._names.values())} must have the same number of partitions, but this consumer "
                f"got partitions {sorted(self._incomplete)} of some of them only: compare the topics with the setting "
                "METERING_PARTITIONS and run `meter setup`"
            )

    def count_unpositioned(self) -> int:
        """Shards that should be read and cannot be yet. Not those that are away: no other process could read them."""
        return len(self.shards - set(self._buffers.shards) - self._buffers.in_flight.keys() - self.away.shards)

    def mark_progress(self, batch: Batch) -> None:
        """A batch was stored: the next rewind of the shard waits for nothing."""
        self._pauses.pop(batch.shard, None)
        if self._history is not None:
            for topic, end in batch.end.items():
                self._history.note(topic, batch.shard, end)

    def rewind(self, client: ConsumerClient, shards: Iterable[int]) -> None:
        """Have the stored offsets read again. Repeated rewinds without progress are spaced out, up to 5 s."""
        now = asyncio.get_running_loop().time()
        for shard in shards:
            self._buffers.in_flight.pop(shard, None)
            count = self._pauses.get(shard, (0, 0.0))[0]
            pause_s = 0.0 if count == 0 else min(5.0, 0.05 * 2**count) * random.uniform(0.5, 1.0)  # noqa: S311
            self._pauses[shard] = (min(count + 1, 10), now + pause_s)
            self.unposition(client, shard)

    def unposition(self, client: ConsumerClient, shard: int) -> None:
        """Drop what is buffered of a shard and pause its partitions; `position` brings it back."""
        if dropped := self._buffers.drop(shard):
            held = client.assignment()
            client.pause(*(tp for tp in dropped if tp in held))

    async def position(self, client: ConsumerClient) -> None:
        """Seek to the stored offsets, after checking that the broker still has what comes next.

        A shard with a partition that does not answer is left out until it does. Raises TransientError where no shard
        of this consumer can be read.
        """
        now = asyncio.get_running_loop().time()
        done = {*self._buffers.shards, *self._buffers.in_flight, *self.away.shards}
        waiting = [
            shard for shard in sorted(self.shards) if shard not in done and self._pauses.get(shard, (0, 0.0))[1] <= now
        ]
        if not waiting:
            return
        generation = self._generation
        committed = {} if self._history is None else await self._fetch_committed(client, waiting)
        stored = await self._store.fetch_offsets(tuple(self._names), waiting)
        if self._history is not None and generation == self._generation:
            self._history.check(stored, committed)
        waiting = self._put_off_unknown(waiting, stored, now)
        answers = await self._ask_bounds(client, waiting)
        if generation != self._generation:
            return  # a rebalance came between: what was read may be out of date
        if answers.silent and not answers.found and not done:
            raise not_answered(answers.silent, "reading offsets")  # of all: a new client finds other brokers, perhaps
        self.away.note(answers.silent, partial(ask_each, partial(fetch_bounds, client)))
        waiting = [shard for shard in waiting if shard not in self.away.shards]
        if not waiting:
            return
        ranges = self._make_ranges(waiting, stored, answers.found)
        if await check_ranges(ranges, lambda: self._fetch_exact_ranges(ranges), self._settings, self._remedies):
            self._seek(client, waiting, ranges, generation)

    def _put_off_unknown(self, shards: Sequence[int], stored: Mapping[tuple[str, int], int], now: float) -> list[int]:
        """Partitions that no shard has get their cursor when the topics are compared, which a rebalance may precede."""
        places = {shard for _topic, shard in stored}
        unknown = {shard for shard in shards if self._is_beyond(shard) and shard not in places}
        self._pauses.update(dict.fromkeys(unknown, (0, now + CURSOR_PAUSE_S)))
        return [shard for shard in shards if shard not in unknown]

    async def _fetch_committed(self, client: ConsumerClient, shards: Sequence[int]) -> dict[tuple[str, int], int]:
        topics = {name: topic for topic, name in self._names.items()}
        partitions = self._find_held(shards)
        found = await within(client.fetch_committed(partitions), "reading committed offsets")
        return {(topics[tp.topic], tp.partition): offset for tp, offset in found.items()}

    async def _ask_bounds(self, client: ConsumerClient, shards: Sequence[int]) -> "Answers[Bounds]":
        return await ask_each(partial(fetch_bounds, client), self._find_held(shards))

    def _make_ranges(
        self,
        shards: Sequence[int],
        stored: Mapping[tuple[str, int], int],
        bounds: Mapping[TopicPartition, "Bounds"],
    ) -> list[OffsetRange]:
        ranges = []
        for topic, name in self._names.items():
            for shard in shards:
                wanted = stored.get((topic, shard))
                absent = Bounds(wanted or 0, wanted or 0)  # of one that is not on the broker
                ranges.append(OffsetRange(name, shard, wanted, *bounds.get(TopicPartition(name, shard), absent)))
        return ranges

    def _find_held(self, shards: Sequence[int]) -> list[TopicPartition]:
        """Those of the shards' partitions that are there: of a topic that was not grown the further ones are not."""
        wanted = (TopicPartition(name, shard) for name in self._names.values() for shard in shards)
        return [tp for tp in wanted if tp in self._held]

    async def _fetch_exact_ranges(self, ranges: Sequence[OffsetRange]) -> list[OffsetRange]:
        """The same ranges with the ends that come with a fetch: some brokers answer ListOffsets a little too low."""
        async with TopicAdmin(self._settings) as admin:
            numbers = {item.shard for item in ranges}
            ends = {name: await admin.end_offsets(topic, numbers) for topic, name in self._names.items()}
        return [item._replace(end=ends[item.topic].get(item.shard, 0)) for item in ranges]

    def _seek(
        self, client: ConsumerClient, shards: Sequence[int], ranges: Sequence[OffsetRange], generation: int
    ) -> None:
        if generation != self._generation:
            return
        found = {(item.topic, item.shard): item for item in ranges}
        for shard in shards:
            buffers = {}
            for topic, name in self._names.items():
                tp, here = TopicPartition(name, shard), found[name, shard]
                buffer = buffers[tp] = PartitionBuffer(topic, shard, here.stored or 0)
                buffer.skip_to(here.begin)
                if tp in self._held:
                    client.seek(tp, buffer.next)
                    client.resume(tp)
            self._buffers.put(shard, buffers, buffers.keys() - self._held)


class Bounds(NamedTuple):
    """Where a partition begins and ends on the broker."""

    begin: int
    end: int


async def fetch_bounds(client: ConsumerClient, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Bounds]:
    begin = await client.beginning_offsets(partitions)
    end = await client.end_offsets(partitions)
    return {tp: Bounds(begin[tp], end[tp]) for tp in partitions}


async def within(call: Awaitable[T], doing: str, timeout_s: float = OFFSETS_TIMEOUT_S) -> T:
    """Await with a deadline. The error names Kafka, which a bare TimeoutError would not."""
    try:
        async with asyncio.timeout(timeout_s):
            return await call
    except TimeoutError as error:
        raise unreachable(error, doing) from error
