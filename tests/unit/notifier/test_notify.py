"""The loop that reads balances, with a store in memory: a shard that fails for good holds up no other."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest

from meter.runtime.kafka import Batch
from meter.runtime.process.health import Health
from meter.runtime.shard_loop import ShardLoop
from notifier.decide import Thresholds
from notifier.model import NotifyPlan, People, Saved
from notifier.notify import Notify, plan_batches
from schemas.reasons import Reason
from schemas.records import Rejected
from schemas.topics import BALANCES
from tests.unit.notifier.builders import ACCOUNT, RENDERER, account, balance, encode_change, record
from tests.unit.notifier.fakes import FakeClock, FakeStore


class Consumer:
    """Hands out a record of each shard, once."""

    def __init__(self) -> None:
        self._given = False

    async def receive(self) -> list[Batch]:
        await asyncio.sleep(0)
        if self._given:
            return []
        self._given = True
        return [Batch(shard, {BALANCES: [record(b"{", 0)]}, {BALANCES: 0}, {BALANCES: 1}) for shard in range(3)]

    def wake(self) -> None: ...

    def advance(self, batch: Batch) -> None: ...

    async def acknowledge(self, batches: Sequence[Batch]) -> None: ...


class PoisonedStore(FakeStore):
    async def save(self, plan: NotifyPlan) -> Saved:
        if plan.shard == 0:
            raise KeyError("bug")
        return await super().save(plan)


class AskedStore(FakeStore):
    def __init__(self, clock: FakeClock, topic: str) -> None:
        super().__init__(clock, topic)
        self.asked: list[set[str]] = []

    async def fetch_people(
        self, account_ids: Collection[str], shards: Collection[int] | None = None
    ) -> Mapping[str, People]:
        self.asked.append(set(account_ids))
        return await super().fetch_people(account_ids)


async def test_what_no_client_could_read_is_kept_with_the_records_around_it() -> None:
    bad = Rejected(record(b"packed", 1), Reason.UNDECODABLE, "the record batch at offsets 1 to 7: why", to_offset=8)
    batch = Batch(2, {BALANCES: [record(b"{", 0)]}, {BALANCES: 0}, {BALANCES: 8}, {BALANCES: [bad]})
    clock = FakeClock()
    store = FakeStore(clock, BALANCES)
    [plan] = await plan_batches([batch], store, thresholds=Thresholds(), renderer=RENDERER, clock=clock)
    assert [(found.record.offset, found.reason) for found in plan.unreadable] == [(0, "not_json"), (1, "undecodable")]
    assert (plan.unreadable[1].detail, plan.unreadable[1].record.value) == (bad.detail, b"packed")
    assert (plan.start, plan.end) == (0, 8)


async def test_contacts_get_their_addresses_where_events_name_ids() -> None:
    """Of one batch; the other, of balances alone, asks for nobody."""
    clock = FakeClock()
    store = AskedStore(clock, BALANCES)
    store.people = {ACCOUNT: People(addresses={UUID(int=1): "ann@example.com"})}
    named = record(encode_change(account(1, contacts=(), contact_ids=(UUID(int=1),))), 0)
    batch = Batch(0, {BALANCES: [named]}, {BALANCES: 0}, {BALANCES: 1})
    [plan] = await plan_batches([batch], store, thresholds=Thresholds(), renderer=RENDERER, clock=clock)
    assert [each.contacts for each in plan.accounts] == [("ann@example.com",)]
    assert store.asked == [{ACCOUNT}]
    batch = Batch(0, {BALANCES: [record(encode_change(balance(1, 2)), 1)]}, {BALANCES: 1}, {BALANCES: 2})
    await plan_batches([batch], store, thresholds=Thresholds(), renderer=RENDERER, clock=clock)
    assert store.asked == [{ACCOUNT}]


async def test_a_bug_in_one_shard_ends_the_loop_after_the_others_are_saved() -> None:
    clock = FakeClock()
    store, consumer = PoisonedStore(clock, BALANCES), Consumer()
    any_consumer: Any = consumer
    health = Health()
    notify = Notify(
        store,
        thresholds=Thresholds(),
        renderer=RENDERER,
        clock=clock,
        metrics=health.metrics,
        on_saved=lambda _plan, _queued: None,
    )
    loop = ShardLoop(any_consumer, notify, together=100, concurrency=2, health=health)
    with pytest.raises(KeyError):
        await loop.run(asyncio.Event())
    assert store.offsets == {(BALANCES, 0): 0, (BALANCES, 1): 1, (BALANCES, 2): 1}
