"""What a rate counts: from the first commit seen on, unless that commit already holds everything."""

from tests.bench.timing import Clock, choose_clock

BEGAN, GOAL = Clock(started=10.0, taken=300), 3_300


def test_the_start_of_the_services_is_left_out() -> None:
    first = Clock(started=12.0, taken=800)
    assert choose_clock(BEGAN, first, GOAL) == first


def test_a_backlog_stored_by_the_first_commit_seen_is_timed_from_the_start() -> None:
    assert choose_clock(BEGAN, Clock(started=12.0, taken=GOAL), GOAL) == BEGAN
