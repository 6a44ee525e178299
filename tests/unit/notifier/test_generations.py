"""A restore begins a new generation: what comes with it is newer at any position, and the lost history is dropped."""

from dataclasses import replace

import pytest

from notifier.decide import BalanceSnapshot, NoticeState, Thresholds, decide
from notifier.ids import email_id, notice_id
from notifier.model import AccountSnapshot, Known
from notifier.plan import Change, Planner, is_lost
from schemas.build import decode_event
from tests.unit.notifier.builders import AT, RENDERER, account, percent

LINES = Thresholds()
CUT = {0: [(2, 10)]}


@pytest.mark.parametrize(
    ("generation", "position", "new"),
    [(1, 9, False), (1, 10, False), (1, 11, True), (2, 3, True), (2, 10, True), (2, 11, True)],
)
def test_the_generation_counts_before_the_position(generation: int, position: int, new: bool) -> None:
    state = NoticeState(percent(30, 10))
    change = replace(percent(60, position), generation=generation)
    assert decide(state, change, LINES, AT).new is new


@pytest.mark.parametrize(
    ("generation", "position", "lost"), [(1, 9, False), (1, 10, True), (1, 11, True), (2, 10, False), (3, 11, False)]
)
def test_what_an_older_generation_had_behind_the_cut_is_lost(generation: int, position: int, lost: bool) -> None:
    assert is_lost(replace(percent(60, position), generation=generation), CUT) is lost
    assert not is_lost(replace(percent(60, position), generation=generation), {1: [(2, 10)]})


def plan(*changes: Change, known: Known) -> Planner:
    planner = Planner(known, LINES, RENDERER, AT)
    for change in changes:
        planner.apply(change)
    return planner


def finish(planner: Planner) -> tuple[list[BalanceSnapshot], list[AccountSnapshot], list[object]]:
    made = planner.finish(topic="b", shard=0, start=0, end=9, unreadable=())
    return list(made.balances), list(made.accounts), [decode_event(event.value) for event in made.events]


def test_the_lost_history_changes_nothing_and_the_new_one_is_taken() -> None:
    known = Known(generations=CUT)
    balances, accounts, events = finish(plan(account(12), percent(95, 14), known=known))
    assert (balances, accounts, events) == ([], [], [])
    newer = replace(percent(55, 11), generation=2)
    balances, accounts, events = finish(
        plan(account(12), percent(95, 14), replace(account(10), generation=2), newer, known=known)
    )
    assert [(b.age, b.percent) for b in balances] == [((2, 11), 55)]
    assert [a.age for a in accounts] == [(2, 10)]
    assert [event.data.generation for event in events] == [2]  # type: ignore[attr-defined]


def test_ids_of_the_first_generation_stay_and_others_are_told_apart() -> None:
    first = plan(percent(95, 14), known=Known())
    again = plan(replace(percent(95, 14), generation=2), known=Known())
    ids = [finish(planner)[2][0].envelope.id for planner in (first, again)]  # type: ignore[attr-defined]
    assert ids[0] != ids[1]
    notice = notice_id(decide(NoticeState(), percent(95, 14), LINES, AT).notices[0])
    assert email_id(notice, "a@example.com", 3) == email_id(notice, "a@example.com", 3, 1)
    assert email_id(notice, "a@example.com", 3) != email_id(notice, "a@example.com", 3, 2)


def test_an_older_state_that_is_told_again_takes_nothing_back() -> None:
    """The notifier has read up to the cut; projections that were restored stand behind that."""
    top_up = percent(20, 9, epoch=2)
    again: list[Change] = [replace(percent(95, 7), generation=2), replace(account(4, contacts=()), generation=2)]
    known = Known(accounts={"acc-1": account(6)}, balances={top_up.key: top_up}, generations=CUT)
    balances, accounts, events = finish(plan(*again, known=known))
    assert (balances, accounts, events) == ([], [], [])
    balances, _, _ = finish(plan(*again, replace(percent(30, 10, epoch=2), generation=2), known=known))
    assert [(b.age, b.percent) for b in balances] == [((2, 10), 30)]


def test_the_known_state_is_taken_when_it_is_told_again() -> None:
    """Contacts whom the restored database did not know when the account was read come with it."""
    known = Known(accounts={"acc-1": account(4, contacts=())}, generations=CUT)
    _, accounts, _ = finish(plan(replace(account(4), generation=2), known=known))
    assert [(a.age, a.contacts) for a in accounts] == [((2, 4), ("owner@example.com",))]


def test_what_is_known_of_a_lost_history_gives_way() -> None:
    known = Known(balances={percent(95, 12).key: percent(95, 12)}, generations=CUT)
    balances, _, _ = finish(plan(replace(percent(55, 7), generation=2), known=known))
    assert [(b.age, b.percent) for b in balances] == [((2, 7), 55)]
