"""What may not depend on where batches are cut, on repeats or on restarts."""

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from projections.fold import Kind, Step, apply, empty_state
from tests.unit.projections.histories import START, crossed, cut_histories, fold_batches, histories, summed

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
    again = fold_batches(repeated)
    # Before anything was granted or used nothing is stored of the balance; whether it is open the account knows.
    assert again == once if once[0].position else again[1] == once[1] == []


@given(histories())
def test_totals_are_the_sums_of_the_events(history: list[Step]) -> None:
    state, _messages = fold_batches([history])
    sums = {kind: sum(step.amount for step in history if step.kind is kind) for kind in Kind}
    if sums[Kind.REVOCATION] == 0:
        assert state.granted == sums[Kind.GRANT] + sums[Kind.OPENING]
    assert 0 <= state.granted <= sums[Kind.GRANT] + sums[Kind.OPENING]
    assert state.consumed == sums[Kind.USAGE] - sums[Kind.REVERSAL]
    assert state.remaining == state.allocation - state.used
    assert state.free_only == (sums[Kind.GRANT] == 0)
    assert state.opened == any(step.kind is Kind.OPENING for step in history)
    if state.epoch:
        assert state.remaining == state.granted - state.consumed


@given(histories())
def test_used_is_never_negative_and_an_epoch_has_a_fixed_allocation(history: list[Step]) -> None:
    state = empty_state("acct-1", 1, 0, START)
    for step in history:
        before, state = state, apply(state, step)
        assert state.used >= 0 and state.allocation >= 0
        assert state.epoch in (before.epoch, before.epoch + 1)
        if state.epoch == before.epoch > 0:
            assert (state.allocation, state.base) == (before.allocation, before.base)
            assert step.kind not in (Kind.GRANT, Kind.REVOCATION)


@given(histories())
def test_closed_changes_nothing_but_what_is_allowed(history: list[Step]) -> None:
    state, published = fold_batches([history])
    never, told = fold_batches([[step for step in history if step.kind not in (Kind.CLOSING, Kind.REOPENING)]])
    assert state._replace(closed=False, position=0, as_of=START) == never._replace(position=0, as_of=START)
    assert state.allowed == (never.allowed and not state.closed)
    assert crossed(published) == crossed(told)


@given(cut_histories())
def test_the_last_published_state_says_whether_it_is_allowed(cut: Cut) -> None:
    _history, batches = cut
    state, published = fold_batches([summed(batch) for batch in batches])
    assert not published or published[-1].allowed == state.allowed
    assert published or not state.allowed


@given(histories())
def test_before_the_opening_nothing_is_allocated_allowed_or_published(history: list[Step]) -> None:
    kept = [step for step in history if step.kind is not Kind.OPENING]
    state, published = fold_batches([kept])
    assert (state.epoch, state.allocation, state.allowed, published) == (0, 0, False, [])


@given(histories(), st.integers(0, 100))
def test_the_opening_counts_all_that_was_kept_as_one_epoch(history: list[Step], free: int) -> None:
    others = (Kind.OPENING, Kind.REVOCATION, Kind.CLOSING, Kind.REOPENING)
    kept = [step for step in history if step.kind not in others]
    last = kept[-1].position if kept else 0
    opening = Step(Kind.OPENING, free, last + 1, START)
    state, published = fold_batches([kept, [opening]])
    assert state.epoch == len(published) == (1 if state.granted else 0)
    late = list(accumulate([step.amount for step in kept if step.kind is Kind.GRANT] + [free] * (free > 0)))
    assert state.boundaries == tuple(late)
    used_up = [boundary for boundary in late if boundary <= state.consumed]
    assert state.base == max(used_up, default=min(0, state.consumed))


@given(histories())
def test_told_states_ascend_and_differ_from_the_one_before(history: list[Step]) -> None:
    _state, published = fold_batches([summed(history)])
    positions = [state.position for state in published]
    assert positions == sorted(set(positions))
    signs = [(state.epoch, state.percent, state.exhausted, state.allowed) for state in published]
    assert all(before != after for before, after in pairwise(signs))


@given(histories())
def test_exhausted_before_a_grant_that_leaves_something_starts_at_the_overdraft(history: list[Step]) -> None:
    last = history[-1].position if history else 0
    opening, reopening = (Step(kind, 0, last + n, START) for n, kind in enumerate((Kind.OPENING, Kind.REOPENING), 1))
    state, _messages = fold_batches([history, [opening, reopening]])
    overdraft = state.consumed - state.granted
    grant = Step(Kind.GRANT, max(overdraft, 0) + 7, reopening.position + 1, START)
    granted, _messages = fold_batches([history, [opening, reopening], [grant]])
    if overdraft >= 0:
        assert granted.remaining == 7
        assert granted.used >= 0
    assert granted.allowed
