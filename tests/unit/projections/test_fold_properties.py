"""What may not depend on where batches are cut, on repeats or on restarts."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from projections.fold import Kind, Step
from tests.unit.projections.histories import crossed, cut_histories, fold_batches, histories, summed

Cut = tuple[list[Step], list[list[Step]]]


@given(cut_histories())
def test_balance_does_not_depend_on_cuts(cut: Cut) -> None:
    history, batches = cut
    one_by_one, _messages = fold_batches([[step] for step in history])
    batched, _messages = fold_batches([summed(batch) for batch in batches])
    assert batched == one_by_one


@given(cut_histories())
def test_crossed_lines_do_not_depend_on_cuts(cut: Cut) -> None:
    history, batches = cut
    _state, one_by_one = fold_batches([[step] for step in history])
    _state, batched = fold_batches([summed(batch) for batch in batches])
    assert crossed(batched) == crossed(one_by_one)


@given(cut_histories())
def test_the_last_published_state_is_the_final_one_to_the_percent(cut: Cut) -> None:
    _history, batches = cut
    state, published = fold_batches([summed(batch) for batch in batches])
    if state.epoch:
        assert (published[-1].epoch, published[-1].percent, published[-1].exhausted) == (
            state.epoch,
            state.percent,
            state.exhausted,
        )
    else:
        assert not published


@given(cut_histories(), st.data())
def test_a_repeated_batch_changes_nothing_and_tells_nothing(cut: Cut, data: st.DataObject) -> None:
    _history, batches = cut
    parts = [summed(batch) for batch in batches]
    once = fold_batches(parts)
    repeated = []
    for number, part in enumerate(parts):
        repeated.append(part)
        repeated += parts[data.draw(st.integers(0, number)) : number + 1]
    assert fold_batches(repeated) == once


@given(histories())
def test_totals_are_the_sums_of_the_events(history: list[Step]) -> None:
    state, _messages = fold_batches([history])
    sums = {kind: sum(step.amount for step in history if step.kind is kind) for kind in Kind}
    assert state.granted == sums[Kind.GRANT]
    assert state.consumed == sums[Kind.USAGE] - sums[Kind.REVERSAL]
    assert state.remaining == state.allocation - state.used
    assert state.epoch == len(state.boundaries) == sum(step.kind is Kind.GRANT for step in history)
    assert state.base in (0, *state.boundaries)


@given(histories())
def test_told_states_ascend_and_differ_from_the_one_before(history: list[Step]) -> None:
    _state, published = fold_batches([summed(history)])
    positions = [state.position for state in published]
    assert positions == sorted(set(positions))
    signs = [(state.epoch, state.percent, state.exhausted) for state in published]
    assert all(before != after for before, after in pairwise(signs))


@given(histories())
def test_exhausted_before_a_grant_that_leaves_something_starts_at_the_overdraft(history: list[Step]) -> None:
    state, _messages = fold_batches([history])
    last = history[-1].position if history else 0
    granted, _messages = fold_batches([history, [Step(Kind.GRANT, abs(state.remaining) + 7, last + 1, state.as_of)]])
    if state.exhausted:
        assert granted.remaining == 7
        assert granted.used >= 0
    assert granted.allowed
