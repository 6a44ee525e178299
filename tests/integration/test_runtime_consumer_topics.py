"""ShardConsumer and its topics: missing, shorter than what was read, re-created, cut by retention, transactional."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from meter.runtime.errors import DependencyUnreachableError, TopicIdentityError
from meter.runtime.kafka import Batch, Message, Producer, ShardConsumer, TopicAdmin, TopicInfo
from meter.runtime.kafka.adapter import consumer as consumer_adapter
from meter.runtime.kafka.adapter import options
from meter.runtime.settings import Settings
from schemas.topics import ACCOUNTS, USAGE
from tests.integration.runtime_ledger import (
    DEADLINE_S,
    INPUTS,
    Ledger,
    drain,
    fill,
    grow,
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


@pytest.mark.needs_kafka("partitions added to a topic")
@pytest.mark.parametrize("grown", [(USAGE,), (ACCOUNTS,), INPUTS], ids=["usage", "accounts", "both"])
async def test_partitions_that_no_shard_has_are_read_once_by_several_consumers(
    topics: Settings, grown: tuple[str, ...]
) -> None:
    await grow(topics, 2 * topics.partitions + 1, *grown)
    for topic in INPUTS:
        await fill(topics, 400, topic=topic)
    ledger = Ledger()
    async with joined(topics, ledger, beyond=True) as first, joined(topics, ledger, beyond=True) as second:
        while ledger.count < 800:
            await step(first, ledger)
            await step(second, ledger)
        assert first.assigned and second.assigned and not first.assigned & second.assigned
    ledger.check(await read_ends(topics))
    assert any(shard >= topics.partitions and offsets for (_topic, shard), offsets in ledger.stored.items())


@pytest.mark.needs_kafka("partitions added to a topic")
async def test_a_topic_that_is_grown_while_it_is_read_is_read_on(
    topics: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "METADATA_AGE_MS", 500)
    await fill(topics, 100)
    ledger = Ledger()
    async with joined(topics, ledger, beyond=True) as consumer:
        await drain(consumer, ledger, 100)
        await grow(topics, 2 * topics.partitions, USAGE)
        await fill(topics, 400, start=100)
        await drain(consumer, ledger, 500)
    ledger.check(await read_ends(topics))


@pytest.mark.needs_kafka("partitions added to a topic")
async def test_without_beyond_they_are_left_alone_and_nothing_is_refused(topics: Settings) -> None:
    await fill(topics, 100)
    await grow(topics, 2 * topics.partitions, *INPUTS)
    await fill(topics, 400, start=100)
    ledger = Ledger()
    ends = (await read_ends(topics))[USAGE]
    of_shards = sum(end for shard, end in ends.items() if shard < topics.partitions)
    assert 100 < of_shards < 500
    async with joined(topics, ledger) as consumer:
        await drain(consumer, ledger, of_shards)
        while consumer.lag():
            await step(consumer, ledger)
        assert consumer.assigned == frozenset(range(topics.partitions))
    assert all(shard < topics.partitions for _topic, shard in ledger.stored)


class LateStore(Ledger):
    """Has a cursor of a partition that no shard has only once somebody has looked at the topics."""

    async def fetch_offsets(self, topics: Sequence[str], shards: Sequence[int]) -> Mapping[tuple[str, int], int]:
        found = await super().fetch_offsets(topics, shards)
        return {place: offset for place, offset in found.items() if place[1] < 3 or self.cursors}

    cursors = False


@pytest.mark.needs_kafka("partitions added to a topic")
async def test_a_partition_without_a_cursor_waits_for_it_and_holds_up_no_shard(topics: Settings) -> None:
    await grow(topics, 6, USAGE)
    await fill(topics, 400)
    ends = (await read_ends(topics))[USAGE]
    ledger = LateStore()
    async with joined(topics, ledger, beyond=True) as consumer:
        await drain(consumer, ledger, sum(ends[shard] for shard in range(3)))
        ledger.cursors = True
        await drain(consumer, ledger, 400)
    ledger.check({USAGE: ends})


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


async def delete_records(settings: Settings, tp: TopicPartition, offset: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    try:
        await admin.delete_records({tp: RecordsToDelete(before_offset=offset)})
    finally:
        await admin.close()


@pytest.mark.needs_kafka("DeleteRecords")
async def test_records_lost_to_retention_are_refused_or_taken_as_a_gap(topics: Settings) -> None:
    await fill(topics, 300)
    await delete_records(topics, TopicPartition(topics.topic(USAGE), 0), 20)
    ledger = Ledger()
    async with joined(topics, ledger) as consumer:
        with pytest.raises(TopicIdentityError, match="starts at 20, next wanted is 0"):
            await consumer.receive()
    accepting = topics.model_copy(update={"accept_lost_records": True})
    async with joined(accepting, ledger) as consumer:
        await drain(consumer, ledger, 280)
    ends = await read_ends(topics)
    assert ledger.stored[USAGE, 0] == list(range(20, ends[USAGE][0]))
    assert ledger.next[USAGE, 0] == ends[USAGE][0]


async def produce_transactions(settings: Settings, *, commit_last: bool) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap, transactional_id=settings.topic("tx"), acks="all"
    )
    await producer.start()
    try:
        for commit in (True, False, commit_last):
            await producer.begin_transaction()
            for number in range(3):
                value = b"kept" if commit else b"aborted"
                await producer.send_and_wait(settings.topic(USAGE), value, key=str(number).encode(), partition=0)
            await (producer.commit_transaction() if commit else producer.abort_transaction())
    finally:
        await producer.stop()


@pytest.mark.needs_kafka("transactions")
@pytest.mark.parametrize("commit_last", [True, False])
async def test_aborted_records_and_markers_are_skipped_and_no_lag(topics: Settings, commit_last: bool) -> None:
    """Offsets: 0-2 kept, 3 marker, 4-6 aborted, 7 marker, 8-10 kept or aborted, 11 marker."""
    await produce_transactions(topics, commit_last=commit_last)
    kept = [0, 1, 2, 8, 9, 10] if commit_last else [0, 1, 2]
    ledger = Ledger()
    async with joined(topics, ledger) as consumer:
        await drain(consumer, ledger, len(kept))
        while consumer.lag():
            await step(consumer, ledger)
    assert ledger.stored[USAGE, 0] == kept
    assert b"aborted" not in ledger.values


@pytest.mark.needs_kafka("transactions")
async def test_the_end_is_asked_now_and_markers_behind_a_batch_do_not_count(topics: Settings) -> None:
    """Offset 11 is a marker: a batch that ends before it has read all there is, until another record comes."""
    await produce_transactions(topics, commit_last=True)
    ledger = Ledger()
    async with joined(topics, ledger) as consumer:
        await drain(consumer, ledger, 6)
        while consumer.lag():
            await step(consumer, ledger)
        at = {USAGE: 11, ACCOUNTS: 0}
        batch = Batch(0, {USAGE: [], ACCOUNTS: []}, at, at)
        assert await consumer.find_end(USAGE, batch) == 11
        async with Producer(topics) as producer:
            await producer.publish([Message(USAGE, "acct-1", b"x", 0)])
        assert await consumer.find_end(USAGE, batch) == 13
