"""The examples of the balance rules."""

from datetime import timedelta

import pytest

from projections.fold import BalanceState, Kind, Step, empty_state, fold
from tests.unit.projections.histories import START

MICRO = 1_000_000
Script = list[tuple[Kind, int]]
GRANT, USE, REVERSE = Kind.GRANT, Kind.USAGE, Kind.REVERSAL


def play(script: Script) -> tuple[BalanceState, list[BalanceState]]:
    steps = [
        Step(kind, amount * MICRO, position, START + timedelta(seconds=position))
        for position, (kind, amount) in enumerate(script, 1)
    ]
    return fold(empty_state("acct-1", 1, 0, START), steps)


@pytest.mark.parametrize(
    ("script", "allocation", "used", "epoch", "percent", "status", "allowed"),
    [
        ([(GRANT, 75)], 75, 0, 1, 0, "good", True),
        ([(GRANT, 75), (USE, 75), (GRANT, 100)], 100, 0, 2, 0, "good", True),  # used up drops out
        ([(GRANT, 75), (USE, 70), (GRANT, 100)], 175, 70, 2, 40, "moderate", True),  # not yet used up stays
        ([(GRANT, 75), (USE, 80), (GRANT, 100)], 100, 5, 2, 5, "good", True),  # overdraft is carried over
        ([(GRANT, 75), (USE, 80), (GRANT, 2)], 0, 3, 2, 100, "exhausted", False),  # ... and may swallow a grant
        ([(GRANT, 75), (USE, 80), (GRANT, 2), (REVERSE, 10)], 0, -7, 2, 0, "good", True),
        ([(USE, 30)], 0, 30, 0, 100, "exhausted", False),  # unknown account
        ([(USE, 30), (GRANT, 75)], 75, 30, 1, 40, "moderate", True),  # counted once the grant arrives
        ([(GRANT, 4), (USE, 1)], 4, 1, 1, 25, "moderate", True),  # exactly 75 % left
        ([(GRANT, 4), (USE, 3)], 4, 3, 1, 75, "moderate", True),  # exactly 25 % left
        ([(GRANT, 100), (USE, 76)], 100, 76, 1, 76, "low", True),
        ([(GRANT, 100), (USE, 24)], 100, 24, 1, 24, "good", True),
        ([(GRANT, 100), (USE, 100)], 100, 100, 1, 100, "exhausted", False),
        ([(GRANT, 100), (USE, 250)], 100, 250, 1, 250, "exhausted", False),
        ([(GRANT, 100), (USE, 10), (REVERSE, 30)], 100, -20, 1, 0, "good", True),
        ([(GRANT, 10), (USE, 10), (GRANT, 10), (REVERSE, 5), (GRANT, 10)], 30, 5, 3, 16, "good", True),
    ],
)
def test_state_follows_the_rules(
    script: Script, allocation: int, used: int, epoch: int, percent: int, status: str, allowed: bool
) -> None:
    state, _messages = play(script)
    assert (state.allocation, state.used) == (allocation * MICRO, used * MICRO)
    assert (state.epoch, state.percent, state.status, state.allowed) == (epoch, percent, status, allowed)


def test_one_micro_unit_short_of_a_line_has_not_reached_it() -> None:
    state, _messages = play([(GRANT, 10_000)])
    short, _messages = fold(state, [Step(USE, 2_000 * MICRO - 1, 2, START)])
    exact, _messages = fold(state, [Step(USE, 2_000 * MICRO, 2, START)])
    assert (short.percent, exact.percent) == (19, 20)


def test_published_are_new_percents_and_epochs_and_what_begins_or_ends_to_remain() -> None:
    _state, published = play(
        [
            (USE, 1),  # unknown: nobody to tell
            (GRANT, 1000),  # epoch
            (USE, 8),  # still 0 %
            (USE, 1),  # 1 %
            (USE, 9),  # still 1 %
            (USE, 981),  # 100 %, exhausted
            (USE, 1),  # still 100 %, exhausted
            (REVERSE, 1),  # still 100 %, exhausted
            (REVERSE, 1),  # 99 %, something left
        ]
    )
    assert [(state.position, state.percent) for state in published] == [(2, 0), (4, 1), (6, 100), (9, 99)]


def test_every_grant_is_told_even_when_the_percent_stays() -> None:
    _state, published = play([(GRANT, 10), (GRANT, 10), (GRANT, 10)])
    assert [state.epoch for state in published] == [1, 2, 3]


def test_reversal_after_the_allocation_of_nothing_is_told() -> None:
    _state, published = play([(GRANT, 75), (USE, 80), (GRANT, 2), (REVERSE, 10)])
    assert [(state.percent, state.allowed) for state in published[-2:]] == [(100, False), (0, True)]


def test_as_of_never_goes_back() -> None:
    state, _messages = fold(empty_state("acct-1", 1, 0, START), [Step(GRANT, 5, 1, START + timedelta(seconds=9))])
    later, _messages = fold(state, [Step(USE, 1, 2, START + timedelta(seconds=3))])
    assert later.as_of == START + timedelta(seconds=9)
    assert later.position == 2
