"""The producer of `protocols`, with aiokafka."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.codec import has_lz4, has_snappy, has_zstd
from aiokafka.errors import MessageSizeTooLargeError, ProducerClosed
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from meter.runtime.errors import SettingsError
from meter.runtime.kafka.adapter.metadata import fetch_topic
from meter.runtime.kafka.adapter.options import client_options
from meter.runtime.kafka.adapter.protocols import Headers, Outgoing, TopicInfo
from meter.runtime.kafka.adapter.stopping import stop_quietly
from meter.runtime.settings import Settings

MAX_BATCH_BYTES: Final = 64 * 1024
MAX_RECORD_BYTES: Final = 1024 * 1024


class AiokafkaProducer:
    """Implements `ProducerClient`."""

    def __init__(self, settings: Settings, *, client_id: str, linger_ms: int) -> None:
        check_codec(settings.kafka_compression)
        self.inner: Any = AIOKafkaProducer(
            **client_options(settings),
            client_id=client_id,
            acks="all",
            enable_idempotence=settings.kafka_idempotence,
            compression_type=None if settings.kafka_compression == "none" else settings.kafka_compression,
            linger_ms=linger_ms,
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES,
        )
        self._acks: set[asyncio.Future[Any]] = set()

    async def start(self) -> None:
        await self.inner.start()

    async def stop(self, timeout_s: float) -> None:
        await stop_quietly(self.inner, timeout_s, farewell=self._end_sending)
        for ack in list(self._acks):
            if not ack.done():
                ack.set_exception(ProducerClosed())

    async def _end_sending(self) -> None:
        """After a stop that was given up the client would connect again, and publish behind newer records, as long as
        the process lives."""
        sending = self.inner._sender.sender_task
        if sending is not None and not sending.done():
            sending.cancel()
            await asyncio.wait({sending})

    async def send(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        headers: Headers,
        timestamp_ms: int | None,
    ) -> "asyncio.Future[Any]":
        ack: asyncio.Future[Any] = await self.inner.send(
            topic, value=value, key=key, partition=partition, headers=list(headers), timestamp_ms=timestamp_ms
        )
        return ack

    async def send_batch(
        self, topic: str, partition: int, records: Sequence[Outgoing]
    ) -> "tuple[int, asyncio.Future[Any]]":
        batch, taken = self.inner.create_batch(), 0
        for record in records:
            headers = list(record.headers)
            size = DefaultRecordBatchBuilder.estimate_size_in_bytes(record.key, record.value, headers)
            if size > MAX_RECORD_BYTES:
                if taken == 0:
                    raise MessageSizeTooLargeError(f"a record of {size} bytes, and at most {MAX_RECORD_BYTES} are sent")
                break
            at = record.timestamp_ms
            if batch.append(key=record.key, value=record.value, timestamp=at, headers=headers) is None:
                break
            taken += 1
        batch.close()
        ack: asyncio.Future[Any] = await self.inner.send_batch(batch, topic, partition=partition)
        self._acks.add(ack)
        ack.add_done_callback(self._acks.discard)
        return taken, ack

    async def count_partitions(self, topic: str) -> int:
        return len(await self.inner.partitions_for(topic))

    async def flush(self) -> None:
        await self.inner.flush()

    async def describe_topic(self, name: str) -> TopicInfo | None:
        return await fetch_topic(self.inner.client, name)


def check_codec(compression: str) -> None:
    """Raises SettingsError. gzip is always there; the others need a package that clients do not bring along."""
    codecs = {"snappy": has_snappy, "lz4": has_lz4, "zstd": has_zstd}
    if compression in codecs and not codecs[compression]():
        raise SettingsError(f"METERING_KAFKA_COMPRESSION={compression} needs the package cramjam; gzip needs none")
