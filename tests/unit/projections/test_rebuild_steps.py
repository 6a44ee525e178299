"""What a rebuild makes of the published states that are kept: right ones stay, and each kind of damage is seen."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from projections import rebuild_steps
from projections.fold import BalanceState, Kind, Step, empty_state, fold
from projections.rebuild_steps import KeptState, KeptStates, SeenEpoch, StepJudge, as_whole, epoch_row, keep_every
from tests.unit.projections.histories import START, cut_histories, fold_batches, summed

Cut = tuple[list[Step], list[list[Step]]]


def kept_of(state: BalanceState) -> KeptState:
    amounts = state.allocation, state.used
    return KeptState(state.account_id, state.resource, state.position, state.epoch, *amounts, state.as_of)


def cut_behind(history: Sequence[Step], positions: set[int]) -> Iterator[list[Step]]:
    """The history in pieces that end with the steps at these positions."""
    ends = [0, *(number + 1 for number, step in enumerate(history) if step.position in positions), len(history)]
    for first, last in pairwise(ends):
        yield list(history[first:last])


def judge(ranges: Sequence[Sequence[Step]], kept: Sequence[KeptState]) -> StepJudge:
    """As a rebuild does it that reads these ranges."""
    judged, state, after = StepJudge(), empty_state("acct-1", 1, 0, START), 0
    for number, steps in enumerate(ranges, 1):
        upto = steps[-1].position if steps else after
        if number == len(ranges):
            upto = max([upto, *(each.position for each in kept)])
        here = [each for each in kept if after < each.position <= upto]
        states: list[BalanceState] = []
        for piece in cut_behind(steps, {each.position for each in here}):
            state, found = fold(state, summed(piece), keep_every)
            states += found
        judged.take(here, states)
        after = upto
    return judged


def keep_published(batches: Sequence[Sequence[Step]]) -> list[KeptState]:
    """What the service publishes that folds these batches."""
    return list(map(kept_of, fold_batches([summed(batch) for batch in batches])[1]))


@given(cut_histories(), st.data())
def test_what_the_service_published_is_right_wherever_both_are_cut(cut: Cut, data: st.DataObject) -> None:
    history, batches = cut
    kept = keep_published(batches)
    cuts = sorted({0, len(history), *data.draw(st.sets(st.integers(0, len(history))))})
    judged = judge([history[a:b] for a, b in pairwise(cuts)], kept)
    assert (judged.wrong, judged.find_lacking()) == (set(), [])


@pytest.mark.parametrize("field", ["position", "epoch", "allocation", "consumed", "at", "resource"])
@given(cut=cut_histories(), data=st.data())
def test_a_changed_state_is_wrong_and_its_epoch_is_made_anew(field: str, cut: Cut, data: st.DataObject) -> None:
    history, batches = cut
    kept = keep_published(batches)
    assume(kept)
    number = data.draw(st.integers(0, len(kept) - 1))
    right = kept[number]
    one: Any = timedelta(seconds=1) if field == "at" else 1
    changed = getattr(right, field) + one
    wrong = right._replace(**{field: changed})
    # A state between two that publishes nothing is as right as they are.
    assume(field != "position" or all(step.position != changed for step in history))
    judged = judge([history], [*kept[:number], wrong, *kept[number + 1 :]])
    assert judged.wrong == {(wrong.account_id, wrong.resource, wrong.epoch)}
    if field in ("allocation", "consumed", "at"):
        assert right.epoch in [seen.epoch for seen in judged.find_lacking()]


@given(cut_histories(), st.data())
def test_an_epoch_lacks_its_first_state_and_its_last_percent(cut: Cut, data: st.DataObject) -> None:
    history, batches = cut
    kept = keep_published(batches)
    assume(kept)
    lost = data.draw(st.sets(st.integers(0, len(kept) - 1), min_size=1))
    left = [each for number, each in enumerate(kept) if number not in lost]
    judged = judge([history], left)
    assert judged.wrong == set()
    state, every = empty_state("acct-1", 1, 0, START), list[BalanceState]()
    state, every = fold(state, history, keep_every)
    lacking = set()
    for epoch in {each.epoch for each in every if each.epoch}:
        own = [each for each in every if each.epoch == epoch]
        here = [each.position for each in left if each.epoch == epoch]
        percents = {each.position: each.percent for each in own}
        if own[0].position not in here or percents[max(here)] != own[-1].percent:
            lacking.add(epoch)
    assert {seen.epoch for seen in judged.find_lacking()} == lacking


def test_an_epoch_is_told_by_its_first_state_and_its_end() -> None:
    state = empty_state("acct-1", 1, 0, START, opened=True)
    began = state._replace(granted=75, base=0, epoch=1, position=4)
    judged = StepJudge()
    judged.take([], [began, began._replace(consumed=5, position=9)])
    [lacking] = judged.find_lacking()
    assert epoch_row(lacking) == ("acct-1", 1, 1, 4, 9, START, "75", "0")


def test_no_state_is_right_before_the_first_epoch() -> None:
    before = empty_state("acct-1", 1, 0, START)._replace(consumed=5, position=2)
    judged = StepJudge()
    judged.take([kept_of(before)], [before])
    assert (judged.wrong, judged.find_lacking()) == ({("acct-1", 1, 0)}, [])


def test_what_is_seen_of_an_account_grows_by_epochs_and_not_by_their_grants() -> None:
    """Each state has all grants of its balance: held for each epoch they would fill the memory."""
    judged, state = StepJudge(), empty_state("acct-1", 1, 0, START, opened=True)
    state, states = fold(state, [Step(Kind.GRANT, 1, n, START) for n in range(1, 400)], keep_every)
    judged.take([], states)
    assert len(judged.epochs["acct-1", 1]) == 399
    held = [value for seen in judged.find_lacking() for value in (getattr(seen, name) for name in SeenEpoch.__slots__)]
    assert not any(isinstance(value, tuple | BalanceState) for value in held)


@pytest.mark.parametrize(
    ("text", "number"),
    [("75", 75), ("-3", -3), ("9" * 40, 10**40 - 1), ("0.5", None), ("NaN", None), ("-Infinity", None), ("", None)],
)
def test_an_amount_is_whole_or_nothing(text: str, number: int | None) -> None:
    assert as_whole(text) == number


class Cursor:
    def __init__(self, rows: Sequence[tuple[object, ...]]) -> None:
        self.rows = list(rows)

    async def fetch(self, most: int) -> list[tuple[object, ...]]:
        taken, self.rows = self.rows[:most], self.rows[most:]
        return taken


@pytest.mark.parametrize("fetched", [1, 2, 3, 100])
async def test_kept_states_come_range_by_range(fetched: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild_steps, "FETCHED_ROWS", fetched)
    rows = [("acct-1", 1, position, 1, "75", "5", START) for position in (-4, 2, 2, 3, 7)]
    kept = KeptStates(Cursor(rows))
    taken = [[each.position for each in await kept.take_up_to(position)] for position in (1, 2, 6, 7, 9)]
    assert taken == [[-4], [2, 2], [3], [7], []]
