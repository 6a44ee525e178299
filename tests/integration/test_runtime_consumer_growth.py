"""ShardConsumer on topics that somebody has grown: partitions that no shard has."""

from collections.abc import Mapping, Sequence

import pytest

from meter.runtime.kafka.adapter import options
from meter.runtime.settings import Settings
from schemas.topics import ACCOUNTS, USAGE
from tests.integration.runtime_ledger import INPUTS, Ledger, drain, fill, grow, joined, read_ends, step


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
