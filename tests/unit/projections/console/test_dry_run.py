"""A dry run warns exactly where the notifier would have warned, had its lines been these."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier import decide
from projections.console.dry_run import (
    MOST_LINES,
    Channel,
    LinesError,
    Outcome,
    Step,
    find_crossings,
    parse_lines,
    try_lines,
)
from projections.fold import BalanceState
from projections.fold import Step as FoldStep
from schemas.amounts import MICRO
from schemas.resources import RESOURCES_BY_CODE
from tests.unit.projections.histories import cut_histories, fold_batches, summed

START = datetime(2026, 3, 1, tzinfo=UTC)
CREDITS, RUNS = "model_credits", "tool_runs"
Cut = tuple[list[FoldStep], list[list[FoldStep]]]
lines_of = st.sets(st.integers(1, 100), max_size=8).map(lambda found: tuple(sorted(found)))
# What the notifier calls the outcomes of a crossing.
OUTCOMES = {"delivered": Outcome.WARNED, "superseded": Outcome.WITH_HIGHER, "seeded": Outcome.AT_START}


def step(consumed: int, minute: int = 0, *, epoch: int = 1, allocation: int = 100, resource: str = CREDITS) -> Step:
    return Step(resource, epoch, allocation * MICRO, consumed * MICRO, START + timedelta(minutes=minute))


def told(steps: Sequence[Step], *lines: int) -> list[tuple[int, int, str]]:
    return [(one.step.epoch, one.line, one.outcome.value) for one in find_crossings(steps, lines)]


def as_step(state: BalanceState) -> Step:
    name = RESOURCES_BY_CODE[state.resource].value
    return Step(name, state.epoch, state.allocation, state.used, state.as_of)


def decided(states: Sequence[BalanceState], lines: tuple[int, ...]) -> list[tuple[int, int, Outcome, datetime]]:
    """What the notifier decides about the same published states, in their order."""
    known, found = decide.NoticeState(), []
    for state in states:
        change = decide.BalanceSnapshot(
            state.account_id, RESOURCES_BY_CODE[state.resource].value, state.epoch, state.allocation, state.used,
            state.shard, state.position, as_of=state.as_of,
        )  # fmt: skip
        decision = decide.decide(known, change, decide.Thresholds(lines, ()), state.as_of)
        known = decision.state
        found += [(state.epoch, n.threshold, OUTCOMES[n.outcome.value], state.as_of) for n in decision.notices]
    return found


@given(cut_histories(), lines_of)
def test_it_is_the_notifiers_own_rule(cut: Cut, lines: tuple[int, ...]) -> None:
    _history, batches = cut
    _state, published = fold_batches([summed(batch) for batch in batches])
    ours = [(c.step.epoch, c.line, c.outcome, c.step.at) for c in find_crossings(map(as_step, published), lines)]
    assert ours == decided(published, lines)


def test_of_lines_reached_at_once_the_highest_warns() -> None:
    assert told([step(10), step(30), step(75)], 20, 50, 70) == [
        (1, 20, "warned"), (1, 50, "with a higher line"), (1, 70, "warned"),
    ]  # fmt: skip


def test_what_an_epoch_begins_with_warns_nobody() -> None:
    assert told([step(60), step(80, 1), step(55, 2, epoch=2), step(85, 3, epoch=2)], 50, 80) == [
        (1, 50, "reached at the start"), (1, 80, "warned"), (2, 50, "reached at the start"), (2, 80, "warned"),
    ]  # fmt: skip


def test_usage_that_was_given_back_warns_once() -> None:
    assert told([step(0), step(60, 1), step(40, 2), step(60, 3)], 50) == [(1, 50, "warned")]


def test_resources_are_apart() -> None:
    steps = [step(0), step(0, resource=RUNS), step(90, 1, resource=RUNS), step(50, 2)]
    found = find_crossings(steps, (50,))
    assert [(one.step.resource, one.outcome) for one in found] == [(RUNS, Outcome.WARNED), (CREDITS, Outcome.WARNED)]


def test_both_sets_of_lines_stand_beside_each_other_newest_first() -> None:
    steps = [step(0), step(55, 1), step(65, 2), step(95, 3)]
    run = try_lines(steps, (60, 85), (50, 80, 90), START)
    assert [(row.line, row.in_force, row.tried) for row in run.rows] == [
        (90, Outcome.WARNED, None), (85, None, Outcome.WARNED), (80, Outcome.WITH_HIGHER, None),
        (60, None, Outcome.WARNED), (50, Outcome.WARNED, None),
    ]  # fmt: skip
    assert (run.tried_count, run.in_force_count, run.since) == (2, 2, START)


def test_what_was_reached_before_the_period_is_left_out_and_still_known() -> None:
    steps = [step(0), step(55, 1), step(65, 2)]
    run = try_lines(steps, (50, 60), (50,), START + timedelta(minutes=2))
    assert [(row.line, row.tried) for row in run.rows] == [(60, Outcome.WARNED)]


def test_nothing_known_is_nothing_reached() -> None:
    run = try_lines([], (50,), None, START)
    assert (run.rows, run.since, run.in_force) == ([], None, None)


@pytest.mark.parametrize(("text", "lines"), [
    ("60, 85", (60, 85)), ("85 60 60", (60, 85)), ("60%,85 %", (60, 85)), ("100", (100,)), ("1;2", (1, 2)),
])  # fmt: skip
def test_lines_are_read_as_people_write_them(text: str, lines: tuple[int, ...]) -> None:
    assert parse_lines(text) == lines


@pytest.mark.parametrize("text", [
    "0", "101", "60.5", "-5", "abc", "<b>", "٣", ",", "9" * 500, " ".join(map(str, range(1, MOST_LINES + 2))),
])  # fmt: skip
def test_what_is_no_list_of_lines_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(LinesError, match="such as 60, 85"):
        parse_lines(text)


def test_channels_are_the_notifiers() -> None:
    assert {channel.value for channel in Channel} == {channel.value for channel in decide.Channel}
