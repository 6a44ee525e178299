from typing import Any

import pytest

from schemas.reasons import Reason
from tests.unit.schemas.builders import make_event, record_of, reject


@pytest.mark.parametrize(
    "contacts",
    [
        "ann@example.com",
        None,
        {},
        [1],
        [None],
        [""],
        ["ann"],
        ["ann@"],
        ["@example.com"],
        ["ann@example"],
        ["ann@-example.com"],
        ["ann@example.com, eve@example.com"],
        ["ann@example.com;eve@example.com"],
        ["Ann <ann@example.com>"],
        ["<ann@example.com>"],
        ["ann@example.com\r\nBcc: eve@example.com"],
        ["ann@example.com\n"],
        ["ann@example.com\rX"],
        ["ann@exam ple.com"],
        ['"ann eve"@example.com'],
        ["ann@example.com eve@example.com"],
        ["ann@@example.com"],
        ["a..b@example.com"],
        [".a@example.com"],
        ["änn@example.com"],
        ["ann@[127.0.0.1]"],
        ["ann(comment)@example.com"],
        ["a" * 65 + "@example.com"],
        ["a@" + "b." * 130 + "com"],
        ["ann@example.com."],
        ["ann%0d@example..com"],
        ["ann\\@example.com"],
        ["ann\x7f@example.com"],
    ],
)
def test_a_change_without_one_good_address(contacts: Any) -> None:
    rejected = reject(record_of(make_event("account.contacts_changed.v1", {"contacts": contacts})))
    assert rejected.reason is Reason.INVALID_CONTACTS
    assert "@" not in rejected.detail
