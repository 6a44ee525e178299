"""How often aiokafka asks brokers whose answers do not help."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import NotLeaderForPartitionError, OffsetOutOfRangeError, UnknownTopicOrPartitionError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.metadata import MetadataRequest

from meter.runtime.kafka.adapter.pacing import FETCH_PAUSE_S, METADATA_PAUSE_S, pace_requests
from tests.support.virtual_loop import run_virtually

TOPIC = "usage"
ANSWER_S = 0.001  # a broker on the same machine


class Connection:
    """One broker, which answers a metadata request with one partition. `code`: of its topic; `leader` of it."""

    def __init__(self, *, leader: int = 1, code: int = 0, fetch_code: int = 0) -> None:
        self.leader, self.code, self.fetch_code = leader, code, fetch_code
        self.asked: list[str] = []
        self.topics: list[list[str] | None] = []  # of each metadata request; None: of all
        self.error: Exception | None = None

    def connected(self) -> bool:
        return True

    async def send(self, request: Any, **_options: Any) -> Any:
        await asyncio.sleep(ANSWER_S)
        self.asked.append(type(request).__name__)
        if isinstance(request, FetchRequest):
            return SimpleNamespace(API_VERSION=4, topics=[(TOPIC, [(0, self.fetch_code, -1, -1, [], b"")])])
        self.topics.append(request._topics)
        if self.error is not None:
            raise self.error
        partitions = [(0, 0, self.leader, [1], [1])]
        return SimpleNamespace(
            API_VERSION=1,
            brokers=[(1, "b", 9092, None)],
            controller_id=1,
            topics=[(self.code, TOPIC, False, partitions)],
        )

    def count(self, request: type) -> int:
        return self.asked.count(request.__name__)


async def make_client(connection: Connection) -> Any:
    pace_requests()
    client: Any = AIOKafkaClient(bootstrap_servers="b:9092")
    client._get_conn = lambda *_args, **_options: given(connection)
    client._conns = {(1, 0): connection}
    client.cluster.update_metadata(await connection.send(MetadataRequest([TOPIC])))
    client._sync_task = asyncio.create_task(client._md_synchronizer())
    return client


async def given(connection: Connection) -> Connection:
    return connection


async def read_for_a_second(connection: Connection) -> None:
    """As a consumer does, of one partition."""
    client = await make_client(connection)
    subscription: Any = SubscriptionState()
    partition = TopicPartition(TOPIC, 0)
    subscription.assign_from_user({partition})
    subscription.seek(partition, 5)
    await client.set_topics([TOPIC])
    connection.asked.clear()
    fetcher: Any = Fetcher(client, subscription, auto_offset_reset="none")
    loop = asyncio.get_running_loop()
    end = loop.time() + 1
    while loop.time() < end and len(connection.asked) < 5_000:
        await asyncio.wait([loop.create_future()], timeout=0.01)
    await fetcher.close()
    await stop(client)


async def stop(client: Any) -> None:
    client._sync_task.cancel()
    await asyncio.wait([client._sync_task])


@pytest.mark.parametrize(
    "connection",
    [Connection(leader=-1), Connection(code=UnknownTopicOrPartitionError.errno)],
    ids=["no_leader", "no_topic"],
)
def test_a_partition_without_a_leader_is_asked_for_ten_times_a_second(connection: Connection) -> None:
    run_virtually(read_for_a_second(connection))
    assert 5 <= connection.count(MetadataRequest) <= 1 / METADATA_PAUSE_S + 1


@pytest.mark.parametrize(
    "code", [NotLeaderForPartitionError.errno, UnknownTopicOrPartitionError.errno, OffsetOutOfRangeError.errno, 56]
)
def test_a_fetch_that_ends_in_an_error_is_followed_by_the_next_after_a_pause(code: int) -> None:
    connection = Connection(fetch_code=code)
    run_virtually(read_for_a_second(connection))
    assert 1 <= connection.count(FetchRequest) <= 1 / FETCH_PAUSE_S + 1
    assert connection.count(MetadataRequest) <= 1 / METADATA_PAUSE_S + 1


def test_a_fetch_without_an_error_is_not_held_up() -> None:
    connection = Connection()
    run_virtually(read_for_a_second(connection))
    assert connection.count(FetchRequest) > 500


def play(steps: Callable[[Any, Connection], Awaitable[None]]) -> None:
    async def run() -> None:
        connection = Connection()
        client = await make_client(connection)
        await steps(client, connection)
        await stop(client)

    run_virtually(run())


def test_other_topics_are_asked_for_at_once() -> None:
    async def steps(client: Any, connection: Connection) -> None:
        now = asyncio.get_running_loop().time
        began = now()
        for topics in ([TOPIC], [TOPIC, "accounts"], [TOPIC, "accounts", "balances"]):
            await client.set_topics(topics)
        assert now() - began < METADATA_PAUSE_S

    play(steps)


def test_an_error_that_nobody_expects_does_not_end_the_task_that_learns_of_leaders() -> None:
    async def steps(client: Any, connection: Connection) -> None:
        connection.error = RuntimeError("the handler is closed")
        async with asyncio.timeout(10):
            assert await client.force_metadata_update() is False
            connection.error = None
            assert await client.force_metadata_update() is True
        assert not client._sync_task.done()

    play(steps)


def test_a_client_without_topics_asks_for_none_and_not_for_all() -> None:
    async def steps(client: Any, connection: Connection) -> None:
        await client.force_metadata_update()
        assert connection.topics[-1] == []
        await client.fetch_all_metadata()
        assert connection.topics[-1] is None

    play(steps)


def test_it_is_applied_once() -> None:
    pace_requests()
    send = AIOKafkaClient.send
    pace_requests()
    assert AIOKafkaClient.send is send
