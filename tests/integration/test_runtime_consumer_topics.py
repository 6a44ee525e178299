"""ShardConsumer and its topics: missing, shorter than what was read, re-created, shared with older members."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from meter.runtime.errors import DependencyUnreachableError, TopicIdentityError
from meter.runtime.kafka import ShardConsumer, TopicAdmin, TopicInfo
from meter.runtime.kafka.adapter import consumer as consumer_adapter
from meter.runtime.settings import Settings
from schemas.topics import ACCOUNTS, USAGE
from tests.integration.runtime_ledger import (
    DEADLINE_S,
    INPUTS,
    Ledger,
    drain,
    fill,
    joined,
    make_topics,
    read_ends,
    step,
)
from tests.support import until


async def test_missing_topics_are_waited_for_and_never_made(settings: Settings) -> None:
    consumer = ShardConsumer(settings, topics=INPUTS, group="meter", store=Ledger())
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(DependencyUnreachableError, match="meter setup"):
            await consumer.start()
    async with TopicAdmin(settings) as admin:
        assert await admin.find(USAGE) is None


async def test_a_broker_that_is_not_there_is_said_so_soon(settings: Settings) -> None:
    gone = settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:1"})
    consumer = ShardConsumer(gone, topics=INPUTS, group="meter", store=Ledger())
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(DependencyUnreachableError, match=r"127\.0\.0\.1:1"):
            await consumer.start()
        await consumer.stop()


async def test_a_topic_shorter_than_what_was_read_is_refused(topics: Settings) -> None:
    await fill(topics, 30)
    ledger = Ledger()
    ledger.next[USAGE, 1] = 1000
    async with joined(topics, ledger) as consumer:
        with pytest.raises(TopicIdentityError, match=r"\[1\] ends at \d+, stored offset is 1000"):
            await drain(consumer, ledger, 30)
    assert ledger.count == 0, "nothing was written"


async def delete_topic(settings: Settings, topic: str) -> None:
    async with asyncio.timeout(DEADLINE_S), TopicAdmin(settings) as admin:
        await admin.delete(topic)

        async def gone() -> bool:
            return await admin.find(topic) is None

        is_gone: Callable[[], bool | Awaitable[bool]] = gone
        await until(is_gone, message=f"{topic} is deleted")


class Guard:
    remedy = "Bring it back."

    def __init__(self) -> None:
        self.known: dict[str, TopicInfo] = {}

    async def check_topics(self, topics: Mapping[str, TopicInfo]) -> None:
        for name, info in topics.items():
            if self.known.setdefault(name, info) != info:
                raise TopicIdentityError(f"topic {name} was re-created")


async def test_a_recreated_topic_is_refused_even_when_it_is_long_enough(topics: Settings) -> None:
    await fill(topics, 30)
    ledger, guard = Ledger(), Guard()
    async with joined(topics, ledger, guard=guard) as consumer:
        await drain(consumer, ledger, 30)
    assert all(info.topic_id for info in guard.known.values())
    await delete_topic(topics, USAGE)
    await make_topics(topics)
    await fill(topics, 300)
    async with joined(topics, ledger, guard=guard) as consumer:
        with pytest.raises(TopicIdentityError, match="re-created"):
            await consumer.receive()
    assert ledger.count == 30


async def test_a_topic_recreated_while_it_is_read_is_noticed(topics: Settings) -> None:
    await fill(topics, 30)
    ledger, guard = Ledger(), Guard()
    async with joined(topics, ledger, guard=guard) as consumer:
        await drain(consumer, ledger, 30)
        guard.known[USAGE] = guard.known[USAGE]._replace(topic_id="another")
        consumer._identity.require()
        with pytest.raises(TopicIdentityError, match="re-created"):
            await consumer.receive()


async def test_a_topic_that_is_deleted_while_it_is_read_is_named_with_what_to_do(topics: Settings) -> None:
    """The other topic's partitions are still there: that is no question of their number."""
    await fill(topics, 30)
    ledger, guard = Ledger(), Guard()
    async with joined(topics, ledger, guard=guard) as consumer:
        await drain(consumer, ledger, 30)
        await delete_topic(topics, USAGE)

        async def refused() -> str:
            try:
                await consumer.receive()
            except TopicIdentityError as error:
                return str(error)
            except DependencyUnreachableError:
                pass  # before the group has noticed
            return ""

        is_refused: Callable[[], Awaitable[str]] = refused
        said = await until(is_refused, 60)
        assert "is gone" in said and said.endswith("Bring it back.")


async def test_ends_are_not_asked_behind_a_fetch_that_waits(topics: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker answers a connection's requests one after the other, so the questions have a connection of their own."""
    await fill(topics, 30)

    async def wrong(*_: object) -> None:
        raise AssertionError("asked over the connection of the fetches")

    async with joined(topics, Ledger()) as consumer:
        for name in ("end_offsets", "describe_topic"):
            monkeypatch.setattr(consumer._client, name, wrong)
        assert sum(await consumer.find_all_ends(USAGE)) == sum((await consumer.fetch_ends(USAGE)).values()) > 0


async def test_topics_with_different_partition_counts_are_refused(settings: Settings) -> None:
    await make_topics(settings)
    await delete_topic(settings, ACCOUNTS)
    await make_topics(settings.model_copy(update={"partitions": 2}))
    ledger = Ledger()
    async with joined(settings, ledger) as consumer:
        with pytest.raises(TopicIdentityError, match="same number of partitions"):
            await consumer.receive()


async def test_members_of_the_version_before_share_a_group_with_new_ones(
    topics: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those before deal partitions out by range alone: for the time of a roll-out all do."""
    ledger = Ledger()
    async with joined(topics, ledger) as new:
        monkeypatch.setattr(consumer_adapter, "ASSIGNORS", (RangePartitionAssignor,))
        async with joined(topics, ledger) as old:
            await fill(topics, 200)
            while ledger.count < 200 or not (new.assigned and old.assigned):
                await step(new, ledger)
                await step(old, ledger)
            assert new.assigned | old.assigned == frozenset(range(topics.partitions))
            assert not new.assigned & old.assigned
        await fill(topics, 100, start=200)
        await drain(new, ledger, 300)
    ledger.check(await read_ends(topics))
