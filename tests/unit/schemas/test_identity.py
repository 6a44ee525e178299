"""What makes two events one: topic, account, source and id."""

from itertools import combinations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import FIRST_UUID_KEY, KEY_BYTES, MAX_ID_CHARS, identity_key, is_id, normalize_id
from schemas.topics import ACCOUNTS, USAGE

UUID7 = "019b76da-a800-79ab-aa7b-5bf55eb561a4"
ORDER = "order-7"
ids = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=6) | st.uuids().map(str)
identities = st.tuples(
    st.sampled_from([USAGE, ACCOUNTS]),
    st.text("ab:", min_size=1, max_size=3),
    st.text("ab/", min_size=1, max_size=3),
    st.sampled_from([UUID7, ORDER]) | ids,
)


@pytest.mark.parametrize(
    "text",
    ["1", "~", "order 7", ORDER, "01KAZ6V2T8M1J5Q8C3W4N7R9XE", f"urn:uuid:{UUID7}", UUID7, UUID7.upper(), "x" * 128],
)
def test_printable_ascii_is_an_id(text: str) -> None:
    assert is_id(text)


@pytest.mark.parametrize("text", ["", " ", " " * 128, "x" * (MAX_ID_CHARS + 1), "a\n", "\n", "a\x7f", "ä", "\x00"])
def test_anything_else_is_none(text: str) -> None:
    assert not is_id(text)


def test_a_uuid_is_one_id_in_any_case_and_nothing_else_is() -> None:
    assert normalize_id(UUID7.upper()) == normalize_id(UUID7.title()) == UUID7
    for text in ("ORDER-7", f"URN:UUID:{UUID7.upper()}", UUID7.upper()[:-1], "01KAZ6V2T8M1J5Q8C3W4N7R9XE"):
        assert normalize_id(text) == text


@given(st.lists(identities, unique=True, max_size=6))
def test_other_identities_have_other_keys(several: list[tuple[str, str, str, str]]) -> None:
    keys = [identity_key(*identity) for identity in several]
    assert len(set(keys)) == len(keys)
    assert {len(key) for key in keys} <= {KEY_BYTES}


def test_what_moves_from_one_part_to_the_next_is_another_identity() -> None:
    several = [
        (USAGE, "a", "bc", ORDER), (USAGE, "ab", "c", ORDER), (USAGE, "a", "b", "corder-7"), (USAGE, "b", "a", UUID7),
        (USAGE, "a", "b", UUID7), (ACCOUNTS, "a", "b", UUID7), (ACCOUNTS, "a", "b", ORDER), (USAGE, "a", "b", ORDER),
    ]  # fmt: skip
    assert all(identity_key(*one) != identity_key(*other) for one, other in combinations(several, 2))


def test_keys_of_version_7_ascend_with_their_time() -> None:
    """Inserts so stay at the right edge of the index, whatever account and source come in between."""
    later = "019b76da-a801" + UUID7[13:]
    assert all(
        identity_key(USAGE, account, source, UUID7) < identity_key(USAGE, "a", "b", later)
        for account in "abc"
        for source in "def"
    )


def test_a_key_says_whether_it_begins_with_a_uuid() -> None:
    """The event store leaves out the id of those that do."""
    zeros = "00000000-0000-79ab-aa7b-5bf55eb561a4"
    for id, is_text in ((ORDER, True), (zeros, True), ("00000000-0001" + zeros[13:], False), (UUID7, False)):
        key = identity_key(USAGE, "acct-1", "/gateway", id)
        assert (key < FIRST_UUID_KEY) is is_text
        assert is_text or key[:16] == UUID(id).bytes


def test_keys_are_fixed_for_ever() -> None:
    """Stored keys are compared with new ones: another rule would count every event again."""
    assert (
        identity_key(USAGE, "acct-1", "/gateway", UUID7).hex()
        == "019b76daa80079abaa7b5bf55eb561a4aadbcec87c05776b18443dd77d6f9c7a"
    )
    assert (
        identity_key(USAGE, "acct-1", "/gateway", ORDER).hex()
        == "00000000000055567a119da505a95c135ae260a0a644370bab50b4e2f23502ef"
    )
