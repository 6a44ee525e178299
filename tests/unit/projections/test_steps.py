"""Events become steps: what belongs to an opening, and where usage is cut."""

from datetime import UTC, datetime

from projections.fold import Kind
from projections.messages import render_balance
from projections.plan import PositionRange, Reading, fold_reading
from projections.steps import NonUsageEvent, collect_steps, split_positions
from schemas.events import CODES
from schemas.resources import RESOURCE_CODES, Resource

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
CREDITS, RUNS = (RESOURCE_CODES[resource] for resource in (Resource.MODEL_CREDITS, Resource.TOOL_RUNS))


def event(position: int, type: str, resource: int | None = None, amount: int = 0) -> NonUsageEvent:
    data = '{"plan":"free","contacts":[]}' if resource is None else None
    return NonUsageEvent(0, position, CODES[type], "acct-1", resource, amount, NOON, NOON, data, False)


def grant(position: int, resource: int, amount: int, *, derived: bool = False) -> NonUsageEvent:
    return event(position, "credits.granted.v1", resource, amount)._replace(derived=derived)


def kinds(events: list[NonUsageEvent], resource: int) -> list[tuple[Kind, int, int]]:
    return [(step.kind, step.amount, step.position) for step in collect_steps(events).get(("acct-1", resource), [])]


def test_an_opening_takes_the_free_grants_directly_behind_it() -> None:
    events = [
        event(4, "account.opened.v1"),
        grant(5, CREDITS, 75, derived=True),
        grant(6, RUNS, 10, derived=True),
        grant(7, CREDITS, 3),
    ]
    assert kinds(events, CREDITS) == [(Kind.OPENING, 75, 5), (Kind.GRANT, 3, 7)]
    assert kinds(events, RUNS) == [(Kind.OPENING, 10, 6)]


def test_a_resource_without_a_free_grant_is_opened_all_the_same() -> None:
    assert kinds([event(4, "account.opened.v1"), grant(5, RUNS, 10, derived=True)], CREDITS) == [(Kind.OPENING, 0, 4)]


def test_a_free_grant_that_stands_elsewhere_is_a_grant_of_its_own() -> None:
    for between in (event(5, "account.plan_changed.v1"), grant(5, CREDITS, 1), event(5, "account.closed.v1")):
        events = [event(4, "account.opened.v1"), between, grant(6, CREDITS, 75, derived=True)]
        assert (Kind.FREE_GRANT, 75, 6) in kinds(events, CREDITS)
    behind_usage = [event(4, "account.opened.v1"), grant(6, CREDITS, 75, derived=True)]
    assert kinds(behind_usage, CREDITS) == [(Kind.OPENING, 0, 4), (Kind.FREE_GRANT, 75, 6)]
    of_another = [event(4, "account.opened.v1"), grant(5, CREDITS, 75, derived=True)._replace(account_id="acct-2")]
    assert kinds(of_another, CREDITS) == [(Kind.OPENING, 0, 4)]


def test_what_happens_to_the_account_cuts_the_usage_of_all_resources() -> None:
    accounts, resources, positions = split_positions(collect_steps([event(9, "account.closed.v1")]))
    assert (accounts, sorted(resources), positions) == (["acct-1", "acct-1"], [CREDITS, RUNS], [9, 9])
    assert split_positions(collect_steps([event(9, "account.renamed.v1")])) == ([], [], [])


def test_two_balances_that_change_at_one_position_have_messages_of_their_own() -> None:
    events = [event(1, "account.opened.v1"), grant(2, CREDITS, 75), grant(3, RUNS, 10), event(4, "account.closed.v1")]
    reading = Reading(
        ranges=[PositionRange(0, 0, 4)], totals=[], non_usage=events, steps=collect_steps(events), balances={},
        accounts={},
    )  # fmt: skip
    published = [state for state in fold_reading(reading).published if state.position == 4]
    assert [state.allowed for state in published] == [False, False]
    first, second = (render_balance(state) for state in published)
    assert first.value[:80] != second.value[:80]  # the id stands there
    assert first == render_balance(published[0])


def test_an_account_event_makes_no_balance() -> None:
    events = [event(1, "account.opened.v1"), event(2, "account.closed.v1")]
    reading = Reading(
        ranges=[PositionRange(0, 0, 2)], totals=[], non_usage=events, steps=collect_steps(events), balances={},
        accounts={},
    )  # fmt: skip
    folded = fold_reading(reading)
    assert (folded.balances, folded.published) == ([], [])
    assert [account.closed for account in folded.accounts] == [True]
