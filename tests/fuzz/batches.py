"""Record batches as any producer can write them to a broker: sound ones, and lies in counts, lengths and codecs."""

import random
from collections.abc import Callable, Sequence
from typing import Final

from schemas.records import Record
from tests.fuzz.records import change_bytes, draw_record
from tests.support.raw_batches import GZIP, LZ4, NONE, SNAPPY, ZSTD, RawHeader, batch, record, reseal

KINDS: Final = (NONE, GZIP, SNAPPY, LZ4, ZSTD)
HEAD_BYTES: Final = 61
# Where the head says: attributes, last offset delta, times, producer, number of records.
ATTRIBUTES_AT, LAST_DELTA_AT, TIMES_AT, RECORDS_AT = 21, 23, 27, 57
MOST_BYTES: Final = 1_000_000  # a topic takes 1 MiB
LIES: Final = (0, 1, 2, 1000, 65_535, 65_537, 2**31 - 1, 2**32 - 1)


def draw_batch(draw: random.Random, topic: str) -> bytes:
    made = draw.choice(MAKERS)(draw, topic)
    return made if len(made) <= MOST_BYTES else batch([record(0, b"too large for the topic")])


def sound(draw: random.Random, topic: str) -> bytes:
    """Records of the level of records, packed as a client packs them."""
    records = [draw_record(draw, topic, offset) for offset in range(draw.randint(1, 20))]
    return batch([write(delta, one) for delta, one in enumerate(records)], kind=draw.choice(KINDS))


def write(delta: int, sent: Record) -> bytes:
    headers: list[RawHeader] = [(name.encode("utf-8", "replace"), value) for name, value in sent.headers]
    return record(delta, sent.value, key=sent.key, headers=headers)


def torn(draw: random.Random, topic: str) -> bytes:
    """Changed inside, with the checksum made right again."""
    data = sound(draw, topic)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(HEAD_BYTES, len(data))
        data = data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :]
    return reseal(data)


def lying(draw: random.Random, topic: str) -> bytes:
    """Another number in the head than there is."""
    data = sound(draw, topic)
    at, size = draw.choice(((ATTRIBUTES_AT, 2), (LAST_DELTA_AT, 4), (TIMES_AT, 8), (TIMES_AT + 8, 8), (RECORDS_AT, 4)))
    number = draw.choice(LIES) & ((1 << 8 * size) - 1)
    return reseal(data[:at] + number.to_bytes(size, "big") + data[at + size :])


def damaged(draw: random.Random, topic: str) -> bytes:
    """The checksum does not fit: the broker is to refuse it."""
    data = sound(draw, topic)
    at = draw.randrange(HEAD_BYTES, len(data))
    return data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :]


def repacked(draw: random.Random, topic: str) -> bytes:
    """What was packed is changed, or says another codec than its own."""
    kind = draw.choice(KINDS[1:])
    records = [write(delta, draw_record(draw, topic, delta)) for delta in range(draw.randint(1, 5))]
    packed = batch(records, kind=kind)[HEAD_BYTES:]
    changed = change_bytes(draw, packed) if draw.random() < 0.7 else packed
    return batch(records, kind=draw.choice((kind, kind, *KINDS)), packed=changed)


def crowded(draw: random.Random, _topic: str) -> bytes:
    """Little on the wire that is much in memory: many records, headers or bytes."""
    many: Sequence[Callable[[], bytes]] = (
        lambda: batch([record(delta, None) for delta in range(draw.choice((1_000, 20_000)))], kind=ZSTD),
        lambda: batch([record(0, b"{}", headers=[(b"", None)] * draw.choice((257, 300_000)))], kind=ZSTD),
        lambda: batch([record(delta, bytes(draw.choice((100_000, 2_000_000)))) for delta in range(3)], kind=GZIP),
        lambda: batch([record(delta, b"x" * 300) for delta in range(5_000)], kind=draw.choice(KINDS[1:])),
    )
    return draw.choice(many)()


def noise(draw: random.Random, _topic: str) -> bytes:
    """Nothing of it is a record."""
    packed = draw.randbytes(draw.randrange(200))
    return batch([b""] * draw.randint(1, 3), kind=draw.choice(KINDS), packed=packed)


MAKERS: Final = (sound, sound, sound, torn, torn, lying, lying, damaged, repacked, repacked, noise)
RARE: Final = crowded
RARELY: Final = 200  # one in so many batches is crowded


def draw_any(draw: random.Random, topic: str) -> bytes:
    return RARE(draw, topic) if draw.randrange(RARELY) == 0 else draw_batch(draw, topic)
