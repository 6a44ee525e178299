"""Histories of one account and resource, cut into steps as the SQL cuts them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import strategies as st

from projections.fold import BalanceState, Kind, Step, empty_state, fold

START = datetime(2026, 11, 24, tzinfo=UTC)
THRESHOLDS = (20, 50, 70, 80, 90, 100)

# Small amounts around small grants hit every line exactly; large ones show that nothing overflows or rounds.
amounts = st.one_of(st.integers(0, 30), st.integers(0, 10**13))
events = st.one_of(
    st.tuples(st.just(Kind.USAGE), amounts),
    st.tuples(st.just(Kind.USAGE), st.integers(0, 12)),
    st.tuples(st.just(Kind.GRANT), st.one_of(st.integers(1, 100), st.integers(1, 10**13))),
    st.tuples(st.just(Kind.REVERSAL), st.one_of(st.integers(1, 20), st.integers(1, 10**13))),
    st.tuples(st.just(Kind.REVOCATION), st.one_of(st.integers(1, 100), st.integers(1, 10**13))),
    st.tuples(st.sampled_from((Kind.CLOSING, Kind.REOPENING)), st.just(0)),
    st.tuples(st.just(Kind.OPENING), st.one_of(st.just(0), st.integers(1, 100))),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """Steps of single events; positions have gaps, because other accounts share the shard. Half begin with the opening,
    the others have it anywhere or never."""
    opening = draw(st.lists(st.tuples(st.just(Kind.OPENING), st.integers(0, 100)), max_size=1))
    kinds = opening + draw(st.lists(events, max_size=25))
    gaps = draw(st.lists(st.integers(1, 3), min_size=len(kinds), max_size=len(kinds)))
    steps, position = [], 0
    for (kind, amount), gap in zip(kinds, gaps, strict=True):
        position += gap
        steps.append(Step(kind, amount, position, START + timedelta(seconds=position)))
    return steps


@st.composite
def cut_histories(draw: st.DrawFn) -> tuple[list[Step], list[list[Step]]]:
    """A history, and the same in batches."""
    history = draw(histories())
    cuts = sorted(draw(st.sets(st.integers(0, len(history)))) | {0, len(history)})
    return history, [history[a:b] for a, b in pairwise(cuts)]


def summed(batch: Sequence[Step]) -> list[Step]:
    """A batch with each run of usage as one step: what reading it gives."""
    return list(sum_runs(batch))


def sum_runs(batch: Sequence[Step]) -> Iterator[Step]:
    run: Step | None = None
    for step in batch:
        if step.kind is Kind.USAGE:
            before = run.amount if run else 0
            run = step._replace(amount=before + step.amount)
            continue
        if run:
            yield run
        run = None
        yield step
    if run:
        yield run


def fold_batches(batches: Sequence[Sequence[Step]]) -> tuple[BalanceState, list[BalanceState]]:
    state, published = empty_state("acct-1", 1, 0, START), []
    for batch in batches:
        state, published_here = fold(state, batch)
        published += published_here
    return state, published


def crossed(published: Sequence[BalanceState]) -> set[tuple[int, int]]:
    """(epoch, threshold) of every line reached after the start of its epoch: what notices are made of."""
    lines: set[tuple[int, int]] = set()
    seeded: dict[int, int] = {}
    for state in published:
        start = seeded.setdefault(state.epoch, state.percent)
        lines |= {(state.epoch, line) for line in THRESHOLDS if start < line <= state.percent}
    return lines
