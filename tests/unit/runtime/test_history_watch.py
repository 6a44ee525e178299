"""A database that goes back in time while nothing comes to be stored."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from meter.runtime.history_watch import HistoryWatch
from meter.runtime.kafka import HistoryLostError
from meter.runtime.kafka.history import History


class Store:
    """Has one offset; `meanwhile` is stored by this process while it answers."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.meanwhile: tuple[History, int] | None = None

    async def fetch_offsets(self, topics: Sequence[str], shards: Sequence[int]) -> Mapping[tuple[str, int], int]:
        answer = {(topic, shard): self.offset for topic in topics for shard in shards}
        if self.meanwhile is not None:
            history, end = self.meanwhile
            history.note("u", 0, end)
        return answer


def make(offset: int, stored: int, *, assigned: frozenset[int] = frozenset({0})) -> HistoryWatch:
    history = History()
    history.note("u", 0, stored)
    return HistoryWatch(history, Store(offset), ("u",), lambda: assigned, every_s=0.001)


@pytest.mark.parametrize("offset", [7, 8])
async def test_a_database_that_has_what_was_stored_is_in_order(offset: int) -> None:
    await make(offset, 7).look()


async def test_one_that_lacks_it_is_refused_without_anything_to_store() -> None:
    with pytest.raises(HistoryLostError, match=r"u\[0\] is wanted from 6 on, and was stored up to 7.*meter recover"):
        async with asyncio.timeout(30):
            await make(6, 7).run(asyncio.Event())


async def test_shards_of_other_processes_are_theirs_to_watch() -> None:
    await make(6, 7, assigned=frozenset({1})).look()
    await make(6, 7, assigned=frozenset()).look()


async def test_what_is_stored_while_the_database_answers_is_no_proof() -> None:
    history, store = History(), Store(7)
    history.note("u", 0, 7)
    store.meanwhile = (history, 9)
    await HistoryWatch(history, store, ("u",), lambda: {0}).look()
