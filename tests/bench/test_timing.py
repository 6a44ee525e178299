"""What a rate counts: from the first commit seen on, unless that commit already holds everything."""

import pytest

from tests.bench.timing import Clock, Stall, choose_clock

BEGAN, GOAL = Clock(started=10.0, taken=300), 3_300


def test_the_start_of_the_services_is_left_out() -> None:
    first = Clock(started=12.0, taken=800)
    assert choose_clock(BEGAN, first, GOAL) == first


def test_a_backlog_stored_by_the_first_commit_seen_is_timed_from_the_start() -> None:
    assert choose_clock(BEGAN, Clock(started=12.0, taken=GOAL), GOAL) == BEGAN


def test_work_that_moves_slowly_is_waited_for() -> None:
    now = iter([0.0, 50.0, 100.0, 150.0, 200.0])
    stall = Stall(60, clock=lambda: next(now))
    for done in (1, 2, 3, 4):
        stall.note(done, "4 to do")


def test_work_that_stands_still_is_given_up() -> None:
    now = iter([0.0, 50.0, 110.0, 111.0])
    stall = Stall(60, clock=lambda: next(now))
    stall.note(1, "4 to do")
    stall.note(1, "4 to do")
    with pytest.raises(TimeoutError, match="nothing moved for 60 s: 1, 4 to do"):
        stall.note(1, "4 to do")
