"""The one loop of all services: what is saved together, what is read again, and what a bug ends."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from meter.runtime.errors import OwnershipLostError
from meter.runtime.kafka import Batch
from meter.runtime.process.health import Health
from meter.runtime.shard_loop import ShardLoop, group_small
from tests.unit.runtime.shard_loop_fakes import Consumer, Numbers, batch, consumer_of, run


async def test_small_batches_are_saved_together_and_acknowledged() -> None:
    work = Numbers()
    consumer = await run(work, [batch(0), batch(1), batch(2, size=101)])
    assert work.groups == [[0, 1]]
    assert sorted(work.saved) == sorted(work.noted) == sorted(consumer.acknowledged) == [0, 1, 2]
    assert consumer.rewound == []


async def test_where_they_cannot_be_saved_together_each_is_saved_alone() -> None:
    work = Numbers(together=False)
    consumer = await run(work, [batch(0), batch(1)])
    assert work.groups == []
    assert sorted(consumer.acknowledged) == [0, 1]


@pytest.mark.parametrize("error", [ConnectionResetError("gone"), TimeoutError(), OwnershipLostError("taken")], ids=repr)
async def test_after_a_transient_error_of_a_group_all_of_it_is_read_again(error: Exception) -> None:
    consumer = await run(Numbers({("save_together", -1): error}), [batch(0), batch(1)])
    assert sorted(consumer.rewound) == [0, 1]
    assert consumer.advanced == consumer.acknowledged == []


async def test_after_a_transient_error_of_one_shard_the_others_are_saved() -> None:
    work = Numbers({("save", 1): ConnectionResetError("gone")}, together=False)
    consumer = await run(work, [batch(0), batch(1), batch(2)])
    assert consumer.rewound == [1]
    assert sorted(consumer.acknowledged) == [0, 2]


@pytest.mark.parametrize("step", ["plan", "save"])
@pytest.mark.parametrize("together", [True, False])
async def test_a_bug_in_one_shard_ends_the_loop_after_the_others_of_its_group_are_saved(
    step: str, together: bool
) -> None:
    work = Numbers({(step, 1): KeyError("bug")}, together=together)
    with pytest.raises(KeyError):
        await run(work, [batch(0), batch(1), batch(2)])
    assert sorted(consumer_of(work).acknowledged) == [0, 2]
    assert consumer_of(work).rewound == []


async def test_a_bug_that_strikes_only_the_group_ends_the_loop_after_all_are_saved() -> None:
    """Swallowed, it would strike again and again, and nobody would know."""
    work = Numbers({("save_together", -1): KeyError("bug")})
    with pytest.raises(KeyError):
        await run(work, [batch(0), batch(1)])
    assert sorted(consumer_of(work).acknowledged) == [0, 1]


async def test_a_bug_beside_a_transient_error_is_raised_all_the_same() -> None:
    work = Numbers({("save", 0): ConnectionResetError("gone"), ("save", 1): KeyError("bug")}, together=False)
    with pytest.raises(KeyError):
        await run(work, [batch(0), batch(1), batch(2)])
    assert (consumer_of(work).rewound, consumer_of(work).acknowledged) == ([0], [2])


def test_small_batches_share_a_transaction_and_large_ones_do_not() -> None:
    groups = group_small([batch(0, 3), batch(1, 100), batch(2, 101), batch(3, 5)], 100)
    assert [[one.shard for one in group] for group in groups] == [[0, 3], [1], [2]]
    assert group_small([], 100) == []


async def test_a_bug_in_a_note_ends_the_loop_after_the_others_are_saved() -> None:
    class Misnoted(Numbers):
        def note(self, batch: Batch, plan: int, saved: int) -> None:
            if plan == 0:
                raise KeyError("bug")
            super().note(batch, plan, saved)

    for together in (True, False):
        work = Misnoted(together=together)
        with pytest.raises(KeyError):
            await run(work, [batch(0), batch(1), batch(2)])
        assert sorted(consumer_of(work).advanced) == [0, 1, 2]
        assert sorted(work.noted) == [1, 2]


async def test_a_shard_of_a_failed_group_shares_no_transaction_until_it_is_saved() -> None:
    """A group that forms again would fail again, for the others of it too."""

    class Refilled(Consumer):
        rounds = 0

        async def receive(self) -> list[Batch]:
            await asyncio.sleep(0)
            if self._in_flight:
                return []
            self.rounds += 1
            if self.rounds == 4:
                self.stop.set()
                return []
            self._in_flight = {0, 1}
            return [batch(0), batch(1)]

        def _end(self, shards: set[int]) -> None:
            self._in_flight -= shards

    class FailingTogether(Numbers):
        async def save_together(self, plans: Sequence[int]) -> list[int] | None:
            if not self.saved:
                raise ConnectionResetError("gone")
            return await super().save_together(plans)

    work, consumer = FailingTogether(), Refilled([])
    any_consumer: Any = consumer
    async with asyncio.timeout(30):
        await ShardLoop(any_consumer, work, together=100, concurrency=2, health=Health()).run(consumer.stop)
    assert sorted(consumer.rewound) == [0, 1]
    assert sorted(work.saved) == [0, 0, 1, 1]
    assert work.groups == [[0, 1]]


async def test_too_few_results_for_a_group_are_a_bug() -> None:
    class Forgetful(Numbers):
        async def save_together(self, plans: Sequence[int]) -> list[int] | None:
            return list(plans)[:-1]

    with pytest.raises(ValueError, match="shorter"):
        await run(Forgetful(), [batch(0), batch(1)])
