"""The second telling of the rules: by the examples of the design, and beside the fold on any history."""

from datetime import timedelta

import pytest
from hypothesis import given

from projections.fold import Kind, Step, apply, empty_state
from projections.walk import EpochStep, walk
from schemas.events import CODES
from tests.unit.projections.histories import START, histories

TYPES = {
    Kind.GRANT: CODES["credits.granted.v1"],
    Kind.REVOCATION: CODES["credits.revoked.v1"],
    Kind.REVERSAL: CODES["usage.reversed.v1"],
    Kind.OPENING: CODES["account.opened.v1"],
}


def as_epoch_steps(history: list[Step]) -> list[EpochStep]:
    """As `list_epoch_steps` gives them: usage is in what was consumed, the free grant stands for its opening."""
    steps, consumed, opened = [], 0, False
    for step in history:
        consumed += {Kind.USAGE: step.amount, Kind.REVERSAL: -step.amount}.get(step.kind, 0)
        if step.kind not in TYPES or (step.kind is Kind.OPENING and opened and not step.amount):
            continue
        opened = opened or step.kind is Kind.OPENING
        type = TYPES[Kind.GRANT] if step.kind is Kind.OPENING and step.amount else TYPES[step.kind]
        steps.append(EpochStep("acct-1", 1, step.position, step.as_of, type, step.amount, opened, consumed))
    return steps


def play(*script: tuple[Kind, int]) -> tuple[int, int, int]:
    """allocation, used and epoch of an account that opens first, with an allowance of 75."""
    events = [(Kind.OPENING, 75), *script]
    history = [Step(kind, amount, n, START + timedelta(seconds=n)) for n, (kind, amount) in enumerate(events, 1)]
    steps = as_epoch_steps(history)
    [end], _epochs = walk(steps)
    return end.granted - end.base, steps[-1].consumed - end.base, end.epoch


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ([(Kind.USAGE, 80), (Kind.GRANT, 100)], (100, 5, 2)),
        ([(Kind.USAGE, 80), (Kind.GRANT, 100), (Kind.REVERSAL, 20)], (175, 60, 3)),
        ([(Kind.GRANT, 100), (Kind.USAGE, 80), (Kind.REVOCATION, 100)], (0, 5, 3)),
        ([(Kind.USAGE, 10), (Kind.REVERSAL, 30)], (95, 0, 2)),
    ],
)
def test_the_examples_of_the_design(script: list[tuple[Kind, int]], wanted: tuple[int, int, int]) -> None:
    assert play(*script) == wanted


@given(histories())
def test_it_agrees_with_the_fold(history: list[Step]) -> None:
    state = empty_state("acct-1", 1, 0, START)
    begun = []
    for step in history:
        before, state = state, apply(state, step)
        if state.epoch > before.epoch:
            begun.append((state.epoch, step.position, state.granted, state.base))
    ends, epochs = walk(as_epoch_steps(history))
    assert [(each.epoch, each.position, each.granted, each.base) for each in epochs] == begun
    if ends:
        [end] = ends
        assert (end.granted, tuple(end.totals), end.base, end.epoch) == (
            state.granted, state.boundaries, state.base, state.epoch,
        )  # fmt: skip


def test_balances_are_told_apart() -> None:
    one, two = (EpochStep(name, 1, 1, START, TYPES[Kind.GRANT], 5, True, 0) for name in ("acct-1", "acct-2"))
    ends, epochs = walk([one, one._replace(position=2), two])
    assert [(end.account_id, end.granted) for end in ends] == [("acct-1", 10), ("acct-2", 5)]
    assert [(each.account_id, each.epoch) for each in epochs] == [("acct-1", 1), ("acct-1", 2), ("acct-2", 1)]
