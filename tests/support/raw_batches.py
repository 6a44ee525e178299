"""Record batches written byte by byte, and sent as they are: what no client library would write, and a producer can."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from struct import Struct
from typing import Any, Final, Self

from aiokafka import TopicPartition, codec
from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
RawHeader = tuple[bytes, bytes | None]

_HEAD = Struct(">qiibI")  # base offset, length, leader epoch, magic, checksum
_REST = Struct(">hiqqqhii")  # attributes, last offset delta, times, producer id and epoch, sequence, number of records
TIMEOUT_MS = 10_000
LEADER_S = 60  # until a new partition has one, on a busy machine


def varint(value: int) -> bytes:
    """Zigzag, as Kafka writes all lengths inside a record."""
    value = ((value << 1) ^ (value >> 63)) & (2**64 - 1)
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(data: bytes | None) -> bytes:
    return varint(-1) if data is None else varint(len(data)) + data


def record(
    delta: int,
    value: bytes | None,
    *,
    key: bytes | None = None,
    headers: Sequence[RawHeader] = (),
    count: int | None = None,
    since: int = 0,
) -> bytes:
    """One record; `count` claims another number of headers than there are. `since`: ms since the batch's first time."""
    body = b"\0" + varint(since) + varint(delta) + field(key) + field(value)
    body += varint(len(headers) if count is None else count)
    body += b"".join(varint(len(name)) + name + field(content) for name, content in headers)
    return varint(len(body)) + body


def batch(records: Iterable[bytes], *, kind: int = NONE, packed: bytes | None = None, magic: int = 2) -> bytes:
    """A record batch; `packed` stands in for what the records give."""
    parts = list(records)
    body = PACK[kind](b"".join(parts)) if packed is None else packed
    now = int(time.time() * 1000)
    rest = _REST.pack(kind, len(parts) - 1, now, now, -1, -1, -1, len(parts)) + body
    length = _HEAD.size + len(rest) - 12
    return _HEAD.pack(0, length, -1, magic, calc_crc32c(rest)) + rest


PACK: Final[dict[int, Callable[[bytes], bytes]]] = {
    NONE: bytes,
    GZIP: codec.gzip_encode,
    SNAPPY: codec.snappy_encode,
    LZ4: codec.lz4_encode,
    ZSTD: codec.zstd_encode,
}


def reseal(written: bytes) -> bytes:
    """The batch with the checksum of what it holds now: the broker looks no further than that at many faults."""
    crc: int = calc_crc32c(written[_HEAD.size :])
    return written[: _HEAD.size - 4] + crc.to_bytes(4, "big") + written[_HEAD.size :]


class RawProducer:
    """Writes batches to partitions as they are. `send` returns the broker's base offset; raises what it refuses."""

    def __init__(self, bootstrap: str, login: Mapping[str, Any] | None = None) -> None:
        """`login`: options of the client, of a user who may write some topics only."""
        options = {**(login or {}), "bootstrap_servers": bootstrap, "request_timeout_ms": 3 * TIMEOUT_MS}
        self._client = AIOKafkaClient(**options)
        self._asking = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._client.bootstrap()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def send(self, topic: str, partition: int, batches: bytes) -> int:
        """Send again where the partition has no leader yet: then nothing was written."""
        deadline = time.monotonic() + LEADER_S
        while True:
            code, offset = await self._try_to_send(topic, partition, batches)
            if not code:
                return offset
            error = kafka_errors.for_code(code)
            if not error.retriable or time.monotonic() > deadline:
                raise error
            await asyncio.sleep(0.1)
            if code == kafka_errors.NotLeaderForPartitionError.errno:
                await self._client.force_metadata_update()

    async def _try_to_send(self, topic: str, partition: int, batches: bytes) -> tuple[int, int]:
        node: Any = self._client.cluster.leader_for_partition(TopicPartition(topic, partition))
        if node is None or node < 0:
            async with self._asking:  # several at once would take the answer from each other
                self._client.add_topic(topic)
                await self._client.force_metadata_update()
            return kafka_errors.LeaderNotAvailableError.errno, -1
        response = await self._client.send(
            node, ProduceRequest(None, -1, TIMEOUT_MS, [(topic, [(partition, batches)])])
        )
        [(_topic, [(_partition, code, offset, *_rest)])] = response.topics
        return int(code), int(offset)
