"""The examples of the balance rules."""

from datetime import timedelta

import pytest

from projections.fold import BalanceState, Kind, Step, empty_state, fold
from tests.unit.projections.histories import START

MICRO = 1_000_000
Script = list[tuple[Kind, int]]
CLOSE, REOPEN = Kind.CLOSING, Kind.REOPENING
GRANT, USE, REVERSE, OPEN, REVOKE = Kind.GRANT, Kind.USAGE, Kind.REVERSAL, Kind.OPENING, Kind.REVOCATION


def play(script: Script, *, opened: bool = True) -> tuple[BalanceState, list[BalanceState]]:
    steps = [
        Step(kind, amount * MICRO, position, START + timedelta(seconds=position))
        for position, (kind, amount) in enumerate(script, 1)
    ]
    return fold(empty_state("acct-1", 1, 0, START, opened=opened), steps)


@pytest.mark.parametrize(
    ("script", "allocation", "used", "epoch", "percent", "status", "allowed"),
    [
        ([(GRANT, 75)], 75, 0, 1, 0, "good", True),
        ([(GRANT, 75), (USE, 75), (GRANT, 100)], 100, 0, 2, 0, "good", True),  # used up drops out
        ([(GRANT, 75), (USE, 70), (GRANT, 100)], 175, 70, 2, 40, "moderate", True),  # not yet used up stays
        ([(GRANT, 75), (USE, 80), (GRANT, 100)], 100, 5, 2, 5, "good", True),  # overdraft is carried over
        ([(GRANT, 75), (USE, 80), (GRANT, 2)], 0, 3, 2, 100, "exhausted", False),  # ... and may swallow a grant
        ([(GRANT, 75), (USE, 80), (GRANT, 2), (REVERSE, 10)], 77, 70, 3, 90, "low", True),  # back behind the start
        ([(GRANT, 75), (USE, 80), (GRANT, 100), (REVERSE, 20)], 175, 60, 3, 34, "moderate", True),
        ([(GRANT, 75), (USE, 80), (GRANT, 100), (REVERSE, 5)], 100, 0, 2, 0, "good", True),  # back to the start
        ([(GRANT, 75), (GRANT, 100), (USE, 80), (REVOKE, 100)], 0, 5, 3, 100, "exhausted", False),
        ([(GRANT, 75), (GRANT, 100), (USE, 80), (REVOKE, 50)], 50, 5, 3, 10, "good", True),
        ([(GRANT, 75), (GRANT, 100), (USE, 80), (REVOKE, 100), (GRANT, 10)], 10, 5, 4, 50, "moderate", True),
        ([(GRANT, 75), (USE, 60), (REVOKE, 25), (REVERSE, 20)], 50, 40, 3, 80, "low", True),
        ([(GRANT, 75), (USE, 10), (REVOKE, 1000)], 0, 10, 2, 100, "exhausted", False),  # at most what was granted
        ([(GRANT, 75), (REVOKE, 75), (REVOKE, 1)], 0, 0, 3, 100, "exhausted", False),
        ([(USE, 30)], 0, 30, 0, 100, "exhausted", False),  # nothing granted
        ([(USE, 30), (GRANT, 75)], 75, 30, 1, 40, "moderate", True),  # counted once the grant arrives
        ([(GRANT, 4), (USE, 1)], 4, 1, 1, 25, "moderate", True),  # exactly 75 % left
        ([(GRANT, 4), (USE, 3)], 4, 3, 1, 75, "moderate", True),  # exactly 25 % left
        ([(GRANT, 100), (USE, 76)], 100, 76, 1, 76, "low", True),
        ([(GRANT, 100), (USE, 24)], 100, 24, 1, 24, "good", True),
        ([(GRANT, 100), (USE, 100)], 100, 100, 1, 100, "exhausted", False),
        ([(GRANT, 100), (USE, 250)], 100, 250, 1, 250, "exhausted", False),
        ([(GRANT, 100), (USE, 10), (REVERSE, 30)], 120, 0, 2, 0, "good", True),  # more than was used stays given back
        ([(GRANT, 100), (USE, 10), (REVERSE, 30), (USE, 60)], 120, 60, 2, 50, "moderate", True),
        ([(GRANT, 100), (USE, 10), (REVERSE, 30), (USE, 60), (GRANT, 60)], 160, 40, 3, 25, "moderate", True),
        ([(GRANT, 10), (USE, 10), (GRANT, 10), (REVERSE, 5), (GRANT, 10)], 30, 5, 4, 16, "good", True),
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
            (USE, 1),  # nothing granted: nobody to tell
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
    assert [(state.percent, state.allowed) for state in published[-2:]] == [(100, False), (90, True)]


@pytest.mark.parametrize(
    ("script", "allocation", "used", "epoch", "allowed"),
    [
        ([(GRANT, 100)], 0, 0, 0, False),  # kept
        ([(GRANT, 100), (USE, 30)], 0, 30, 0, False),
        ([(GRANT, 100), (OPEN, 75)], 175, 0, 1, True),  # as one epoch
        ([(GRANT, 100), (USE, 100), (OPEN, 75)], 75, 0, 1, True),  # in order: the kept grant is used up first
        ([(USE, 80), (OPEN, 75)], 0, 5, 1, False),
        ([(USE, 80), (GRANT, 10), (GRANT, 20), (OPEN, 75)], 75, 50, 1, True),
        ([(GRANT, 100), (OPEN, 0)], 100, 0, 1, True),  # no free allowance of this resource
        ([(OPEN, 0)], 0, 0, 0, False),  # nothing granted at all
        ([(OPEN, 0), (GRANT, 5)], 5, 0, 1, True),
        ([(GRANT, 100), (REVOKE, 60), (OPEN, 75)], 115, 0, 1, True),
        ([(GRANT, 100), (REVOKE, 60), (USE, 40), (OPEN, 75)], 75, 0, 1, True),
        ([(OPEN, 75), (OPEN, 0)], 75, 0, 1, True),  # the first opening wins
        ([(USE, 5), (REVERSE, 9), (OPEN, 75)], 79, 0, 1, True),
    ],
)
def test_grants_are_kept_until_the_account_is_opened(
    script: Script, allocation: int, used: int, epoch: int, allowed: bool
) -> None:
    state, published = play(script, opened=False)
    assert (state.allocation, state.used, state.epoch) == (allocation * MICRO, used * MICRO, epoch)
    assert (state.allowed, state.remaining) == (allowed, state.allocation - state.used)
    assert len(published) == epoch


def test_an_opening_that_changes_no_balance_leaves_its_position() -> None:
    state, _published = play([(OPEN, 75), (USE, 1), (OPEN, 0)], opened=False)
    assert state.position == 2
    nothing, _published = play([(OPEN, 0)], opened=False)
    assert (nothing.opened, nothing.position) == (True, 0)


@pytest.mark.parametrize(
    ("script", "allowed", "status", "used", "told"),
    [
        ([(OPEN, 75), (CLOSE, 0)], False, "good", 0, [True, False]),
        ([(OPEN, 75), (CLOSE, 0), (CLOSE, 0)], False, "good", 0, [True, False]),
        ([(OPEN, 75), (CLOSE, 0), (USE, 30)], False, "moderate", 30, [True, False, False]),  # usage still counts
        ([(OPEN, 75), (CLOSE, 0), (USE, 30), (REOPEN, 0)], True, "moderate", 30, [True, False, False, True]),
        ([(OPEN, 75), (CLOSE, 0), (GRANT, 5)], False, "good", 0, [True, False, False]),
        ([(OPEN, 75), (USE, 75), (CLOSE, 0), (REOPEN, 0)], False, "exhausted", 75, [True, False]),  # refused all along
        ([(CLOSE, 0), (OPEN, 75)], True, "good", 0, [True]),  # nothing to close yet
        ([(OPEN, 75), (REOPEN, 0)], True, "good", 0, [True]),
    ],
)
def test_a_closed_account_is_allowed_nothing(
    script: Script, allowed: bool, status: str, used: int, told: list[bool]
) -> None:
    state, published = play(script, opened=False)
    assert (state.allowed, state.status, state.used) == (allowed, status, used * MICRO)
    assert [each.allowed for each in published] == told


def test_free_only_ends_with_the_first_grant_of_another_kind() -> None:
    assert play([(OPEN, 75), (USE, 80), (Kind.FREE_GRANT, 10)], opened=False)[0].free_only
    assert not play([(OPEN, 75), (GRANT, 1)], opened=False)[0].free_only
    assert not play([(GRANT, 1), (OPEN, 75)], opened=False)[0].free_only


def test_as_of_never_goes_back() -> None:
    state, _messages = fold(
        empty_state("acct-1", 1, 0, START, opened=True), [Step(GRANT, 5, 1, START + timedelta(seconds=9))]
    )
    later, _messages = fold(state, [Step(USE, 1, 2, START + timedelta(seconds=3))])
    assert later.as_of == START + timedelta(seconds=9)
    assert later.position == 2
