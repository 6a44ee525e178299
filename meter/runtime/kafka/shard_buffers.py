"""What one consumer holds of all its shards: buffered records and batches in flight. Pure bookkeeping, no IO.

Memory is bounded here. A backlog is larger than any memory, and events differ in size by a factor of a thousand, so a
count of records bounds nothing. Each shard has an equal share of `buffer_bytes`, which is the most that it has in
flight. Buffered it may have two shares while all together hold less than `buffer_bytes`, so that records still come
while its next batch waits, and one share otherwise; plus what one fetch of each topic brings on top. All shards
together have as much in flight as `concurrency` full batches, or a third of `buffer_bytes` where that is more, and at
most a batch beyond: a batch that waits to be stored would hold memory beside the next one of its shard.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from meter.runtime.kafka.adapter.protocols import TopicPartition
from meter.runtime.kafka.partition_buffer import PartitionBuffer
from schemas.records import Record, Rejected

# Decoding has a price for each poll. Of twelve shards a poll has 1.3 MiB: half a share.
FETCH_BYTES = 2 * 1024 * 1024
# Of many shards, whose batches are small, more are in flight than are stored at once: they are stored together.
LEAST_IN_FLIGHT = 1 / 3


class Batch(NamedTuple):
    """Records of one shard: in offset order per logical topic.

    `start` holds the offsets that the database must expect, and `end` those that it must expect afterwards. `unread`
    has rejections in place of the records that the client could not read, by topic. `weight`: bytes of memory, roughly.
    """

    shard: int
    records: dict[str, list[Record]]
    start: dict[str, int]
    end: dict[str, int]
    unread: Mapping[str, Sequence[Rejected]] = MappingProxyType({})
    weight: int = 0

    @property
    def size(self) -> int:
        return sum(map(len, self.records.values())) + sum(map(len, self.unread.values()))


class ShardBuffers:
    """The buffers of the positioned shards, by partition and by shard, and the batches in flight."""

    def __init__(self, *, batch_events: int, batch_bytes: int, buffer_bytes: int, concurrency: int) -> None:
        """`concurrency`: full batches that are stored at the same time."""
        self.partitions: dict[TopicPartition, PartitionBuffer] = {}
        self.in_flight: dict[int, Batch] = {}
        self._shards: dict[int, list[PartitionBuffer]] = {}
        self._batch_events = batch_events
        self._batch_bytes = batch_bytes
        self._buffer_bytes = buffer_bytes
        self._concurrency = concurrency

    @property
    def shards(self) -> Iterable[int]:
        """The positioned shards."""
        return self._shards.keys()

    def put(
        self,
        shard: int,
        buffers: Mapping[TopicPartition, PartitionBuffer],
        absent: Collection[TopicPartition] = frozenset(),
    ) -> None:
        """A shard is positioned. `buffers` has its partitions in the order of the topics; those that are `absent` on
        the broker are never fetched from, and stay at their stored offset."""
        self._shards[shard] = list(buffers.values())
        self.partitions.update({tp: buffer for tp, buffer in buffers.items() if tp not in absent})

    def drop(self, shard: int) -> list[TopicPartition]:
        """Forget what is buffered of a shard that must be positioned again. Returns its partitions."""
        buffers = self._shards.pop(shard, [])
        dropped = [tp for tp, buffer in self.partitions.items() if buffer in buffers]
        for tp in dropped:
            del self.partitions[tp]
        return dropped

    def clear(self) -> None:
        """Shards were revoked. Batches in flight stay: the store's compare-and-set decides about them."""
        self.partitions.clear()
        self._shards.clear()

    @property
    def share(self) -> int:
        """Bytes that may be buffered of each shard, whatever the others hold."""
        return self._buffer_bytes // max(1, len(self._shards))

    @property
    def fetch_bytes(self) -> int:
        """Bytes to ask for in one poll: a shard that is nearly full may exceed what it may have by this much."""
        return min(FETCH_BYTES, self.share // 2)

    def find_fetchable(self) -> list[TopicPartition]:
        """Partitions to fetch from; the others are held back (backpressure).

        An empty buffer is always fetchable: grants must not wait behind a backlog of usage.
        """
        held = {shard: sum(buffer.size for buffer in buffers) for shard, buffers in self._shards.items()}
        shares = 2 if sum(held.values()) < self._buffer_bytes else 1
        room = min(shares * self.share, 2 * self._batch_bytes)
        full = {shard for shard, size in held.items() if size >= room}
        most = 2 * self._batch_events
        return [
            tp
            for tp, buffer in self.partitions.items()
            if not buffer.waiting or (buffer.waiting < most and buffer.partition not in full)
        ]

    def take(self) -> list[Batch]:
        """A batch of shards that have records and no batch in flight, while there is room in flight.

        Those come first whose last batch was taken longest ago, or that were positioned since.
        """
        most = max(self._buffer_bytes * LEAST_IN_FLIGHT, self._concurrency * min(self._batch_bytes, self.share))
        room = most - sum(batch.weight for batch in self.in_flight.values())
        taken = []
        for shard, buffers in list(self._shards.items()):
            if room <= 0:
                break
            if shard not in self.in_flight and any(buffer.waiting for buffer in buffers):
                taken.append(self._take_shard(shard, buffers))
                room -= taken[-1].weight
                self._shards[shard] = self._shards.pop(shard)  # to the end
        return taken

    def _take_shard(self, shard: int, buffers: Sequence[PartitionBuffer]) -> Batch:
        room, room_bytes = self._batch_events, min(self._batch_bytes, self.share)
        held = sum(buffer.size for buffer in buffers)
        records: dict[str, list[Record]] = {}
        unread: dict[str, list[Rejected]] = {}
        # The last topic first: grants are few and must not wait behind usage.
        for buffer in reversed(buffers):
            before = buffer.size
            records[buffer.topic] = buffer.take(room, room_bytes)
            room -= len(records[buffer.topic])
            room_bytes = max(0, room_bytes - (before - buffer.size))
            if buffer.unread:
                unread[buffer.topic] = buffer.take_unread()
        start = {buffer.topic: buffer.stored for buffer in buffers}
        end = {buffer.topic: buffer.in_flight_end for buffer in buffers}
        batch = Batch(shard, records, start, end, unread, held - sum(buffer.size for buffer in buffers))
        self.in_flight[shard] = batch
        return batch

    def store(self, batch: Batch) -> bool:
        """The batch is in the database. False: meanwhile the shard was rewound, or revoked and assigned again."""
        if self.in_flight.get(batch.shard) is not batch:
            return False
        del self.in_flight[batch.shard]
        for buffer in self._shards.get(batch.shard, ()):
            buffer.store(batch.end[buffer.topic])
        return True
