"""The timeline of an account: what happened, in which order, and where each line was reached."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given

from projections.fold import Kind, Step, empty_state, fold
from projections.timeline import FieldDifference, ResourceTimeline, Timeline, compare
from projections.timeline_lines import MAX_PARTS, OTHER_NAMES, Entry, Line, Part, What
from schemas.events import CODES
from schemas.resources import RESOURCE_CODES, Resource
from tests.unit.projections.histories import THRESHOLDS, crossed, histories

START = datetime(2026, 11, 24, tzinfo=UTC)
CREDITS, RUNS = (RESOURCE_CODES[resource] for resource in (Resource.MODEL_CREDITS, Resource.TOOL_RUNS))
INFERENCE, GUARDRAIL, TOOL = (CODES[f"usage.{kind}.v1"] for kind in ("model_inference", "guardrail", "tool_run"))
OPENED, PLAN, CONTACTS, RENAMED, CLOSED, REOPENED = (
    CODES[f"account.{change}.v1"]
    for change in ("opened", "plan_changed", "contacts_changed", "renamed", "closed", "reopened")
)
FORGOTTEN = CODES["account.forgotten.v1"]
ACCOUNT_TYPES = {Kind.CLOSING: CLOSED, Kind.REOPENING: REOPENED}
GRANTED, REVOKED, REVERSED = (CODES[name] for name in ("credits.granted.v1", "credits.revoked.v1", "usage.reversed.v1"))
TYPES = {Kind.USAGE: INFERENCE, Kind.GRANT: GRANTED, Kind.REVERSAL: REVERSED, Kind.REVOCATION: REVOKED}


def entry(position: int, type: int, amount: int = 0, name: str = "", resource: int | None = CREDITS) -> Entry:
    note = "INV-1" if type == GRANTED else None
    recorded_at = START + timedelta(seconds=position)
    derived = name == "free_allowance"
    return Entry(position, f"event-{position}", type, resource, amount, name, note, recorded_at, derived)


def read(entries: Sequence[Entry], limit: int = 1000) -> ResourceTimeline:
    """Of an account that was opened before."""
    timeline = Timeline("acct-1", 0, THRESHOLDS, limit=limit)
    timeline.enter([entry(0, OPENED, name="free", resource=None), *entries])
    timeline.close()
    return timeline.resources[CREDITS]


def numbered(*events: tuple[int, int]) -> list[Entry]:
    """(type, amount) at positions 1, 2, 3, …"""
    return [entry(number, type, amount) for number, (type, amount) in enumerate(events, start=1)]


def words(lines: Sequence[Line]) -> list[str]:
    """`what:threshold@position`, a run with both its ends."""
    return [
        f"{line.what}{'' if line.threshold is None else f':{line.threshold}'}@{line.first}"
        + (f"-{line.last}" if line.last != line.first else "")
        for line in lines
    ]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([(GRANTED, 100)], ["granted@1", "allowed@1"], id="a grant allows"),
        pytest.param(
            [(GRANTED, 100), (INFERENCE, 10), (INFERENCE, 9), (INFERENCE, 1)],
            ["granted@1", "allowed@1", "used@2-4", "reached:20@4"],
            id="an exact hit counts",
        ),
        pytest.param(
            [(GRANTED, 1000), (INFERENCE, 199)],
            ["granted@1", "allowed@1", "used@2"],
            id="a percent not full does not",
        ),
        pytest.param(
            [(GRANTED, 100), (INFERENCE, 75), (INFERENCE, 25), (INFERENCE, 5)],
            ["granted@1", "allowed@1", "used@2-4", "reached:20@2", "reached:50@2", "reached:70@2", "reached:80@3",
             "reached:90@3", "reached:100@3", "refused@3"],
            id="several at once and the end",
        ),
        pytest.param(
            [(GRANTED, 100), (INFERENCE, 30), (REVERSED, 20), (INFERENCE, 20)],
            ["granted@1", "allowed@1", "used@2", "reached:20@2", "reversed@3", "used@4"],
            id="once in an epoch",
        ),
        pytest.param(
            [(GRANTED, 100), (INFERENCE, 25), (GRANTED, 100), (INFERENCE, 20)],
            ["granted@1", "allowed@1", "used@2", "reached:20@2", "granted@3", "used@4", "reached:20@4"],
            id="again in the next epoch",
        ),
        pytest.param(
            [(GRANTED, 10), (INFERENCE, 10), (GRANTED, 10)],
            ["granted@1", "allowed@1", "used@2", *(f"reached:{t}@2" for t in THRESHOLDS), "refused@2", "granted@3",
             "allowed@3"],
            id="exhausted and topped up",
        ),
        pytest.param(
            [(GRANTED, 10), (INFERENCE, 10), (REVERSED, 1)],
            ["granted@1", "allowed@1", "used@2", *(f"reached:{t}@2" for t in THRESHOLDS), "refused@2", "reversed@3",
             "allowed@3"],
            id="allowed again by a reversal",
        ),
        pytest.param(
            [(GRANTED, 10), (INFERENCE, 5), (REVOKED, 5)],
            ["granted@1", "allowed@1", "used@2", "reached:20@2", "reached:50@2", "revoked@3",
             *(f"reached:{t}@3" for t in THRESHOLDS), "refused@3"],
            id="refused by a revocation",
        ),
        pytest.param([(INFERENCE, 5), (INFERENCE, 5)], ["used@1-2"], id="nothing to reach before a grant"),
    ],
)  # fmt: skip
def test_what_happened_in_order(events: list[tuple[int, int]], expected: list[str]) -> None:
    assert words(read(numbered(*events)).lines.newest) == expected


def test_what_is_true_at_the_start_of_an_epoch_is_marked() -> None:
    timeline = read(numbered((GRANTED, 10), (INFERENCE, 30), (GRANTED, 5), (GRANTED, 100)))
    in_second = [line for line in timeline.lines.newest if line.what is What.REACHED and line.first == 3]
    assert [line.threshold for line in in_second] == list(THRESHOLDS)
    assert all(line.at_start and line.event_id == "event-3" for line in in_second)
    assert not timeline.reached[1, 100].at_start
    granted = [line for line in timeline.lines.newest if line.what is What.GRANTED]
    states = [line.state for line in granted if line.state]
    assert [(s.epoch, s.base, s.allocation, s.used) for s in states] == [
        (1, 0, 10, 0),
        (2, 15, 0, 15),
        (3, 15, 100, 15),
    ]


def test_a_grant_keeps_its_reason_and_reference() -> None:
    [line] = [line for line in read([entry(7, GRANTED, 5, "top_up")]).lines.newest if line.what is What.GRANTED]
    assert (line.event_id, line.amount, line.name, line.note) == ("event-7", 5, "top_up", "INV-1")


def test_usage_between_two_grants_is_summed_by_kind_and_name() -> None:
    usage = [
        entry(3, INFERENCE, 4, "small-chat"),
        entry(5, GUARDRAIL, 9, "pii"),
        entry(8, INFERENCE, 1, "small-chat"),
    ]
    lines = read([entry(1, GRANTED, 100), *usage, entry(9, REVERSED, 1), entry(12, INFERENCE, 2, "b")]).lines.newest
    first, second = (line for line in lines if line.what is What.USED)
    assert (first.first, first.last, first.events, first.amount, first.event_id) == (3, 8, 3, 14, None)
    assert first.parts == (Part("guardrail", "pii", 1, 9), Part("model_inference", "small-chat", 2, 5))
    assert (second.first, second.last, second.at) == (12, 12, START + timedelta(seconds=12))


def test_names_without_end_share_a_line() -> None:
    [line] = read([entry(n, INFERENCE, 1, f"model-{n}") for n in range(1, 3 * MAX_PARTS + 1)]).lines.newest
    assert line.parts[0] == Part("model_inference", OTHER_NAMES, 2 * MAX_PARTS, 2 * MAX_PARTS)
    assert len(line.parts) == MAX_PARTS + 1
    assert sum(part.amount for part in line.parts) == line.amount


def test_the_newest_lines_are_kept_and_the_others_counted() -> None:
    timeline = read(numbered(*[(GRANTED, 100)] * 10), limit=3)
    assert words(timeline.lines.newest) == ["granted@8", "granted@9", "granted@10"]
    assert timeline.lines.omitted == 8  # seven grants and the first permission
    assert timeline.allowance_change and timeline.allowance_change.first == 1


def test_the_account_has_lines_of_its_own() -> None:
    timeline = Timeline("acct-1", 0, THRESHOLDS, limit=20)
    kinds = (CLOSED, PLAN, OPENED, OPENED, PLAN, CONTACTS, REOPENED, CLOSED, CLOSED, RENAMED, REOPENED)
    timeline.enter(entry(n, kind, name="free", resource=None) for n, kind in enumerate(kinds, start=1))
    assert words(timeline.account.newest) == [
        "ignored@1", "kept_change@2", "opened@3", "ignored@4", "plan_changed@5", "contacts_changed@6", "ignored@7",
        "closed@8", "ignored@9", "renamed@10", "reopened@11",
    ]  # fmt: skip
    assert timeline.resources == {}


def test_a_forgetting_has_a_line_before_the_opening_as_well() -> None:
    timeline = Timeline("acct-1", 0, THRESHOLDS, limit=20)
    kinds = (FORGOTTEN, OPENED, FORGOTTEN)
    timeline.enter(entry(n, kind, name="asked", resource=None) for n, kind in enumerate(kinds, start=1))
    assert words(timeline.account.newest) == ["forgotten@1", "opened@2", "forgotten@3"]


def test_resources_are_told_apart() -> None:
    timeline = Timeline("acct-1", 0, THRESHOLDS, limit=10)
    timeline.enter(
        [
            entry(0, OPENED, resource=None),
            entry(1, GRANTED, 10),
            entry(2, GRANTED, 8, resource=RUNS),
            entry(3, TOOL, 4, resource=RUNS),
        ]
    )
    timeline.close()
    assert (timeline.resources[CREDITS].state.used, timeline.resources[RUNS].state.used) == (0, 4)
    assert words(timeline.resources[RUNS].lines.newest)[-3:] == ["used@3", "reached:20@3", "reached:50@3"]


def entries_of(step: Step) -> list[Entry]:
    """What stands in the log for a step: an opening, and the free allowance that is stored behind it."""
    made = []
    if step.kind is Kind.OPENING:
        made.append(entry(step.position - 1 if step.amount else step.position, OPENED, name="free", resource=None))
        if step.amount:
            made.append(entry(step.position, GRANTED, step.amount, "free_allowance"))
    elif step.kind in ACCOUNT_TYPES:
        made.append(entry(step.position, ACCOUNT_TYPES[step.kind], resource=None))
    else:
        made.append(entry(step.position, TYPES[step.kind], step.amount))
    return [each._replace(recorded_at=step.as_of) for each in made]


@given(histories())
def test_it_agrees_with_the_fold(history: list[Step]) -> None:
    """The same balance in the end, and every line that a notice could be made of."""
    spread = [step._replace(position=2 * step.position) for step in history]  # room for openings
    state, expected = fold(empty_state("acct-1", CREDITS, 0, START), spread)
    timeline = Timeline("acct-1", 0, THRESHOLDS, limit=5)
    timeline.enter(each for step in spread for each in entries_of(step))
    timeline.close()
    if not any(step.moves for step in history):
        assert timeline.resources == {}
        return
    mine = timeline.resources[CREDITS]
    assert mine.state == state
    assert {key for key, line in mine.reached.items() if not line.at_start} == crossed(expected)


def test_a_grant_before_the_opening_is_kept_and_counts_at_the_opening() -> None:
    timeline = Timeline("acct-1", 0, THRESHOLDS, limit=99)
    timeline.enter([entry(1, GRANTED, 100), entry(2, INFERENCE, 40), entry(3, OPENED, resource=None)])
    timeline.close()
    mine = timeline.resources[CREDITS]
    assert words(mine.lines.newest) == ["kept@1", "used@2", "reached:20@3", "allowed@3"]
    assert (mine.state.epoch, mine.state.allocation, mine.state.used) == (1, 100, 40)
    assert mine.reached[1, 20].at_start


def test_a_difference_is_named_by_its_field() -> None:
    state = read(numbered((GRANTED, 10), (INFERENCE, 4))).state
    assert compare(state, state, CREDITS) == []
    assert compare(None, None, CREDITS) == []
    assert compare(state._replace(consumed=5), state, CREDITS) == [FieldDifference(CREDITS, "consumed", "5", "4")]
    assert compare(None, state, CREDITS) == [FieldDifference(CREDITS, "balance", None, "a balance")]
    assert compare(state, None, CREDITS) == [FieldDifference(CREDITS, "balance", "a balance", None)]
