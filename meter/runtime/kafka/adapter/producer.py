"""The producer of `protocols`, with aiokafka."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.codec import has_lz4, has_snappy, has_zstd

from meter.runtime.errors import SettingsError
from meter.runtime.kafka.adapter.metadata import fetch_topic
from meter.runtime.kafka.adapter.options import client_options
from meter.runtime.kafka.adapter.protocols import Headers, TopicInfo
from meter.runtime.kafka.adapter.stopping import stop_quietly
from meter.runtime.settings import Settings


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
            max_batch_size=64 * 1024,
            max_request_size=1024 * 1024,
        )

    async def start(self) -> None:
        await self.inner.start()

    async def stop(self, timeout_s: float) -> None:
        await stop_quietly(self.inner, timeout_s)

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

    async def flush(self) -> None:
        await self.inner.flush()

    async def describe_topic(self, name: str) -> TopicInfo | None:
        return await fetch_topic(self.inner.client, name)


def check_codec(compression: str) -> None:
    """Raises SettingsError. gzip is always there; the others need a package that clients do not bring along."""
    codecs = {"snappy": has_snappy, "lz4": has_lz4, "zstd": has_zstd}
    if compression in codecs and not codecs[compression]():
        raise SettingsError(f"METERING_KAFKA_COMPRESSION={compression} needs the package cramjam; gzip needs none")
