"""What is buffered and what is in flight of each shard, and how much of it."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.runtime.kafka.adapter.protocols import RECORD_BYTES, TopicPartition, UnreadRecords
from meter.runtime.kafka.partition_buffer import PartitionBuffer
from meter.runtime.kafka.shard_buffers import ShardBuffers
from meter.runtime.settings import Settings
from schemas.reasons import Reason

SIZE = 1000 - RECORD_BYTES  # of a value, so that a record weighs 1000
EVENT_BYTES = 290  # of the value of a usual event


@dataclass(frozen=True)
class Raw:
    offset: int
    value: bytes | None = b"v" * SIZE
    timestamp: int = 0
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def fill(buffer: PartitionBuffer, count: int, size: int = SIZE) -> None:
    buffer.offer([Raw(buffer.next + n, b"v" * size) for n in range(count)], buffer.next + count)


def make_buffers(
    shards: int = 2, *, events: int = 1000, batch: int = 100_000, buffer: int = 1_000_000, concurrency: int = 4
) -> ShardBuffers:
    buffers = ShardBuffers(batch_events=events, batch_bytes=batch, buffer_bytes=buffer, concurrency=concurrency)
    for shard in range(shards):
        buffers.put(
            shard, {TopicPartition(topic, shard): PartitionBuffer(topic, shard, 0) for topic in ("usage", "accounts")}
        )
    return buffers


def test_a_shard_that_holds_two_shares_gets_no_more_and_one_is_the_most_while_all_is_used() -> None:
    buffers = make_buffers(4, buffer=40_000)
    usage = [TopicPartition("usage", shard) for shard in range(4)]
    fill(buffers.partitions[usage[0]], 19)
    assert usage[0] in buffers.find_fetchable(), "the others leave it theirs"
    fill(buffers.partitions[usage[0]], 1)
    assert usage[0] not in buffers.find_fetchable()
    fill(buffers.partitions[usage[1]], 19)
    assert usage[1] in buffers.find_fetchable()
    fill(buffers.partitions[usage[2]], 1)
    assert usage[1] not in buffers.find_fetchable(), "all together hold what they may"
    assert set(usage[2:]) < set(buffers.find_fetchable()), "each has its share, whatever the others hold"
    fill(buffers.partitions[usage[2]], 9)
    assert usage[2] not in buffers.find_fetchable()


def test_the_defaults_fetch_of_a_shard_whose_next_batch_waits() -> None:
    """Or nothing of it comes until that is taken, and then the writers wait. Of twelve shards four are stored, and the
    others wait with a batch and a part of the next."""
    default = {name: field.default for name, field in Settings.model_fields.items()}
    shards, most = default["partitions"], default["batch_events"]
    buffers = make_buffers(shards, events=most, batch=default["batch_bytes"], buffer=default["buffer_bytes"])
    usage = [TopicPartition("usage", shard) for shard in range(shards)]
    for tp in usage[: shards * 2 // 3]:
        fill(buffers.partitions[tp], most + most // 3, size=EVENT_BYTES)
    assert set(usage) <= set(buffers.find_fetchable())
    taken = buffers.take()
    assert len(taken) >= 4 and {batch.size for batch in taken} == {most}


def test_at_the_worst_less_than_twice_the_buffer_is_filled_by_usage() -> None:
    """Each shard has nearly all that it may, and then a whole poll comes of it, which is half a share: five records."""
    shards, poll = range(6), 5
    buffers = make_buffers(len(shards), buffer=60_000)
    for shard, count in zip(shards, (19, 19, 11, 9, 9, 9), strict=True):
        tp = TopicPartition("usage", shard)
        fill(buffers.partitions[tp], count)
        assert tp in buffers.find_fetchable()
        fill(buffers.partitions[tp], poll)
        assert tp not in buffers.find_fetchable()
    assert sum(buffer.size for buffer in buffers.partitions.values()) == 106_000
    for shard in shards:
        tp = TopicPartition("accounts", shard)
        assert tp in buffers.find_fetchable(), "grants come on top: a poll of each shard that has none"
        fill(buffers.partitions[tp], poll)
        assert tp not in buffers.find_fetchable()


def test_grants_are_fetched_while_usage_fills_the_share() -> None:
    buffers = make_buffers(buffer=20_000)
    fill(buffers.partitions[TopicPartition("usage", 0)], 500)
    assert TopicPartition("accounts", 0) in buffers.find_fetchable()
    fill(buffers.partitions[TopicPartition("accounts", 0)], 1)
    assert TopicPartition("accounts", 0) not in buffers.find_fetchable()


def test_few_shards_buffer_two_batches_and_no_more() -> None:
    buffers = make_buffers(1, events=5, batch=100_000)
    fill(buffers.partitions[TopicPartition("usage", 0)], 9)
    assert TopicPartition("usage", 0) in buffers.find_fetchable()
    fill(buffers.partitions[TopicPartition("usage", 0)], 1)
    assert TopicPartition("usage", 0) not in buffers.find_fetchable()
    buffers = make_buffers(1, batch=5_000)
    fill(buffers.partitions[TopicPartition("usage", 0)], 10)
    assert TopicPartition("usage", 0) not in buffers.find_fetchable()


def test_a_batch_holds_grants_first_and_keeps_to_events_and_bytes() -> None:
    buffers = make_buffers(1, batch=6_000)
    fill(buffers.partitions[TopicPartition("usage", 0)], 10)
    fill(buffers.partitions[TopicPartition("accounts", 0)], 4)
    (batch,) = buffers.take()
    assert (len(batch.records["accounts"]), len(batch.records["usage"])) == (4, 2)
    assert batch.end == {"accounts": 4, "usage": 2}
    buffers.store(batch)
    buffers = make_buffers(1, events=3)
    fill(buffers.partitions[TopicPartition("usage", 0)], 10)
    (batch,) = buffers.take()
    assert batch.size == 3


def test_many_shards_make_batches_no_larger_than_their_share() -> None:
    buffers = make_buffers(10, batch=100_000, buffer=50_000)
    for shard in range(10):
        fill(buffers.partitions[TopicPartition("usage", shard)], 20)
    assert {batch.size for batch in buffers.take()} == {5}


def test_as_many_full_batches_are_in_flight_as_are_stored_and_each_shard_comes_in_its_order() -> None:
    buffers = make_buffers(6, batch=10_000, buffer=60_000, concurrency=3)
    for shard in range(6):
        fill(buffers.partitions[TopicPartition("usage", shard)], 30)
    first = buffers.take()
    assert [(batch.shard, batch.size, batch.weight) for batch in first] == [(n, 10, 10_000) for n in range(3)]
    assert buffers.take() == []
    assert buffers.store(first[1])
    [next_one] = buffers.take()
    assert next_one.shard == 3, "shard 1 has records too, and had a batch"
    for batch in (first[0], first[2], next_one):
        buffers.store(batch)
    assert [batch.shard for batch in buffers.take()] == [4, 5, 0]


@pytest.mark.parametrize(
    ("shards", "concurrency", "expected"), [(1, 4, 1), (3, 4, 3), (6, 4, 4), (12, 4, 4), (12, 12, 12)]
)
def test_the_defaults_keep_every_slot_busy(shards: int, concurrency: int, expected: int) -> None:
    buffers = make_buffers(shards, events=5_000, batch=4 << 20, buffer=32 << 20, concurrency=concurrency)
    for shard in range(shards):
        fill(buffers.partitions[TopicPartition("usage", shard)], 9_000)
    taken = buffers.take()
    assert expected <= len(taken) <= expected + 1
    assert sum(batch.weight for batch in taken) <= 32 << 20


def test_small_batches_of_all_shards_are_in_flight_together() -> None:
    buffers = make_buffers(10, batch=100_000, buffer=50_000)
    for shard in range(10):
        fill(buffers.partitions[TopicPartition("usage", shard)], 1)
    assert [batch.shard for batch in buffers.take()] == list(range(10))


def test_of_many_shards_a_third_of_the_buffer_is_in_flight_to_be_stored_together() -> None:
    buffers = make_buffers(300, batch=100_000, buffer=600_000, concurrency=4)  # two records a shard
    for shard in range(300):
        fill(buffers.partitions[TopicPartition("usage", shard)], 4)
    assert [batch.size for batch in buffers.take()] == [2] * 100


def test_what_could_not_be_read_weighs_in_flight_too() -> None:
    buffers = make_buffers(1)
    unread = UnreadRecords(0, 3, 0, None, b"v" * SIZE, Reason.TOO_LARGE, "too large", 5000, b"")
    buffers.partitions[TopicPartition("usage", 0)].offer([unread], 3)
    [batch] = buffers.take()
    assert batch.weight == 1000


def test_a_shard_with_a_batch_in_flight_gives_nothing_and_a_dropped_one_is_gone() -> None:
    buffers = make_buffers()
    fill(buffers.partitions[TopicPartition("usage", 0)], 3)
    (batch,) = buffers.take()
    fill(buffers.partitions[TopicPartition("usage", 0)], 3)
    assert buffers.take() == []
    assert sorted(buffers.drop(0)) == [("accounts", 0), ("usage", 0)]
    assert list(buffers.shards) == [1]
    assert buffers.find_fetchable() == [("usage", 1), ("accounts", 1)]
    assert buffers.store(batch), "it was in flight: its offsets may be stored"
    assert not buffers.store(batch)


@given(
    st.lists(st.tuples(st.sampled_from(["usage", "accounts"]), st.integers(1, 40), st.integers(0, 5000)), max_size=30),
    st.integers(1, 50),
    st.integers(1, 20_000),
)
def test_everything_comes_out_once_and_in_order_whatever_the_sizes(
    arrivals: list[tuple[str, int, int]], events: int, most_bytes: int
) -> None:
    buffers = make_buffers(1, events=events, batch=most_bytes)
    for topic, count, size in arrivals:
        fill(buffers.partitions[TopicPartition(topic, 0)], count, size)
    out: dict[str, list[int]] = {"usage": [], "accounts": []}
    while batches := buffers.take():
        (batch,) = batches
        assert 0 < batch.size <= events
        for topic, records in batch.records.items():
            assert batch.start[topic] == len(out[topic])
            out[topic] += [record.offset for record in records]
            assert batch.end[topic] == len(out[topic])
        assert buffers.store(batch)
    for topic in out:
        assert out[topic] == list(range(sum(count for name, count, _ in arrivals if name == topic)))
    assert all(buffer.size == 0 for buffer in buffers.partitions.values())
