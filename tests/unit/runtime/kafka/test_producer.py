"""What the producer makes of a client that refuses records, is silent, or lets go of what it had taken."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from aiokafka import errors as kafka_errors

from meter.runtime.errors import DependencyUnreachableError
from meter.runtime.kafka import Landed, Message, Producer, producer
from meter.runtime.kafka.adapter.protocols import Outgoing, TopicInfo
from meter.runtime.kafka.producer import HeldBackError
from meter.runtime.settings import Settings
from schemas.topics import ACCOUNTS, USAGE, partition_for
from tests.support import until

PARTITIONS = 4
MOST = 2  # records that fit into a batch


class Broker:
    """What `Client` talks to. `fail` gives the error of a batch, `SILENT` where no ack comes, or None."""

    def __init__(self) -> None:
        self.log: dict[int, list[bytes | None]] = {partition: [] for partition in range(PARTITIONS)}
        self.clients: list[Client] = []
        self.fail: Callable[[int, Sequence[Outgoing]], BaseException | None] = lambda partition, batch: None
        self.too_large: bytes | None = None


SILENT = BaseException()


class Client:
    """Implements `ProducerClient`."""

    broker: Broker

    def __init__(self, *_: object, **__: object) -> None:
        self.broker.clients.append(self)
        self.stopped = False

    async def start(self) -> None: ...

    async def stop(self, _timeout_s: float) -> None:
        self.stopped = True

    async def describe_topic(self, name: str) -> TopicInfo:
        return TopicInfo(name, "", PARTITIONS, {})

    async def count_partitions(self, _topic: str) -> int:
        return PARTITIONS

    async def send_batch(
        self, _topic: str, partition: int, records: Sequence[Outgoing]
    ) -> "tuple[int, asyncio.Future[Any]]":
        if records[0].value == self.broker.too_large is not None:
            raise kafka_errors.MessageSizeTooLargeError
        batch = [record for record in records[:MOST] if record.value != self.broker.too_large or not record.value]
        ack: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        error = self.broker.fail(partition, batch)
        if isinstance(error, asyncio.CancelledError):
            ack.cancel()
        elif isinstance(error, Exception):
            ack.set_exception(error)
        elif error is None:
            ack.set_result(type("Ack", (), {"offset": len(self.broker.log[partition])}))
            self.broker.log[partition] += [record.value for record in batch]
        return len(batch), ack


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    monkeypatch.setattr(Client, "broker", Broker(), raising=False)
    monkeypatch.setattr(producer, "AiokafkaProducer", Client)
    return Client.broker


def to(partition: int, *values: bytes, timestamp_ms: int | None = None) -> list[Message]:
    return [Message(USAGE, "acc-1", value, partition, timestamp_ms=timestamp_ms) for value in values]


async def test_a_cancelled_ack_is_a_fault_that_may_pass(broker: Broker) -> None:
    """Raised as it is, it would end the loop that publishes, and nobody would know."""
    broker.fail = lambda _partition, _batch: asyncio.CancelledError() if len(broker.clients) == 1 else None
    async with Producer(Settings()) as publisher:
        with pytest.raises(DependencyUnreachableError, match="the client let go of a record that it had taken"):
            await publisher.publish(to(0, b"1"))
        assert await publisher.publish(to(0, b"1")) == [Landed(0, 0)]


async def test_each_message_is_told_of_by_itself(broker: Broker) -> None:
    """One partition that fails takes no record of another along."""
    broker.fail = lambda partition, _batch: kafka_errors.NotEnoughReplicasError() if partition == 1 else None
    async with Producer(Settings()) as publisher:
        results = await publisher.publish_each([*to(0, b"a", b"b"), *to(1, b"c"), *to(2, b"d")])
    assert results[:2] == [Landed(0, 0), Landed(0, 1)] and results[3] == Landed(2, 0)
    assert isinstance(results[2], DependencyUnreachableError)


async def test_nothing_is_sent_behind_one_that_failed(broker: Broker) -> None:
    """Else it would come again behind what was newer, and receivers would drop it."""
    tried: list[bytes | None] = []

    def fail(_partition: int, batch: Sequence[Outgoing]) -> Exception | None:
        tried.append(batch[0].value)
        return kafka_errors.RequestTimedOutError() if batch[0].value == b"3" and tried.count(b"3") == 1 else None

    broker.fail = fail
    messages = to(0, b"1", b"2", b"3", b"4", b"5")
    async with Producer(Settings()) as publisher:
        results = await publisher.publish_each(messages)
        assert results[:2] == [Landed(0, 0), Landed(0, 1)]
        assert [type(result) for result in results[2:]] == [DependencyUnreachableError] * 2 + [HeldBackError]
        assert "5" not in str(broker.log)
        await publisher.publish_each(messages[2:])
    assert broker.log[0] == [b"1", b"2", b"3", b"4", b"5"]


async def test_of_a_batch_that_is_refused_for_good_only_the_culprit_fails(broker: Broker) -> None:
    """And the client, whose sequence has a hole then, is replaced."""

    def fail(_partition: int, batch: Sequence[Outgoing]) -> Exception | None:
        return kafka_errors.MessageSizeTooLargeError() if any(r.value == b"large" for r in batch) else None

    broker.fail = fail
    async with Producer(Settings()) as publisher:
        results = await publisher.publish_each(to(0, b"1", b"large", b"3"))
        assert results[0] == Landed(0, 0) and isinstance(results[1], kafka_errors.MessageSizeTooLargeError)
        assert isinstance(results[2], HeldBackError)
        await until(lambda: broker.clients[0].stopped, 30, "the first client is closed")
        assert await publisher.publish_each(to(0, b"3")) == [Landed(0, 1)]


async def test_what_is_too_large_to_be_sent_leaves_the_client_alone(broker: Broker) -> None:
    broker.too_large = b"large"
    async with Producer(Settings()) as publisher:
        [result] = await publisher.publish_each(to(0, b"large"))
        assert isinstance(result, kafka_errors.MessageSizeTooLargeError)
        assert await publisher.publish(to(0, b"1")) == [Landed(0, 0)]
    assert len(broker.clients) == 1


async def test_a_partition_that_is_silent_takes_no_other_along(broker: Broker) -> None:
    broker.fail = lambda partition, _batch: SILENT if partition == 1 else None
    async with Producer(Settings(kafka_publish_timeout_s=0.05)) as publisher:
        results = await publisher.publish_each([*to(1, b"a", b"b", b"c"), *to(2, b"d")])
        assert [isinstance(result, Landed) for result in results] == [False, False, False, True]
        broker.fail = lambda partition, _batch: None
        assert await publisher.publish_each(to(1, b"a")) == [Landed(1, 0)]
    assert len(broker.clients) == 2


async def test_what_lands_is_told_at_its_ack(broker: Broker) -> None:
    """And not when the call ends, which one silent partition holds up, and which may be given up before."""
    told: dict[int, Landed] = {}
    broker.fail = lambda partition, batch: SILENT if partition == 1 or batch[0].value == b"c" else None
    async with Producer(Settings()) as publisher:
        messages = [*to(1, b"silent"), *to(0, b"a", b"b", b"c")]
        publishing = asyncio.create_task(publisher.publish_each(messages, told.__setitem__))
        await until(lambda: told == {1: Landed(0, 0), 2: Landed(0, 1)}, 30, "what landed is told")
        assert not publishing.done()
        publishing.cancel()
        await asyncio.wait({publishing})


async def test_a_call_that_ends_late_does_not_replace_a_client_that_it_did_not_use(broker: Broker) -> None:
    """Two partitions are silent, and each call ends in its own time."""
    tried: set[int] = set()

    def fail(partition: int, _batch: Sequence[Outgoing]) -> BaseException | None:
        tried.add(partition)
        return SILENT if partition in {1, 2} else None

    broker.fail = fail
    async with Producer(Settings(kafka_publish_timeout_s=0.5)) as publisher:
        second = asyncio.create_task(publisher.publish_each(to(2, b"b")))
        await until(lambda: tried == {2}, 30, "the second is under way")
        publisher._settings = Settings(kafka_publish_timeout_s=0.05)
        [first] = await publisher.publish_each(to(1, b"a"))
        assert isinstance(first, DependencyUnreachableError)
        publisher._settings = Settings()
        assert await publisher.publish_each(to(0, b"c")) == [Landed(0, 0)]
        assert isinstance((await second)[0], DependencyUnreachableError)
        assert await publisher.publish_each(to(0, b"d")) == [Landed(0, 1)]
    assert len(broker.clients) == 2


async def test_a_place_is_known_before_anything_is_sent(broker: Broker) -> None:
    async with Producer(Settings()) as publisher:
        places = await publisher.place([*to(3, b"a"), Message(USAGE, "acc-1", b"b"), Message(USAGE, None, b"c")])
    assert places == [3, partition_for(b"acc-1", PARTITIONS), partition_for(b"", PARTITIONS)]


async def test_without_a_topic_nobody_knows_the_place(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def describe(_client: Client, name: str) -> TopicInfo | None:
        return None if name == USAGE else TopicInfo(name, "", PARTITIONS, {})

    monkeypatch.setattr(Client, "describe_topic", describe)
    async with Producer(Settings()) as publisher:
        [missing, known] = await publisher.place([Message(USAGE, "acc-1", b"a"), Message(ACCOUNTS, "acc-1", b"b")])
    assert "meter setup" in str(missing) and known == partition_for(b"acc-1", PARTITIONS)


async def test_a_failure_of_an_old_client_does_not_replace_the_new_one(broker: Broker) -> None:
    """Two partitions fail together."""
    broker.fail = lambda _partition, _batch: (
        kafka_errors.OutOfOrderSequenceNumber() if len(broker.clients) == 1 else None
    )
    async with Producer(Settings()) as publisher:
        await publisher.publish_each([*to(0, b"a"), *to(1, b"b"), *to(2, b"c")])
        await publisher.publish_each([*to(0, b"a"), *to(1, b"b"), *to(2, b"c")])
        assert len(broker.clients) == 2 and not broker.clients[1].stopped


async def test_a_time_that_the_topic_does_not_take_is_left_out(broker: Broker) -> None:
    def fail(_partition: int, batch: Sequence[Outgoing]) -> Exception | None:
        return kafka_errors.InvalidTimestampError() if any(r.timestamp_ms is not None for r in batch) else None

    broker.fail = fail
    async with Producer(Settings()) as publisher:
        await publisher.publish(to(0, b"1", b"2", b"3", timestamp_ms=1_000))
    assert broker.log[0] == [b"1", b"2", b"3"]


async def test_the_key_decides_where_no_partition_is_said(broker: Broker) -> None:
    async with Producer(Settings()) as publisher:
        landed = await publisher.publish([Message(USAGE, f"acc-{n}", b"x") for n in range(50)])
    assert [where.partition for where in landed] == [partition_for(f"acc-{n}".encode(), PARTITIONS) for n in range(50)]
