"""Addresses and names of stored events: nobody reads them without the key, and everybody reads what names nobody."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.sealing import (
    FORGOTTEN_KEY,
    KEY_BYTES,
    NONCE_BYTES,
    SealBrokenError,
    is_sealed,
    seal,
    unseal,
    without_people,
)
from tests.support.searching import find

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
    stored = seal(OPENED, "acct-1", KEY, NONCE)
    assert find([stored.encode()], "ann.person", "bob.person", "Person & Example", "555-0100") == []
    public = json.loads(stored)
    assert public.pop("sealed")
    assert public == {"plan": "Free", "time_zone": "Europe/Berlin", "contacts": [None, None]}
    assert is_sealed(stored) and not is_sealed(OPENED)


def test_the_key_of_the_account_opens_the_very_text() -> None:
    assert unseal(seal(OPENED, "acct-1", KEY, NONCE), "acct-1", KEY) == OPENED


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_name_comes_out_as_it_went_in(name: str) -> None:
    data = json.dumps({"display_name": name})
    assert unseal(seal(data, "acct-1", KEY, os.urandom(NONCE_BYTES)), "acct-1", KEY) == data


@pytest.mark.parametrize(("account", "key"), [("acct-1", OTHER), ("acct-2", KEY)])
def test_another_key_or_account_opens_nothing(account: str, key: bytes) -> None:
    with pytest.raises(SealBrokenError):
        unseal(seal(OPENED, "acct-1", KEY, NONCE), account, key)


def test_a_changed_token_does_not_open() -> None:
    stored = json.loads(seal(OPENED, "acct-1", KEY, NONCE))
    for broken in (stored["sealed"][:-8], stored["sealed"] + "!", "1:"):
        with pytest.raises(SealBrokenError):
            unseal(json.dumps({**stored, "sealed": broken}), "acct-1", KEY)


@pytest.mark.parametrize("key", [FORGOTTEN_KEY, None])
def test_without_a_key_nobody_is_named(key: bytes | None) -> None:
    left = unseal(seal(OPENED, "acct-1", KEY, NONCE), "acct-1", key)
    assert json.loads(left) == {"plan": "Free", "time_zone": "Europe/Berlin", "contacts": []}
    assert left == without_people(OPENED)


def test_what_comes_after_the_forgetting_is_not_kept() -> None:
    stored = seal(OPENED, "acct-1", FORGOTTEN_KEY, NONCE)
    assert json.loads(stored) == {"plan": "Free", "time_zone": "Europe/Berlin", "contacts": [], "sealed": "forgotten"}
    assert unseal(stored, "acct-1", FORGOTTEN_KEY) == without_people(OPENED)


def test_what_was_stored_in_clear_is_read_until_its_account_is_forgotten() -> None:
    assert unseal(OPENED, "acct-1", None) == unseal(OPENED, "acct-1", KEY) == OPENED
    assert unseal(OPENED, "acct-1", FORGOTTEN_KEY) == without_people(OPENED)


def test_a_zone_that_is_none_stays_sealed() -> None:
    stored = seal('{"display_name":"x","time_zone":"ann.person@example.com"}', "acct-1", KEY, NONCE)
    assert set(json.loads(stored)) == {"sealed"}
