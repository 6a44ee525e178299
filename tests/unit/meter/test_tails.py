"""Ends of partitions with markers alone: asked once where a cursor stands still, and never waited for again."""

import asyncio
from collections.abc import Mapping

import pytest

from meter.held import Held, find_left
from meter.runtime.errors import TransientError
from meter.runtime.stretch import Stretch
from meter.tail_watch import TailWatch
from meter.tails import STANDS_STILL_S, Tails

MARKERS = {1: Stretch(7, 9)}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def stand_still(tails: Tails, clock: Clock, wanted: Mapping[int, Stretch]) -> None:
    tails.want(wanted)
    clock.now += STANDS_STILL_S
    tails.want(wanted)


def test_what_is_waited_for_is_known_by_partition() -> None:
    elsewhere = Held(0, 7, 4, (4, 9, 5), is_overdue=False)
    own = Held(0, 8, 6, (), is_overdue=False)
    assert find_left([elsewhere, own], {0: 4, 1: 7, 2: 5}) == {0: Stretch(4, 6), 1: Stretch(7, 9)}
    assert find_left([elsewhere], {0: 4}) == {1: Stretch(0, 9), 2: Stretch(0, 5)}, "one without a cursor is not read"
    assert find_left([], {}) == {}


def test_a_partition_is_asked_once_its_cursor_stands_still() -> None:
    tails = Tails(clock := Clock())
    tails.want(MARKERS)
    assert tails.find_due() == {}
    clock.now += STANDS_STILL_S
    tails.want({1: Stretch(8, 9)})
    assert tails.find_due() == {}, "it has moved"
    clock.now += STANDS_STILL_S
    tails.want({1: Stretch(8, 12)})
    assert tails.find_due() == {1: Stretch(8, 12)}, "further usage is waited for as well, and the cursor stands"
    tails.want({})
    assert tails.find_due() == {}, "nothing waits any more"


def test_nothing_but_markers_counts_as_read_wherever_the_cursor_stands_in_it() -> None:
    tails = Tails(clock := Clock())
    stand_still(tails, clock, MARKERS)
    assert tails.pass_over({0: 4, 1: 7}) == {0: 4, 1: 7}
    assert tails.note(MARKERS, {1: True}) and tails.find_due() == {}
    assert tails.pass_over({0: 4, 1: 7}) == {0: 4, 1: 9}
    assert tails.pass_over({1: 8}) == {1: 9}
    for cursor in 6, 9, 12:  # what lies before is not known to be read; what was stored behind counts
        assert tails.pass_over({1: cursor}) == {1: cursor}


def test_a_partition_that_is_not_read_at_all_is_passed_over_from_its_beginning() -> None:
    tails = Tails()
    tails.note({3: Stretch(0, 2)}, {3: True})
    assert tails.pass_over({}) == {3: 2}


def test_where_a_record_is_next_nobody_asks_again_until_it_is_stored() -> None:
    tails = Tails(clock := Clock())
    stand_still(tails, clock, MARKERS)
    assert not tails.note(MARKERS, {1: False})
    tails.want({1: Stretch(7, 20)})
    assert tails.find_due() == {} and tails.pass_over({1: 7}) == {1: 7}
    stand_still(tails, clock, {1: Stretch(8, 20)})
    assert tails.find_due() == {1: Stretch(8, 20)}


@pytest.mark.parametrize("answer", [{1: True}, {1: False}, {}, None])
async def test_the_relay_is_woken_when_there_is_news_and_what_was_not_answered_is_asked_again(
    answer: dict[int, bool] | None,
) -> None:
    tails, woken, asked = Tails(clock := Clock()), asyncio.Event(), list[Mapping[int, Stretch]]()

    async def find_bare(stretches: Mapping[int, Stretch]) -> Mapping[int, bool]:
        asked.append(stretches)
        if answer is None:
            raise TransientError("away", dependency="kafka")
        return answer

    watch = TailWatch(tails, find_bare, woken.set)
    await watch.look()
    assert asked == []
    stand_still(tails, clock, MARKERS)
    await watch.look()
    await watch.look()
    assert asked == [MARKERS] * (1 if answer else 2)
    assert woken.is_set() == (answer == {1: True})


async def test_a_bug_ends_the_service() -> None:
    tails = Tails(clock := Clock())
    stand_still(tails, clock, MARKERS)

    async def find_bare(_: Mapping[int, Stretch]) -> Mapping[int, bool]:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        await TailWatch(tails, find_bare, lambda: None).look()
