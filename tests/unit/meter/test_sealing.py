"""Addresses and names of stored events: nobody reads them without the key, and everybody reads what names nobody."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.sealing import (
    FORGOTTEN_KEY,
    ITEM_FIELDS,
    KEY_BYTES,
    NONCE_BYTES,
    OWNER,
    SealBrokenError,
    is_clear,
    is_sealed,
    needs_sealing,
    seal,
    unseal,
    without_people,
)
from schemas.codes import CODES, ITEM_CODE
from schemas.inputs import ItemChanged
from tests.support.searching import find

OPENING = CODES["account.opened.v1"]
KEY, OTHER, NONCE = bytes(KEY_BYTES), bytes([1]) * KEY_BYTES, bytes(NONCE_BYTES)
OPENED = json.dumps(
    {
        "plan": "Free",
        "contacts": ["ann.person@example.com", "bob.person@example.com"],
        "display_name": "Person & Example",
        "time_zone": "Europe/Berlin",
        "note": "call 555-0100",
    }
)


def test_what_is_stored_names_nobody_and_says_the_rest() -> None:
    stored = seal(OPENING, OPENED, "acct-1", KEY, NONCE)
    assert find([stored.encode()], "ann.person", "bob.person", "Person & Example", "555-0100") == []
    public = json.loads(stored)
    assert public.pop("sealed")
    assert public == {"plan": "Free", "time_zone": "Europe/Berlin", "contacts": [None, None]}
    assert is_sealed(stored) and not is_sealed(OPENED)


def test_the_key_of_the_account_opens_the_very_text() -> None:
    assert unseal(OPENING, seal(OPENING, OPENED, "acct-1", KEY, NONCE), "acct-1", KEY) == OPENED


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_name_comes_out_as_it_went_in(name: str) -> None:
    data = json.dumps({"display_name": name})
    assert unseal(OPENING, seal(OPENING, data, "acct-1", KEY, os.urandom(NONCE_BYTES)), "acct-1", KEY) == data


@pytest.mark.parametrize(("account", "key"), [("acct-1", OTHER), ("acct-2", KEY)])
def test_another_key_or_account_opens_nothing(account: str, key: bytes) -> None:
    with pytest.raises(SealBrokenError):
        unseal(OPENING, seal(OPENING, OPENED, "acct-1", KEY, NONCE), account, key)


def test_a_changed_token_does_not_open() -> None:
    stored = json.loads(seal(OPENING, OPENED, "acct-1", KEY, NONCE))
    for broken in (stored["sealed"][:-8], stored["sealed"] + "!", "1:"):
        with pytest.raises(SealBrokenError):
            unseal(OPENING, json.dumps({**stored, "sealed": broken}), "acct-1", KEY)


@pytest.mark.parametrize("key", [FORGOTTEN_KEY, None])
def test_without_a_key_nobody_is_named(key: bytes | None) -> None:
    left = unseal(OPENING, seal(OPENING, OPENED, "acct-1", KEY, NONCE), "acct-1", key)
    assert json.loads(left) == {"plan": "Free", "time_zone": "Europe/Berlin", "contacts": []}
    assert left == without_people(OPENING, OPENED)


def test_what_comes_after_the_forgetting_is_not_kept() -> None:
    stored = seal(OPENING, OPENED, "acct-1", FORGOTTEN_KEY, NONCE)
    assert json.loads(stored) == {"plan": "Free", "time_zone": "Europe/Berlin", "contacts": [], "sealed": "forgotten"}
    assert unseal(OPENING, stored, "acct-1", FORGOTTEN_KEY) == without_people(OPENING, OPENED)


def test_what_was_stored_in_clear_is_read_until_its_account_is_forgotten() -> None:
    assert unseal(OPENING, OPENED, "acct-1", None) == unseal(OPENING, OPENED, "acct-1", KEY) == OPENED
    assert unseal(OPENING, OPENED, "acct-1", FORGOTTEN_KEY) == without_people(OPENING, OPENED)


def test_a_zone_that_is_none_stays_sealed() -> None:
    stored = seal(OPENING, '{"display_name":"x","time_zone":"ann.person@example.com"}', "acct-1", KEY, NONCE)
    assert set(json.loads(stored)) == {"sealed"}


ITEM = json.dumps(
    {"kind": "model", "id": "sage", "name": "Sage", "status": "deployed", "owner": "Olga Owner", "version": 3, "x": 1e3}
)


def test_of_an_item_all_may_be_read_but_its_owner() -> None:
    stored = seal(ITEM_CODE, ITEM, "acct-1", KEY, NONCE)
    public = json.loads(stored)
    assert public.pop("sealed")
    assert public == {"kind": "model", "id": "sage", "name": "Sage", "status": "deployed"}
    assert unseal(ITEM_CODE, stored, "acct-1", KEY) == ITEM
    assert json.loads(unseal(ITEM_CODE, stored, "acct-1", FORGOTTEN_KEY)) == public
    assert unseal(ITEM_CODE, ITEM, "acct-1", FORGOTTEN_KEY) == without_people(ITEM_CODE, ITEM)
    assert is_clear(ITEM_CODE, ITEM) and not is_clear(ITEM_CODE, stored)


def test_what_may_be_read_of_an_item_is_every_field_but_its_owner() -> None:
    assert {*ITEM_FIELDS, OWNER} == ItemChanged.model_fields.keys()


@pytest.mark.parametrize(
    ("field", "sealed"),
    [("", False), (', "owner": null', False), (', "\\u006fwner": "Ann"', True), (', "sealed": "1:AAAA"', True)],
)
def test_an_item_that_names_nobody_stays_as_it_was_sent(field: str, sealed: bool) -> None:
    """However the field is spelled; what looks like a token of ours is sealed as well."""
    assert needs_sealing(ITEM_CODE, f'{{"kind": "model"{field}}}') is sealed


@pytest.mark.parametrize("token", ["1:", "1:AAAA", "forgotten", 5, None])
def test_a_member_of_our_name_in_an_old_item_ends_nothing(token: object) -> None:
    data = json.dumps({"kind": "model", "name": "Sage", "sealed": token})
    for key in (KEY, FORGOTTEN_KEY, None):
        assert json.loads(unseal(ITEM_CODE, data, "acct-1", key))["name"] == "Sage"


@pytest.mark.parametrize("number", ["9" * 5_000, "1e999999999999999999999", "-1e-999999999999999999999", "1e400", "-0"])
@pytest.mark.parametrize("type", [OPENING, ITEM_CODE])
def test_a_number_that_no_type_holds_is_sealed_and_opened_as_it_was(type: int, number: str) -> None:
    data = f'{{"plan":"free","owner":"Ann","note":{number}}}'
    assert unseal(type, seal(type, data, "acct-1", KEY, NONCE), "acct-1", KEY) == data


@pytest.mark.parametrize("contacts", [5, True, {}, "x", None, 1.5])
def test_a_member_of_our_name_beside_contacts_that_are_no_list_ends_nothing(contacts: object) -> None:
    """As an old log may hold it: it is sealed anew."""
    assert is_clear(OPENING, json.dumps({"plan": "free", "contacts": contacts, "sealed": "1:AAAA"}))
