"""The account fold: what sets plan, name, zone, contacts and state of an account, before its opening and after it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.accounts import AccountEvent, AccountState, apply
from projections.plan import Reading, fold_accounts, must_publish_account
from projections.steps import NonUsageEvent
from schemas.events import CODES

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
OPENED = {"plan": "free", "contacts": ["owner@example.com"], "display_name": "Ann", "time_zone": "UTC"}
SECOND = timedelta(seconds=1)
Script = list[tuple[str, dict[str, Any]]]


def play(*script: tuple[str, dict[str, Any]]) -> AccountState | None:
    state: AccountState | None = None
    for position, (change, data) in enumerate(script, start=1):
        state = apply(state, event(change, data, position))
    return state


def event(change: str, data: dict[str, Any], position: int) -> AccountEvent:
    at = NOON + position * SECOND
    code = CODES[f"account.{change}.v1"]
    return AccountEvent("acct-1", 0, position, code, json.dumps(data), at, at, "/example/billing", f"event-{position}")


def after(*script: tuple[str, dict[str, Any]]) -> AccountState:
    state = play(("opened", OPENED), *script)
    assert state is not None
    return state


def test_an_opening_sets_name_and_zone_and_opens() -> None:
    state = after()
    assert (state.display_name, state.time_zone, state.closed, state.position) == ("Ann", "UTC", False, 1)


def test_a_rename_sets_what_it_names_and_keeps_the_rest() -> None:
    state = after(("renamed", {"display_name": "Ann & Co"}))
    assert (state.display_name, state.time_zone, state.position) == ("Ann & Co", "UTC", 2)
    state = after(("renamed", {"time_zone": "Asia/Tokyo"}))
    assert (state.display_name, state.time_zone) == ("Ann", "Asia/Tokyo")


@pytest.mark.parametrize(
    ("change", "data"),
    [
        ("renamed", {"time_zone": "Asia/Tokyo"}), ("renamed", {"display_name": "Bob"}),
        ("plan_changed", {"plan": "team"}), ("contacts_changed", {"contacts": ["b@example.com"]}), ("closed", {}),
    ],
)  # fmt: skip
def test_each_change_that_texts_depend_on_is_published(change: str, data: dict[str, Any]) -> None:
    """A zone alone was not: letters of an account without a name went on in UTC."""
    assert must_publish_account(after(), after((change, data)))
    assert not must_publish_account(after(), after())


@pytest.mark.parametrize(
    "data", [{}, {"display_name": " "}, {"display_name": None, "time_zone": "no zone"}, {"name": "x"}]
)
def test_a_rename_that_names_nothing_changes_nothing(data: dict[str, Any]) -> None:
    assert after(("renamed", data)) == after()


def test_closed_and_reopened() -> None:
    assert after(("closed", {})).closed
    assert not after(("closed", {}), ("reopened", {})).closed
    assert after(("closed", {}), ("closed", {})).position == 2  # the second changes nothing
    assert after(("reopened", {})) == after()


@pytest.mark.parametrize("change", ["closed", "reopened"])
def test_before_the_opening_there_is_nothing_to_close(change: str) -> None:
    assert play((change, {})) is None
    opened = play((change, {}), ("opened", OPENED))
    assert opened is not None and opened.opened and not opened.closed
    assert (opened.display_name, opened.position) == ("Ann", 2)


def test_what_comes_before_the_opening_is_kept_and_wins_over_its_own() -> None:
    kept = play(
        ("plan_changed", {"plan": "Team"}),
        ("renamed", {"display_name": "Bob"}),
        ("renamed", {"time_zone": "Asia/Tokyo"}),
        ("contacts_changed", {"contacts": ["billing@example.com"]}),
        ("closed", {}),
    )
    assert kept is not None and not kept.opened and not kept.closed
    assert (kept.plan, kept.display_name, kept.time_zone) == ("team", "Bob", "Asia/Tokyo")
    assert (kept.contacts, kept.position) == (("billing@example.com",), 4)
    opened = apply(kept, event("opened", OPENED, 6))
    assert opened is not None
    assert [named.address for named in opened.contact_ids] == ["billing@example.com", "owner@example.com"]
    assert opened._replace(contact_ids=kept.contact_ids) == kept._replace(
        opened_at=NOON + 6 * SECOND, position=6, as_of=NOON + 6 * SECOND
    )


@pytest.mark.parametrize(
    ("change", "data", "kept"),
    [
        ("plan_changed", {"plan": "team"}, {"plan": "team"}),
        ("renamed", {"display_name": "Bob"}, {"display_name": "Bob"}),
        ("renamed", {"time_zone": "Asia/Tokyo"}, {"time_zone": "Asia/Tokyo"}),
        ("contacts_changed", {"contacts": []}, {"contacts": ()}),  # none is meant, and not: nothing said
    ],
)
def test_the_opening_says_what_nothing_before_it_said(change: str, data: dict[str, Any], kept: dict[str, Any]) -> None:
    opened = play((change, data), ("opened", OPENED))
    assert opened is not None
    assert opened._replace(contact_ids=()) == after()._replace(
        **kept, opened_at=NOON + 2 * SECOND, position=2, as_of=NOON + 2 * SECOND, contact_ids=()
    )


def test_a_second_opening_changes_nothing() -> None:
    assert after(("opened", OPENED | {"plan": "team", "contacts": []})) == after()


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("opened", OPENED),
    ("opened", {"plan": "team", "contacts": []}),
    *(("plan_changed", {"plan": plan}) for plan in ("free", "Team")),
    *(("contacts_changed", {"contacts": contacts}) for contacts in ([], ["a@example.com"])),
    *(("renamed", names) for names in ({}, {"display_name": "Bob"}, {"time_zone": "Asia/Tokyo"})),
    ("closed", {}),
    ("reopened", {}),
]


@given(st.lists(st.sampled_from(CHANGES), max_size=12), st.data())
def test_accounts_and_what_is_told_do_not_depend_on_where_batches_are_cut(script: Script, data: st.DataObject) -> None:
    events = [event(change, content, position) for position, (change, content) in enumerate(script, start=1)]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(events)))) | {0, len(events)})
    whole, told = fold([events])
    assert fold([events[a:b] for a, b in pairwise(cuts)]) == (whole, told)
    openings = [each for each in events if each.type == CODES["account.opened.v1"]]
    assert bool(told) == bool(openings)
    assert all(state.opened for state in told)
    if whole is not None:
        assert whole.opened == bool(openings)
        assert whole.opened_at == (openings[0].occurred_at if openings else None)
        renames = [each["display_name"] for change, each in script if change == "renamed" and "display_name" in each]
        own = "Ann" if openings and openings[0].data == json.dumps(OPENED) else None
        assert whole.display_name == (renames[-1] if renames else own)


def fold(batches: Sequence[Sequence[AccountEvent]]) -> tuple[AccountState | None, list[AccountState]]:
    """The state after all batches, and every state that was told."""
    state: AccountState | None = None
    told: list[AccountState] = []
    for batch in batches:
        states, published = fold_accounts(reading(batch, state))
        state = states[0] if states else state
        told += published
    return state, told


def reading(batch: Sequence[AccountEvent], state: AccountState | None) -> Reading:
    non_usage = [
        NonUsageEvent(e.shard, e.position, e.type, e.account_id, None, 0, e.occurred_at, e.recorded_at, e.data, False,
                      e.source, e.event_id)
        for e in batch
    ]  # fmt: skip
    accounts = {} if state is None else {state.account_id: state}
    return Reading(ranges=[], totals=[], non_usage=non_usage, steps={}, balances={}, accounts=accounts)


def test_a_forgotten_account_keeps_what_names_nobody() -> None:
    state = after(("renamed", {"display_name": "Bob"}), ("contacts_changed", {"contacts": ["b@example.com"]}))
    forgotten = apply(state, event("forgotten", {"reason": "asked"}, 4))
    assert forgotten == state._replace(
        contacts=(), contact_ids=(), display_name=None, forgotten=True, position=4, as_of=NOON + 4 * SECOND
    )
    assert must_publish_account(state, forgotten)


def test_what_nobody_opened_is_forgotten_as_well() -> None:
    state = play(("contacts_changed", {"contacts": ["b@example.com"]}), ("forgotten", {"reason": "asked"}))
    assert state is not None and (state.contacts, state.contact_ids, state.forgotten) == ((), (), True)
    nothing = play(("forgotten", {"reason": "asked"}))
    assert nothing is not None and (nothing.contacts, nothing.forgotten) == (None, True)
