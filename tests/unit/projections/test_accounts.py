"""The account fold: what sets the name, the zone and the state of an account, and what has no effect."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from projections.accounts import AccountEvent, AccountState, apply
from schemas.events import CODES

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
OPENED = {"plan": "free", "contacts": ["owner@example.com"], "display_name": "Ann", "time_zone": "UTC"}
Script = list[tuple[str, dict[str, Any]]]


def play(*script: tuple[str, dict[str, Any]]) -> AccountState | None:
    state: AccountState | None = None
    for position, (change, data) in enumerate(script, start=1):
        at = NOON + timedelta(seconds=position)
        code = CODES[f"account.{change}.v1"]
        state = apply(state, AccountEvent("acct-1", 0, position, code, json.dumps(data), at, at))
    return state


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
    "data", [{}, {"display_name": " "}, {"display_name": None, "time_zone": "no zone"}, {"name": "x"}]
)
def test_a_rename_that_names_nothing_changes_nothing(data: dict[str, Any]) -> None:
    assert after(("renamed", data)) == after()


def test_closed_and_reopened() -> None:
    assert after(("closed", {})).closed
    assert not after(("closed", {}), ("reopened", {})).closed
    assert after(("closed", {}), ("closed", {})).position == 2  # the second changes nothing
    assert after(("reopened", {})) == after()


@pytest.mark.parametrize("change", ["closed", "reopened", "renamed"])
def test_before_the_opening_there_is_nothing_to_change(change: str) -> None:
    assert play((change, {"display_name": "Bob"})) is None
    state = play((change, {"display_name": "Bob"}), ("opened", OPENED))
    assert state is not None
    assert (state.display_name, state.closed) == ("Ann", False)
