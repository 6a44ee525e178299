import time

import pytest

from tests.support.waiting import until_sync
from tests.support.working_time import MOST_S, WorkingTime, within


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_all_that_passes_counts_while_the_machine_works() -> None:
    clock = Clock()
    working = WorkingTime(clock)
    for _ in range(10):
        clock.now_s += MOST_S / 2
        working.look()
    assert working.worked_s == pytest.approx(5 * MOST_S)
    assert working.passed_s == pytest.approx(5 * MOST_S)


def test_a_machine_that_stood_still_is_not_counted_for_work() -> None:
    clock = Clock()
    working = WorkingTime(clock)
    clock.now_s += 30
    working.look()
    assert (working.worked_s, working.passed_s) == (MOST_S, 30)


def test_who_takes_too_long_is_told_by_how_much() -> None:
    begun = time.monotonic()
    words = r"took \d\.\d s of work \(\d+\.\d s passed\), and may take 0\.1"
    with pytest.raises(AssertionError, match=words), within(0.1):
        until_sync(lambda: time.monotonic() - begun > 1)


def test_who_is_in_time_passes() -> None:
    with within(30):
        pass


def test_a_fault_within_is_not_hidden_by_the_time_it_took() -> None:
    begun = time.monotonic()
    with pytest.raises(ValueError, match="the fault"), within(0.01):
        until_sync(lambda: time.monotonic() - begun > 0.3)
        raise ValueError("the fault")
