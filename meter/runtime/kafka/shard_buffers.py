"""What one consumer holds of all its shards: records that wait, batches that are out. Pure bookkeeping, no IO.

Memory is bounded here. A backlog is larger than any memory, and events differ in size by a factor of a thousand, so
counting records bounds nothing. Of every shard at most a share of `buffer_bytes` is out; what waits is a share, too,
and at most one helping of each topic more.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from meter.runtime.kafka.partition_buffer import Feed
from schemas.records import Record

Place = tuple[str, int]  # name of a topic on the broker, partition

HELPING_BYTES = 1024 * 1024


class Batch(NamedTuple):
    """Records of one shard, in offset order per logical topic; the offsets the database must expect, and then have."""

    shard: int
    records: dict[str, list[Record]]
    start: dict[str, int]
    end: dict[str, int]

    @property
    def size(self) -> int:
        return sum(map(len, self.records.values()))


class Shelf:
    """The feeds of the positioned shards, by place and by shard, and the batches of busy shards."""

    def __init__(self, *, batch_events: int, batch_bytes: int, buffer_bytes: int) -> None:
        self.feeds: dict[Place, Feed] = {}
        self.busy: dict[int, Batch] = {}
        self._shards: dict[int, list[Feed]] = {}
        self._batch_events = batch_events
        self._batch_bytes = batch_bytes
        self._buffer_bytes = buffer_bytes

    @property
    def shards(self) -> Iterable[int]:
        """The positioned ones."""
        return self._shards.keys()

    def put(self, shard: int, feeds: Mapping[Place, Feed]) -> None:
        """A shard is positioned. Its feeds stand in the order of the topics."""
        self._shards[shard] = list(feeds.values())
        self.feeds.update(feeds)

    def drop(self, shard: int) -> list[Place]:
        """A shard has to be positioned again; the places that were there."""
        feeds = self._shards.pop(shard, [])
        places = [place for place, feed in self.feeds.items() if feed in feeds]
        for place in places:
            del self.feeds[place]
        return places

    def clear(self) -> None:
        """Shards were revoked. Batches that are out stay so: their compare-and-set decides about them."""
        self.feeds.clear()
        self._shards.clear()

    @property
    def share(self) -> int:
        """Bytes that may wait of one shard."""
        return self._buffer_bytes // max(1, len(self._shards))

    @property
    def helping(self) -> int:
        """Bytes to ask for at once: a shard that is nearly full may get as much on top."""
        return min(HELPING_BYTES, self.share // 2)

    def find_hungry(self) -> list[Place]:
        """Places that may get more. An empty one always may: grants must not wait behind a backlog of usage."""
        room = min(self.share, 2 * self._batch_bytes)
        full = {shard for shard, feeds in self._shards.items() if sum(feed.size for feed in feeds) >= room}
        most = 2 * self._batch_events
        return [
            place
            for place, feed in self.feeds.items()
            if not feed.buffer or (len(feed.buffer) < most and feed.partition not in full)
        ]

    def take(self) -> list[Batch]:
        """A batch of every shard that has records and no batch out."""
        return [
            self._take_shard(shard, feeds)
            for shard, feeds in self._shards.items()
            if shard not in self.busy and any(feed.buffer for feed in feeds)
        ]

    def _take_shard(self, shard: int, feeds: Sequence[Feed]) -> Batch:
        room, room_bytes = self._batch_events, min(self._batch_bytes, self.share)
        records: dict[str, list[Record]] = {}
        # The last topic first: grants are few and must not wait behind usage.
        for feed in reversed(feeds):
            before = feed.size
            records[feed.topic] = feed.take(room, room_bytes)
            room -= len(records[feed.topic])
            room_bytes = max(0, room_bytes - (before - feed.size))
        start = {feed.topic: feed.stored for feed in feeds}
        batch = Batch(shard, records, start, {feed.topic: feed.handed for feed in feeds})
        self.busy[shard] = batch
        return batch

    def store(self, batch: Batch) -> bool:
        """The batch is in the database. False: the shard was rewound, or lost and assigned anew, meanwhile."""
        if self.busy.get(batch.shard) is not batch:
            return False
        del self.busy[batch.shard]
        for feed in self._shards.get(batch.shard, ()):
            feed.store(batch.end[feed.topic])
        return True
