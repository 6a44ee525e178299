"""A history of one shard in batches of any size, and what came of it."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from meter.corrections import BEHIND_USAGE
from meter.store.port import EventStore
from schemas.records import Accepted, Outcome, event_of
from schemas.topics import ACCOUNTS, USAGE
from tests.contract.memory_store import MemoryEventStore
from tests.contract.rows import place_of, plan

Place = tuple[str, int]  # topic and offset


class Told(NamedTuple):
    """What became of a history, wherever its batches were cut."""

    accounts: dict[str, list[Accepted]]  # by account, what is stored of metering.accounts, in order
    usage: dict[str, list[tuple[int, str]]]  # by account, offsets and ids
    others: dict[Place, str]  # what is not stored, and why
    reversed: set[tuple[int, str, int]]  # offset of the reversal, id of the usage, amount


async def play(results: Sequence[Outcome], cuts: Sequence[int]) -> MemoryEventStore:
    store = MemoryEventStore(1)
    await append_cut(store, results, cuts)
    return store


async def append_cut(store: EventStore, results: Sequence[Outcome], cuts: Sequence[int], shard: int = 0) -> None:
    """Records of both topics as they are read, in batches that end at `cuts`."""
    at = {USAGE: 0, ACCOUNTS: 0}
    for begin, end in pairwise(sorted({0, *cuts, len(results)})):
        start = at[USAGE], at[ACCOUNTS]
        for result in results[begin:end]:
            topic, offset = place_of(result)
            at[topic] = offset + 1
        await store.append(plan(*results[begin:end], shard=shard, start=start, end=(at[USAGE], at[ACCOUNTS])))


async def append_one_by_one(store: EventStore, results: Sequence[Outcome], shard: int = 0) -> None:
    """Each in a batch of its own, in the order that they have in one batch."""
    at = {USAGE: 0, ACCOUNTS: 0}
    for result in order_of_batch(results):
        start = at[USAGE], at[ACCOUNTS]
        at[place_of(result)[0]] += 1  # how many were read: their offsets may come in another order
        await store.append(plan(result, shard=shard, start=start, end=(at[USAGE], at[ACCOUNTS])))


def order_of_batch(results: Sequence[Outcome]) -> list[Outcome]:
    """metering.accounts, usage, and what is said of each account from its first reversal or forgetting on."""
    stages: dict[Place, int] = {}
    met: set[str] = set()
    for result in results:
        place, event = place_of(result), event_of(result)
        if event is not None and event.type in BEHIND_USAGE:
            met.add(event.account_id)
        stages[place] = 1 if place[0] == USAGE else 2 if event is not None and event.account_id in met else 0
    return sorted(results, key=lambda result: (stages[place_of(result)], place_of(result)[1]))


def tell(store: MemoryEventStore) -> Told:
    told = Told({}, {}, others_of(store), set())
    rows = store._shards[0].rows
    for row in rows:
        if row.topic == ACCOUNTS:
            told.accounts.setdefault(row.account_id, []).append(row)
        else:
            told.usage.setdefault(row.account_id, []).append((row.offset, row.event_id))
    for position, reverses, amount in store.log(0).links:
        assert reverses < position and rows[reverses - 1].topic == USAGE
        told.reversed.add((rows[position - 1].offset, rows[reverses - 1].event_id, amount))
    return told


def others_of(store: MemoryEventStore) -> dict[Place, str]:
    return dict(list_others(store))


def list_others(store: MemoryEventStore) -> Iterator[tuple[Place, str]]:
    log = store.log(0)
    yield from (((topic, offset), "duplicate") for topic, offset, _ in log.duplicates)
    yield from (((topic, offset), reason) for topic, offset, reason in log.rejections)
    yield from (((topic, offset), f"sent to {partition}") for topic, offset, partition in log.rerouted)
    yield from (((topic, offset), "waiting") for topic, offset, _ in log.waiting)
