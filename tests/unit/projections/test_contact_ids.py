"""Ids of contacts: they follow from the event that first named the contact, stay, and tell nothing of the address."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from projections.accounts import AccountEvent, AccountState, apply
from projections.contact_ids import Naming, make_contact_id
from projections.messages import render_account
from schemas.build import decode_event
from schemas.events import CODES
from schemas.outputs import AccountChanged

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ANN, BOB, EVE = "ann@example.com", "bob@example.com", "eve@example.com"
SOURCE = "/example/billing"


def event(position: int, change: str, **data: Any) -> AccountEvent:
    code = CODES[f"account.{change}.v1"]
    return AccountEvent("acct-1", 0, position, code, json.dumps(data), NOON, NOON, SOURCE, f"event-{position}")


def play(*events: AccountEvent) -> AccountState:
    state: AccountState | None = None
    for each in events:
        state = apply(state, each)
    assert state is not None
    return state


def opened(position: int, *contacts: str) -> AccountEvent:
    return event(position, "opened", plan="free", contacts=contacts, display_name="Ann Example")


def contacts(position: int, *listed: str) -> AccountEvent:
    return event(position, "contacts_changed", contacts=listed)


def an_id(position: int, place: int) -> str:
    return make_contact_id(Naming("acct-1", SOURCE, f"event-{position}"), place)


def ids_told(state: AccountState) -> list[str]:
    data = decode_event(render_account(state).value).data
    assert isinstance(data, AccountChanged)
    return [str(each) for each in data.contact_ids]


def test_an_id_follows_from_the_event_that_first_named_the_contact_and_the_place_there() -> None:
    state = play(opened(1, ANN), contacts(2, EVE, BOB, ANN), contacts(3, BOB), contacts(4, ANN, EVE, BOB))
    assert dict(state.contact_ids) == {ANN: an_id(1, 0), EVE: an_id(2, 0), BOB: an_id(2, 1)}
    assert ids_told(state) == [an_id(1, 0), an_id(2, 0), an_id(2, 1)]


def test_the_position_has_no_part_in_it() -> None:
    """After a restore the log is read again, and events may stand at other positions."""
    later = opened(1, ANN)._replace(position=7)
    assert play(later).contact_ids == play(opened(1, ANN)).contact_ids


def test_another_spelling_is_the_same_contact() -> None:
    state = play(opened(1, ANN), contacts(2, BOB, "Ann@Example.com"))
    assert dict(state.contact_ids) == {ANN: an_id(1, 0), BOB: an_id(2, 0)}
    assert ids_told(state) == [an_id(2, 0), an_id(1, 0)]


def test_contacts_from_before_the_opening_have_the_ids_of_their_event() -> None:
    assert ids_told(play(contacts(1, BOB), opened(2, ANN))) == [an_id(1, 0)]


def test_an_opening_that_does_not_count_names_nobody() -> None:
    assert dict(play(opened(1, ANN), opened(2, BOB)).contact_ids) == {ANN: an_id(1, 0)}


@pytest.mark.parametrize(
    "other", [("acct-2", SOURCE, "event-1"), ("acct-1", "/other", "event-1"), ("acct-1", SOURCE, "x")]
)
def test_other_events_give_other_ids(other: tuple[str, str, str]) -> None:
    assert make_contact_id(Naming(*other), 0) != an_id(1, 0)


def test_ids_never_change() -> None:
    """Receivers keep them, and letters of before carry them: this one was made once, and written down here."""
    assert an_id(1, 0) == "3eacd303-981f-8213-8083-aba6936d2bd5"


def test_what_is_published_holds_neither_address_nor_name() -> None:
    """Searched for in the bytes themselves; and the search can find, for the id of the account is there."""
    state = play(opened(1, ANN), contacts(2, ANN, BOB))
    value = render_account(state).value.lower()
    assert [each for each in (b"ann", b"bob", b"example", b"@") if each in value] == []
    assert b"acct-1" in value and b"account.changed.v2" in value
