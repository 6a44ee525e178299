"""Which shards a transaction of usage takes."""

import pytest

from projections.plan import PositionRange, count_events
from projections.store_usage import PIECE_EVENTS, choose_shards


def waiting(*events: int) -> list[PositionRange]:
    return [PositionRange(shard, 5, 5 + count) for shard, count in enumerate(events)]


@pytest.mark.parametrize(
    ("events", "chosen"),
    [
        ((), []),
        ((3, 1, 2), [0, 2, 1]),  # little is done together
        ((4_000, 6_000, 5_000, 3_000), [1, 2]),
        ((9_000, PIECE_EVENTS, 70_000), [2]),
    ],
)
def test_those_furthest_behind_until_they_are_worth_a_transaction(events: tuple[int, ...], chosen: list[int]) -> None:
    assert [each.shard for each in choose_shards(waiting(*events))] == chosen


def test_each_comes_to_its_turn() -> None:
    """With new events in all of them all the time, each waits for no more than the others together."""
    behind, turns = [0] * 12, [0] * 12
    for _ in range(120):
        behind = [count + 1_000 for count in behind]
        for each in choose_shards(waiting(*behind)):
            behind[each.shard] = 0
            turns[each.shard] += 1
    assert max(turns) - min(turns) <= 2 and max(behind) <= 12_000
    assert count_events(choose_shards(waiting(*behind))) >= PIECE_EVENTS
