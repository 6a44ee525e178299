"""The producer: acks from all replicas, idempotent, the Java client's partitioner, a deadline on everything."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

from meter.runtime.errors import DependencyUnreachableError, TransientError, explain
from meter.runtime.kafka.acks import wait_for_ack
from meter.runtime.kafka.adapter.producer import AiokafkaProducer
from meter.runtime.kafka.adapter.protocols import Headers, Outgoing, ProducerClient
from meter.runtime.kafka.connecting import not_connected
from meter.runtime.kafka.failures import (
    UNAUTHORIZED,
    InvalidTimestampError,
    MessageSizeTooLargeError,
    is_transient,
    unreachable,
)
from meter.runtime.settings import Settings
from schemas.topics import partition_for

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

    @property
    def raw_key(self) -> bytes | None:
        return self.key.encode() if isinstance(self.key, str) else self.key

    def place(self, partitions: int) -> int:
        """The partition it belongs to. Where nothing says that any will do."""
        return self.partition if self.partition is not None else partition_for(self.raw_key or b"", partitions)


class Landed(NamedTuple):
    """Where a record is; the offset is -1 where the broker does not say."""

    partition: int
    offset: int


OnLanded = Callable[[int, Landed], None]  # which message of those that were given, and where it is


class HeldBackError(TransientError):
    """The record was not sent, because one that stands before it in its partition did not land."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"not sent, because one before it did not land: {explain(cause)}", dependency="kafka")
        self.cause = cause


class Call(NamedTuple):
    """What one call of `publish_each` shares among its partitions."""

    messages: Sequence[Message]
    results: dict[int, Landed | Exception]
    until: float  # by the loop's clock
    on_landed: OnLanded | None

    def note(self, number: int, where: Landed) -> None:
        self.results[number] = where
        if self.on_landed is not None:
            self.on_landed(number, where)


class Producer:
    """Publishes at least once, in order per partition for one caller.

    After a failure the client inside is replaced. An idempotent producer whose sequence has a hole fails for ever
    (OutOfOrderSequenceNumber, UnknownProducerId, ProducerFenced), and a record that fails for good or a partition
    without a leader for longer than the request timeout makes such a hole. The old client has STOP_TIMEOUT_S for what
    it has under way. Records of it may still arrive in that time, so receivers must drop what is not newer.
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
        """Flush within STOP_TIMEOUT_S and close."""
        if self._client is not None:
            self._close(self._client)
        if self._closing:
            await asyncio.wait(self._closing)  # each has its deadline

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
        client = None
        try:
            client = await self._open()
            name, _ = await self._known_topic(client, topic)
            raw_key = key.encode() if isinstance(key, str) else key
            future: asyncio.Future[Any] = await client.send(
                name, key=raw_key, value=value, partition=partition, headers=headers, timestamp_ms=timestamp_ms
            )
        except Exception as error:
            raise self._judge(error, client) from error
        return future

    async def publish(self, messages: Sequence[Message]) -> list[Landed]:
        """Send all messages and wait for all acks. Where each of them is.

        After a TransientError nobody knows which of them arrived: publish all again, or ask `publish_each`.
        """
        results = await self.publish_each(messages)
        failed = [result for result in results if isinstance(result, Exception)]
        for error in [error for error in failed if not isinstance(error, HeldBackError)] or failed:
            raise error
        return [result for result in results if isinstance(result, Landed)]

    async def place(self, messages: Sequence[Message]) -> list[int | Exception]:
        """The partition of each message, or why nobody can say. Connects where it has to."""
        until = self._next_deadline()
        found = {topic: await self._find(topic, until) for topic in dict.fromkeys(m.topic for m in messages)}
        each = ((message, found[message.topic]) for message in messages)
        return [told if isinstance(told, Exception) else message.place(told[1]) for message, told in each]

    async def publish_each(
        self, messages: Sequence[Message], on_landed: OnLanded | None = None
    ) -> list[Landed | Exception]:
        """Send all messages and wait for their acks: of each where it is, or the error with which it failed.

        `on_landed` is told of each at its ack: the call ends with its slowest partition, and may be given up before.

        In a partition nothing is sent behind one that failed (HeldBackError), so whoever publishes again what did not
        land changes no order. After a passing error a message may have landed all the same. One that fails for good
        takes no other along. A time that a topic does not take (`message.timestamp.before.max.ms`, or a broker's clock
        that is behind) is left out: else a record that was let in with it a moment before would hold up all that is
        behind it for ever.
        """
        results: dict[int, Landed | Exception] = {}
        topics: dict[str, list[int]] = {}
        for number, message in enumerate(messages):
            topics.setdefault(message.topic, []).append(number)
        call = Call(messages, results, self._next_deadline(), on_landed)
        await asyncio.gather(*(self._publish_topic(topic, numbers, call) for topic, numbers in topics.items()))
        return [results[number] for number in range(len(messages))]

    async def _publish_topic(self, topic: str, numbers: Sequence[int], call: Call) -> None:
        found = await self._find(topic, call.until)
        if isinstance(found, Exception):
            call.results.update(dict.fromkeys(numbers, found))
            return
        name, count = found
        partitions: dict[int, list[int]] = {}
        for number in numbers:
            partitions.setdefault(call.messages[number].place(count), []).append(number)
        await asyncio.gather(*(self._publish_in_order(name, place, some, call) for place, some in partitions.items()))

    async def _publish_in_order(self, name: str, partition: int, numbers: Sequence[int], call: Call) -> None:
        """Batch by batch, each behind the acknowledgement of the one before, up to the first record that fails."""
        given = (call.messages[number] for number in numbers)
        records = [Outgoing(m.raw_key, m.value, m.headers, m.timestamp_ms) for m in given]
        done, most = 0, len(records)
        while done < len(records):
            client, taken = None, 0
            try:
                async with asyncio.timeout_at(call.until):
                    client = await self._open()
                    taken, ack = await client.send_batch(name, partition, records[done : done + most])
                    first = await wait_for_ack(ack)
            except Exception as error:
                failed = self._judge(error, client, sent=taken > 0)
                if isinstance(error, InvalidTimestampError) and any(r.timestamp_ms is not None for r in records[done:]):
                    log.warning("timestamps_left_out", extra={"messages": len(records) - done})
                    records[done:] = [record._replace(timestamp_ms=None) for record in records[done:]]
                elif taken > 1 and not is_transient(error) and not isinstance(error, UNAUTHORIZED):
                    most = 1  # only the culprit is to fail
                else:
                    tried = done + max(taken, 1)
                    call.results.update(dict.fromkeys(numbers[done:tried], failed))
                    call.results.update(dict.fromkeys(numbers[tried:], HeldBackError(failed)))
                    return
            else:
                for number in range(taken):
                    offset = -1 if first.offset < 0 else first.offset + number
                    call.note(numbers[done + number], Landed(partition, offset))
                done += taken

    async def flush(self) -> None:
        """Wait until each buffered record is acknowledged or has failed (the futures of `send` say which)."""
        client = self._client
        if client is not None:
            try:
                async with asyncio.timeout(self._settings.kafka_publish_timeout_s):
                    await client.flush()
            except TimeoutError as error:
                raise self._judge(error, client) from error

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

    async def _find(self, topic: str, until: float) -> tuple[str, int] | Exception:
        """What `_known_topic` says, or the error to tell."""
        client = None
        try:
            async with asyncio.timeout_at(until):
                client = await self._open()
                return await self._known_topic(client, topic)
        except Exception as error:
            return self._judge(error, client)

    def _next_deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._settings.kafka_publish_timeout_s

    async def _known_topic(self, client: ProducerClient, topic: str) -> tuple[str, int]:
        """Its name on the broker, and how many partitions it has. Asks before the first send: aiokafka's metadata
        request would create the topic with the broker's defaults."""
        name = self._settings.topic(topic)
        if name not in self._topics:
            if await client.describe_topic(name) is None:
                raise DependencyUnreachableError(f"there is no topic {name}: run `meter setup`", dependency="kafka")
            self._topics.add(name)
        return name, await client.count_partitions(name)

    def _judge(self, error: Exception, client: ProducerClient | None, *, sent: bool = True) -> Exception:
        """The error to tell. Replaces the client that was used, unless the message was too large to be `sent`, or the
        error was judged before."""
        if isinstance(error, DependencyUnreachableError) or (isinstance(error, MessageSizeTooLargeError) and not sent):
            return error
        self._discard(client)
        if not is_transient(error):
            return error
        told = unreachable(error, "publishing")
        told.__cause__ = error
        return told

    def _discard(self, client: ProducerClient | None) -> None:
        """Replace this client, if nobody has yet."""
        if client is not None and client is self._client:
            log.warning("producer_replaced")
            self._close(client)

    def _close(self, client: ProducerClient) -> None:
        """In the background, within a deadline."""
        self._client = None
        self._topics.clear()
        closing = asyncio.create_task(client.stop(STOP_TIMEOUT_S))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
