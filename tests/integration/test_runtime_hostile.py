"""Record batches that no client library writes, on a real broker: none ends the reading or holds another partition."""

import random
import tracemalloc
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

import pytest
from aiokafka.errors import KafkaError

from meter.runtime.kafka import Batch, ShardConsumer
from meter.runtime.kafka.adapter.tolerant import KEPT_BYTES, MOST_HEADERS
from meter.runtime.kafka.topic_reader import read_topic
from meter.runtime.settings import Settings
from schemas.reasons import Reason
from schemas.records import Record, Rejected
from schemas.topics import ACCOUNTS, USAGE
from tests.integration.runtime_ledger import Ledger, fill, joined, read_ends
from tests.support.raw_batches import GZIP, LZ4, NONE, SNAPPY, ZSTD, RawProducer, batch, record, reseal

pytestmark = pytest.mark.needs_kafka("record batches stored as they were sent")
EVERY_CODEC = pytest.mark.parametrize("kind", [GZIP, SNAPPY, LZ4, ZSTD], ids=["gzip", "snappy", "lz4", "zstd"])
MIB = 1 << 20
HOSTILE = 1  # the partition
NOISY = 300


class Outcomes(NamedTuple):
    """What came of a partition: records, and what stands for those that could not be read."""

    records: list[Record]
    unread: list[Rejected]

    def covered(self) -> list[int]:
        spans = [range(rejected.record.offset, rejected.beyond) for rejected in self.unread]
        return sorted([r.offset for r in self.records] + [offset for span in spans for offset in span])


async def send(settings: Settings, *batches: bytes) -> list[int]:
    """To the hostile partition; the base offset of each."""
    async with RawProducer(settings.kafka_bootstrap) as producer:
        return [await producer.send(settings.topic(USAGE), HOSTILE, written) for written in batches]


async def read_all(settings: Settings, ledger: Ledger) -> dict[int, Outcomes]:
    """Read everything that is there now, as a service does."""
    ends = (await read_ends(settings))[USAGE]
    found = {shard: Outcomes([], []) for shard in ends}
    async with joined(settings, ledger) as consumer:
        while any(ledger.next.get((USAGE, shard), 0) < end for shard, end in ends.items()):
            for received in await consumer.receive():
                take(ledger, found, received)
                consumer.advance(received)
        assert consumer.lag() == 0
    return found


def take(ledger: Ledger, found: dict[int, Outcomes], received: Batch) -> None:
    ledger.append(received)
    found[received.shard].records.extend(received.records[USAGE])
    found[received.shard].unread.extend(received.unread.get(USAGE, ()))


async def read_among_others(settings: Settings, *batches: bytes) -> tuple[Outcomes, list[int]]:
    """The hostile batches between honest ones. All that is honest must come, in every partition, and nothing raise."""
    await fill(settings, 150)
    offsets = await send(settings, *batches)
    await fill(settings, 150, start=150)
    found = await check_all(settings)
    for shard, end in (await read_ends(settings))[USAGE].items():
        assert found[shard].covered() == list(range(end)), f"shard {shard}"
    return found[HOSTILE], offsets


async def check_all(settings: Settings) -> dict[int, Outcomes]:
    """Read all: no offset comes twice, and the 300 honest records are there."""
    found = await read_all(settings, Ledger())
    for shard, end in (await read_ends(settings))[USAGE].items():
        covered = found[shard].covered()
        assert len(covered) == len(set(covered)) and set(covered) <= set(range(end)), f"shard {shard}"
    honest = [int(r.value or b"") for outcomes in found.values() for r in outcomes.records if is_honest(r)]
    assert sorted(honest) == list(range(300))
    return found


def is_honest(record: Record) -> bool:
    return (record.key or b"").startswith(b"account-")


def at(outcomes: Outcomes, offset: int) -> Record | Rejected:
    found: Sequence[Record | Rejected] = [
        *(r for r in outcomes.records if r.offset == offset),
        *(r for r in outcomes.unread if r.record.offset == offset),
    ]
    [only] = found
    return only


async def test_a_header_name_that_is_no_utf_8_is_escaped_and_its_event_comes(topics: Settings) -> None:
    headers = [(b"\xff\xfe", b"x"), (b"ce_id", b"1")]
    outcomes, [offset] = await read_among_others(topics, batch([record(0, b"{}", key=b"k", headers=headers)]))
    found = at(outcomes, offset)
    assert isinstance(found, Record)
    assert (found.key, found.value) == (b"k", b"{}")
    assert found.headers == (("\\xff\\xfe", b"x"), ("ce_id", b"1"))


@EVERY_CODEC
async def test_a_batch_that_unpacks_past_the_limit_is_one_rejection(topics: Settings, kind: int) -> None:
    """Of its three records none is read: what is kept is what was sent."""
    bomb = batch([record(number, bytes(6 * MIB)) for number in range(3)], kind=kind)
    outcomes, [offset] = await read_among_others(topics, bomb)
    found = at(outcomes, offset)
    assert isinstance(found, Rejected)
    assert (found.reason, found.beyond) == (Reason.UNDECODABLE, offset + 3)
    assert "16 MiB" in found.detail
    # The broker writes the base offset and the leader's epoch into a batch, before the bytes that the checksum covers.
    assert found.length == len(bomb)
    assert (found.record.value or b"")[21:] == bomb[21:KEPT_BYTES]
    assert found.digest is not None
    assert len(bomb) > KEPT_BYTES or found.digest == sha256(found.record.value or b"").digest()


async def test_a_record_that_says_a_far_offset_moves_nothing(topics: Settings) -> None:
    """Otherwise the stored offset would be behind the topic's end, and the meter would refuse to start."""
    outcomes, [offset] = await read_among_others(topics, batch([record(9_000_000, b"far", key=b"k")]))
    found = at(outcomes, offset)
    assert isinstance(found, Record) and found.value == b"far"


async def test_records_in_another_order_keep_their_places(topics: Settings) -> None:
    values = [b"two", b"one", b"zero"]
    mixed = batch([record(2 - number, value, key=b"k") for number, value in enumerate(values)])
    outcomes, [offset] = await read_among_others(topics, mixed)
    assert [getattr(at(outcomes, offset + n), "value", None) for n in range(3)] == values


async def test_three_million_empty_headers_are_not_made(topics: Settings) -> None:
    """They took 550 MB. The batch itself unpacks to 6 MB, into a buffer of 16 MiB."""
    written = batch(
        [record(0, b"{}", key=b"k", headers=[(b"", None)] * 3_000_000), record(1, b"next", key=b"k")], kind=ZSTD
    )
    tracemalloc.start()
    try:
        outcomes, [offset] = await read_among_others(topics, written)
        assert tracemalloc.get_traced_memory()[1] < 64 * MIB
    finally:
        tracemalloc.stop()
    found = at(outcomes, offset)
    assert isinstance(found, Rejected)
    assert found.reason is Reason.TOO_LARGE
    assert found.length is not None and found.length > 6_000_000
    assert getattr(at(outcomes, offset + 1), "value", None) == b"next"


@pytest.mark.parametrize("kind", [NONE, ZSTD], ids=["plain", "zstd"])
async def test_a_record_with_many_headers_is_too_large_and_the_others_come(topics: Settings, kind: int) -> None:
    crowded = record(0, b"{}", key=b"k", headers=[(b"h", b"")] * (MOST_HEADERS + 1))
    outcomes, [offset] = await read_among_others(topics, batch([crowded, record(1, b"next", key=b"k")], kind=kind))
    found = at(outcomes, offset)
    assert isinstance(found, Rejected)
    assert (found.reason, found.record.key, found.record.value) == (Reason.TOO_LARGE, b"k", b"{}")
    assert f"{MOST_HEADERS + 1} headers" in found.detail
    assert getattr(at(outcomes, offset + 1), "value", None) == b"next"


async def test_a_large_record_is_kept_to_a_bound(topics: Settings) -> None:
    large = record(0, b"v" * 300_000, key=b"k")
    outcomes, [offset] = await read_among_others(topics, batch([large]))
    found = at(outcomes, offset)
    assert isinstance(found, Rejected)
    assert (found.reason, found.record.value) == (Reason.TOO_LARGE, b"v" * (KEPT_BYTES - 1))
    body = large[3:]  # behind its length
    assert (found.length, found.digest) == (len(body), sha256(body).digest())


async def test_more_records_than_events_can_fill_a_batch_are_one_rejection(topics: Settings) -> None:
    count = 70_000
    outcomes, [offset] = await read_among_others(topics, batch([record(n, None) for n in range(count)], kind=ZSTD))
    found = at(outcomes, offset)
    assert isinstance(found, Rejected)
    assert (found.reason, found.beyond) == (Reason.UNDECODABLE, offset + count)


async def test_large_records_come_in_pieces_and_none_is_lost(topics: Settings) -> None:
    """15 MiB of one batch are more than one fetched partition delivers at once: the rest is fetched again."""
    values = [record(number, b"%d" % number + bytes(60_000), key=b"k") for number in range(250)]
    outcomes, [offset] = await read_among_others(topics, batch(values, kind=ZSTD))
    sizes = [len(r.value or b"") for r in outcomes.records if offset <= r.offset < offset + 250]
    assert len(sizes) == 250 and min(sizes) > 60_000
    assert not outcomes.unread


async def test_an_unread_batch_is_read_the_same_from_its_middle(topics: Settings) -> None:
    """A batch that was stored in part: the range begins behind what is stored."""
    sound = [record(number, b"v", key=b"k") for number in range(4)]
    [offset] = await send(topics, batch([*sound, record(4, b"x" * 100_000)]))
    bomb = [record(number, bytes(9 * MIB)) for number in range(2)]
    [beyond] = await send(topics, batch(bomb, kind=ZSTD))
    for start in (offset + 2, offset + 4, beyond + 1):
        ledger = Ledger()
        ledger.next[USAGE, HOSTILE] = start
        found = await read_all(topics, ledger)
        assert found[HOSTILE].covered() == list(range(start, beyond + 2))


async def test_the_topic_of_accounts_goes_on_as_well(topics: Settings) -> None:
    async with RawProducer(topics.kafka_bootstrap) as producer:
        await producer.send(topics.topic(ACCOUNTS), HOSTILE, batch([record(0, b"{}", headers=[(b"\xff", b"")])]))
    await fill(topics, 60)
    ledger = Ledger()
    async with joined(topics, ledger) as consumer:
        await drain_to_ends(consumer, ledger, topics)
    ledger.check(await read_ends(topics))


async def drain_to_ends(consumer: ShardConsumer, ledger: Ledger, settings: Settings) -> None:
    ends = await read_ends(settings)
    while any(ledger.next.get((topic, s), 0) < end for topic, shards in ends.items() for s, end in shards.items()):
        for received in await consumer.receive():
            ledger.append(received)
            consumer.advance(received)


async def test_a_topic_that_is_read_to_its_end_is_read_past_it_as_well(topics: Settings) -> None:
    """As `meter verify` reads the anchors: what cannot be read is a record that is no anchor."""
    bomb = batch([record(number, bytes(9 * MIB)) for number in range(2)], kind=ZSTD)
    sound = batch([record(0, b"sound")])
    offsets = await send(topics, sound, bomb, sound)
    found = [found async for records in read_topic(topics, USAGE) for found in records]
    assert [record.offset for record in found] == offsets
    assert [record.value for record in found if record.value == b"sound"] == [b"sound"] * 2


async def test_batches_with_noise_written_over_them_end_nothing(topics: Settings) -> None:
    """The broker refuses most; what it takes is read or recorded, and what is honest around it comes."""
    rng = random.Random(16)
    taken = 0
    await fill(topics, 150)
    async with RawProducer(topics.kafka_bootstrap) as producer:
        for _ in range(NOISY):
            try:
                await producer.send(topics.topic(USAGE), HOSTILE, spoil(rng))
            except KafkaError:
                continue
            taken += 1
    await fill(topics, 150, start=150)
    assert taken > NOISY // 20
    found = await check_all(topics)
    # A record that says the offset of one before it is passed over: its own offset becomes a gap.
    assert len(found[HOSTILE].covered()) > (await read_ends(topics))[USAGE][HOSTILE] - NOISY // 20


def spoil(rng: random.Random) -> bytes:
    """A sound batch with some bytes of its attributes or records changed, under a checksum that fits."""
    headers = [(b"content-type", b"text/plain"), (b"h", None)]
    records = [record(n, b"v" * rng.randint(0, 40), key=b"k", headers=headers) for n in range(rng.randint(1, 4))]
    written = bytearray(batch(records, kind=rng.choice([NONE, NONE, NONE, GZIP, SNAPPY, LZ4, ZSTD])))
    for _ in range(rng.choice([1, 1, 2, 5])):
        written[rng.choice([22, *range(61, len(written))])] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
    return reseal(bytes(written))
