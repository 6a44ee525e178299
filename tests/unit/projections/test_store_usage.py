"""Which shards a transaction of usage takes."""

import pytest

from projections.plan import PositionRange, count_events
from projections.store_usage import PIECE_EVENTS, choose_shards


def waiting(*events: int) -> list[PositionRange]:
    return [PositionRange(shard, 5, 5 + count) for shard, count in enumerate(events) if count]


@pytest.mark.parametrize(
    ("events", "taken", "chosen"),
    [
        ((), {}, []),
        ((3, 1, 2), {0: 9}, [1, 2, 0]),  # little is done together
        ((4_000, 6_000, 5_000, 3_000), {0: 4, 1: 3, 2: 1, 3: 2}, [2, 3, 1]),
        ((9_000, PIECE_EVENTS, 70_000), {0: 2, 1: 1, 2: 3}, [1]),
    ],
)
def test_those_that_were_taken_longest_ago_until_they_are_worth_a_transaction(
    events: tuple[int, ...], taken: dict[int, int], chosen: list[int]
) -> None:
    assert [each.shard for each in choose_shards(waiting(*events), taken)] == chosen


@pytest.mark.parametrize(
    ("held", "chosen"),
    [
        ((), [0]),
        ((2,), [0, 2]),  # however much the others have
        ((3, 2), [0, 3]),
        ((0, 1, 2, 3), [0]),
        ((9,), [0]),  # it has nothing to fold
    ],
)
def test_one_that_others_had_is_asked_for_again_each_time(held: tuple[int, ...], chosen: list[int]) -> None:
    ranges = waiting(PIECE_EVENTS, PIECE_EVENTS, 1, PIECE_EVENTS)
    assert [each.shard for each in choose_shards(ranges, {}, held)] == chosen


@pytest.mark.parametrize(
    "rates",
    [
        [1_000] * 12,
        [3_600] * 11 + [0],  # one with three events and no more
        [27_000] + [270] * 11,
        [5_000_000] + [800] * 11,
    ],
    ids=["alike", "a quiet one", "a busy one", "one far behind"],
)
def test_none_is_left_out(rates: list[int]) -> None:
    """Whatever the others have, none waits for more transactions than there are shards."""
    behind, taken, last = [3] * 12, dict[int, int](), [0] * 12
    for number in range(1, 200):
        behind = [count + rate for count, rate in zip(behind, rates, strict=True)]
        chosen = choose_shards(waiting(*behind), taken)
        assert len(chosen) == sum(map(bool, behind)) or count_events(chosen) >= PIECE_EVENTS
        for each in chosen:
            behind[each.shard] = 0
            taken[each.shard] = last[each.shard] = number
        assert all(number - at <= 12 for at, count in zip(last, behind, strict=True) if count)
