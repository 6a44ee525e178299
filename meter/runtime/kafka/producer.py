"""The producer: acks from all replicas, idempotent, the Java client's partitioner, a deadline on everything."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from meter.runtime.errors import DependencyUnreachableError
from meter.runtime.kafka.adapter.producer import AiokafkaProducer
from meter.runtime.kafka.adapter.protocols import Headers, ProducerClient
from meter.runtime.kafka.connecting import not_connected
from meter.runtime.kafka.failures import (
    InvalidTimestampError,
    MessageSizeTooLargeError,
    is_transient,
    unreachable,
)
from meter.runtime.settings import Settings

# The standard library's, because clients of producers have no structlog; the services render it as their own lines.
log = logging.getLogger(__name__)

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 5


class Message(NamedTuple):
    """A record to publish. `topic` is the logical name; without `partition` the key decides, as with Java's client."""

    topic: str
    key: str | bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Headers = ()
    timestamp_ms: int | None = None  # None: now


class Landed(NamedTuple):
    """Where a record is; the offset is -1 where the broker does not say."""

    partition: int
    offset: int


class Producer:
    """Publishes at least once, in order per partition for one caller.

    After a failure the client inside is replaced. An idempotent producer whose sequence has a hole fails for ever
    (OutOfOrderSequenceNumber, UnknownProducerId, ProducerFenced), and a partition without a leader for longer than the
    request timeout makes such a hole. The caller then reads its outbox again. Records of the old client may still
    arrive after that, so receivers must drop what is not newer.
    """

    def __init__(self, settings: Settings, *, client_id: str = "credit-producer", linger_ms: int = 0) -> None:
        self._settings = settings
        self._client_id = client_id
        self._linger_ms = linger_ms
        self._client: ProducerClient | None = None
        self._opening = asyncio.Lock()
        self._topics: set[str] = set()
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self._open()

    async def stop(self) -> None:
        """Flush and close within STOP_TIMEOUT_S."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.stop(STOP_TIMEOUT_S)
        if self._closing:
            await asyncio.wait(self._closing, timeout=STOP_TIMEOUT_S)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def send(
        self,
        topic: str,
        key: str | bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        headers: Headers = (),
        timestamp_ms: int | None = None,
    ) -> "asyncio.Future[Any]":
        """Buffer a record (waiting while the buffer is full); the future resolves when all replicas have it."""
        try:
            client = await self._open()
            name = await self._known_topic(client, topic)
            raw_key = key.encode() if isinstance(key, str) else key
            future: asyncio.Future[Any] = await client.send(
                name, key=raw_key, value=value, partition=partition, headers=headers, timestamp_ms=timestamp_ms
            )
        except Exception as error:
            raise self._judge(error) from error
        return future

    async def publish(self, messages: Sequence[Message]) -> list[Landed]:
        """Send all messages and wait for all acks. Where each of them is.

        After a TransientError nobody knows which of them arrived: publish all again. A time that a topic does not take
        (`message.timestamp.before.max.ms`, or a broker's clock that is behind) is left out: else a record that was let
        in with it a moment before would hold up all that is behind it for ever.
        """
        try:
            return await self._publish(messages)
        except InvalidTimestampError:
            if all(message.timestamp_ms is None for message in messages):
                raise
            log.warning("timestamps_left_out", extra={"messages": len(messages)})
            return await self._publish([message._replace(timestamp_ms=None) for message in messages])

    async def _publish(self, messages: Sequence[Message]) -> list[Landed]:
        acks: list[asyncio.Future[Any]] = []
        try:
            async with asyncio.timeout(self._settings.kafka_publish_timeout_s):
                for m in messages:
                    ack = await self.send(
                        m.topic, m.key, m.value, partition=m.partition, headers=m.headers, timestamp_ms=m.timestamp_ms
                    )
                    ack.add_done_callback(note_seen)
                    acks.append(ack)
                results = await asyncio.gather(*acks, return_exceptions=True)
        except TimeoutError as error:
            raise self._judge(error) from error
        for result in results:
            if isinstance(result, asyncio.CancelledError):  # not ours: raised as it is, it would end who publishes
                raise self._judge(ConnectionAbortedError("the client let go of a record that it had taken"))
            if isinstance(result, BaseException):
                raise self._judge(result) from result
        return [Landed(result.partition, result.offset) for result in results if not isinstance(result, BaseException)]

    async def flush(self) -> None:
        """Wait until each buffered record is acknowledged or has failed (the futures of `send` say which)."""
        if self._client is not None:
            try:
                async with asyncio.timeout(self._settings.kafka_publish_timeout_s):
                    await self._client.flush()
            except TimeoutError as error:
                raise self._judge(error) from error

    async def _open(self) -> ProducerClient:
        if self._client is not None:
            return self._client
        async with self._opening:
            if self._client is None:
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> ProducerClient:
        client = AiokafkaProducer(self._settings, client_id=self._client_id, linger_ms=self._linger_ms)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await client.start()
        except BaseException as error:
            await client.stop(STOP_TIMEOUT_S)
            if is_transient(error):
                raise await not_connected(error, self._settings) from error
            raise
        return client

    async def _known_topic(self, client: ProducerClient, topic: str) -> str:
        """Ask before the first send: aiokafka's metadata request would create the topic with the broker's defaults."""
        name = self._settings.topic(topic)
        if name not in self._topics:
            if await client.describe_topic(name) is None:
                raise DependencyUnreachableError(f"there is no topic {name}: run `meter setup`", dependency="kafka")
            self._topics.add(name)
        return name

    def _judge(self, error: BaseException) -> BaseException:
        """The error to raise. Replaces the client, unless a message was too large or the error was judged before."""
        if isinstance(error, DependencyUnreachableError | MessageSizeTooLargeError):
            return error
        if isinstance(error, Exception):
            self._discard()
        if is_transient(error):
            return unreachable(error, "publishing")
        return error

    def _discard(self) -> None:
        client, self._client = self._client, None
        self._topics.clear()
        if client is not None:
            log.warning("producer_replaced")
            closing = asyncio.create_task(client.stop(STOP_TIMEOUT_S))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


def note_seen(ack: "asyncio.Future[Any]") -> None:
    """Look at the ack's exception: after a failure nobody waits for the other acks, and asyncio would log them."""
    if not ack.cancelled():
        ack.exception()
