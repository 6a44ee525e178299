"""Plans of several shards in one transaction, in every event store: all are stored or none."""

from dataclasses import replace

import pytest

from meter.store.port import EventStore
from schemas.topics import USAGE
from tests.contract.event_store import InMemory, InPostgres, ReadLog, StoreFixtures
from tests.contract.memory_store import MemoryEventStore
from tests.contract.rows import opened, plan, rejected, usage


class TogetherContract(StoreFixtures):
    @pytest.mark.not_on_citus("a transaction takes one shard there: `append_together` stores nothing, and says so")
    async def test_several_shards_together_are_stored_as_each_alone(self, store: EventStore, read_log: ReadLog) -> None:
        event, twice = usage(0), usage(0)
        await store.append(plan(event, shard=2))
        plans = [
            plan(usage(0), opened(0), rejected(USAGE, 1), end=(5, 1), shard=0),
            plan(twice, usage(1), twice._replace(offset=2), rejected(USAGE, 3), end=(6, 0), shard=1),
            plan(usage(1, event_id=event.event_id), usage(2), start=(1, 0), shard=2),
        ]
        together = await store.append_together(plans)
        assert together is not None
        assert [done[:6] for done in together] == [(0, 1, 1, 4, 4, 0), (1, 1, 1, 2, 2, 1), (2, 2, 2, 2, 1, 1)]
        alone = MemoryEventStore(3)
        await alone.append(plan(event, shard=2))
        for one in plans:
            await alone.append(one)
        for shard in range(3):
            assert replace(await read_log(shard), hashes=[]) == replace(alone.log(shard), hashes=[])

    async def test_with_a_lost_shard_none_of_several_is_stored(self, store: EventStore, read_log: ReadLog) -> None:
        plans = [plan(usage(0), shard=0), plan(usage(7), start=(7, 0), shard=1)]
        assert await store.append_together(plans) is None
        assert (await read_log(0)).events == []
        assert (await store.append(plans[0])).stored == 1

    async def test_with_a_refused_row_none_of_several_is_stored(self, store: EventStore, read_log: ReadLog) -> None:
        plans = [plan(usage(0), shard=0), plan(usage(0, name="\x00"), shard=1)]
        assert await store.append_together(plans) is None
        assert (await read_log(0)).events == []
        assert [(await store.append(one)).rejected for one in plans] == [0, 1]


class TestMemoryEventStore(InMemory, TogetherContract): ...


class TestPostgresEventStore(InPostgres, TogetherContract): ...
