"""Whose a rejected record is: it is shown where the record says it, and nothing hostile is."""

import pytest

from meter.whose import find_account

SUBJECT = [("content-type", b"x"), ("ce_subject", b"acc-2")]


@pytest.mark.parametrize(
    ("key", "value", "headers", "account"),
    [
        (b"acc-1", b"{", [], "acc-1"),
        (b"acc-1", b'{"subject": "acc-2"}', [], "acc-1"),  # the key is what --account asks for
        (None, b'{"subject": "acc-2"}', [], "acc-2"),
        (b"", b'{"subject": "acc-2"}', [], "acc-2"),
        (None, b"no JSON", SUBJECT, "acc-2"),
        (None, None, [], None),
        (None, b"[1]", [], None),
        (None, b'{"subject": 7}', [], None),
        (None, b"[" * 100_000, [], None),
        (None, b"\xff", [], None),
        (b"\x1b[31mred", b"{}", [], None),
        (b"\xfe", b"{}", [], None),
        (b"a" * 129, b"{}", [], None),
        (None, b'{"subject": "a\\nb"}', [], None),
    ],
)
def test_the_account_is_known_where_the_record_says_it(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]], account: str | None
) -> None:
    assert find_account(key, value, headers) == account
