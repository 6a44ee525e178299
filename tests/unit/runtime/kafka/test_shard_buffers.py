"""What waits and what is out of each shard, and how much of it."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from meter.runtime.kafka.partition_buffer import RECORD_BYTES, Feed
from meter.runtime.kafka.shard_buffers import Shelf

SIZE = 1000 - RECORD_BYTES  # of a value, so that a record weighs 1000


@dataclass(frozen=True)
class Raw:
    offset: int
    value: bytes | None = b"v" * SIZE
    timestamp: int = 0
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def fill(feed: Feed, count: int, size: int = SIZE) -> None:
    feed.offer([Raw(feed.next + n, b"v" * size) for n in range(count)], feed.next + count)


def make_shelf(shards: int = 2, *, events: int = 1000, batch: int = 100_000, buffer: int = 1_000_000) -> Shelf:
    shelf = Shelf(batch_events=events, batch_bytes=batch, buffer_bytes=buffer)
    for shard in range(shards):
        shelf.put(shard, {(topic, shard): Feed(topic, shard, 0) for topic in ("usage", "accounts")})
    return shelf


def test_a_shard_that_holds_its_share_gets_no_more() -> None:
    shelf = make_shelf(buffer=20_000)
    fill(shelf.feeds["usage", 0], 9)
    assert ("usage", 0) in shelf.find_hungry()
    fill(shelf.feeds["usage", 0], 1)
    assert ("usage", 0) not in shelf.find_hungry()
    assert ("usage", 1) in shelf.find_hungry(), "the other shard has its own share"


def test_grants_are_fetched_while_usage_fills_the_share() -> None:
    shelf = make_shelf(buffer=20_000)
    fill(shelf.feeds["usage", 0], 500)
    assert ("accounts", 0) in shelf.find_hungry()
    fill(shelf.feeds["accounts", 0], 1)
    assert ("accounts", 0) not in shelf.find_hungry()


def test_few_shards_buffer_two_batches_and_no_more() -> None:
    shelf = make_shelf(1, events=5, batch=100_000)
    fill(shelf.feeds["usage", 0], 9)
    assert ("usage", 0) in shelf.find_hungry()
    fill(shelf.feeds["usage", 0], 1)
    assert ("usage", 0) not in shelf.find_hungry()
    shelf = make_shelf(1, batch=5_000)
    fill(shelf.feeds["usage", 0], 10)
    assert ("usage", 0) not in shelf.find_hungry()


def test_a_batch_holds_grants_first_and_keeps_to_events_and_bytes() -> None:
    shelf = make_shelf(1, batch=6_000)
    fill(shelf.feeds["usage", 0], 10)
    fill(shelf.feeds["accounts", 0], 4)
    (batch,) = shelf.take()
    assert (len(batch.records["accounts"]), len(batch.records["usage"])) == (4, 2)
    assert batch.end == {"accounts": 4, "usage": 2}
    shelf.store(batch)
    shelf = make_shelf(1, events=3)
    fill(shelf.feeds["usage", 0], 10)
    (batch,) = shelf.take()
    assert batch.size == 3


def test_many_shards_make_batches_no_larger_than_their_share() -> None:
    shelf = make_shelf(10, batch=100_000, buffer=50_000)
    for shard in range(10):
        fill(shelf.feeds["usage", shard], 20)
    assert [batch.size for batch in shelf.take()] == [5] * 10


def test_a_busy_shard_gives_nothing_and_a_dropped_one_is_gone() -> None:
    shelf = make_shelf()
    fill(shelf.feeds["usage", 0], 3)
    (batch,) = shelf.take()
    fill(shelf.feeds["usage", 0], 3)
    assert shelf.take() == []
    assert sorted(shelf.drop(0)) == [("accounts", 0), ("usage", 0)]
    assert list(shelf.shards) == [1]
    assert shelf.find_hungry() == [("usage", 1), ("accounts", 1)]
    assert shelf.store(batch), "it was out: its offsets may be stored"
    assert not shelf.store(batch)


@given(
    st.lists(st.tuples(st.sampled_from(["usage", "accounts"]), st.integers(1, 40), st.integers(0, 5000)), max_size=30),
    st.integers(1, 50),
    st.integers(1, 20_000),
)
def test_everything_comes_out_once_and_in_order_whatever_the_sizes(
    arrivals: list[tuple[str, int, int]], events: int, most_bytes: int
) -> None:
    shelf = make_shelf(1, events=events, batch=most_bytes)
    for topic, count, size in arrivals:
        fill(shelf.feeds[topic, 0], count, size)
    out: dict[str, list[int]] = {"usage": [], "accounts": []}
    while batches := shelf.take():
        (batch,) = batches
        assert 0 < batch.size <= events
        for topic, records in batch.records.items():
            assert batch.start[topic] == len(out[topic])
            out[topic] += [record.offset for record in records]
            assert batch.end[topic] == len(out[topic])
        assert shelf.store(batch)
    for topic in out:
        assert out[topic] == list(range(sum(count for name, count, _ in arrivals if name == topic)))
    assert all(feed.size == 0 for feed in shelf.feeds.values())
