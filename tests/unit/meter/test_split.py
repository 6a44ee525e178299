"""Which accounts move when there are more shards, and which numbers of shards can be had."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.runtime.errors import RefusalError
from meter.split import Move, check_multiple, choose_moves
from schemas.topics import partition_for

NAMES = [f"acct-{number}" for number in range(200)]


@given(before=st.integers(1, 12), times=st.integers(2, 5))
def test_each_account_comes_to_the_partition_that_its_producers_choose(before: int, times: int) -> None:
    now = before * times
    places = [(partition_for(name.encode(), before), name) for name in NAMES]
    moves, astray = choose_moves(places, before, now)
    assert astray == []
    moved = {move.account_id: move for move in moves}
    for shard, name in places:
        wanted = partition_for(name.encode(), now)
        assert moved.get(name, Move(shard, name, shard)) == Move(shard, name, wanted)
        assert wanted == shard or wanted >= before, "who does not move to a new shard stays"


def test_an_account_in_a_shard_that_is_not_its_own_is_named() -> None:
    right = partition_for(b"acct-1", 3)
    assert choose_moves([((right + 1) % 3, "acct-1")], 3, 6) == ([], ["acct-1"])


@pytest.mark.parametrize("now", [3, 5, 7, 9, 11])
def test_a_number_that_is_no_multiple_is_refused_with_one_that_is(now: int) -> None:
    with pytest.raises(RefusalError, match="must be a multiple, 12 or 18"):
        check_multiple(6, now)


@pytest.mark.parametrize("now", [12, 18, 60])
def test_a_multiple_is_taken(now: int) -> None:
    check_multiple(6, now)
