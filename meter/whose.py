"""Whose a record is, as far as it says so, also where it breaks the contract. Pure."""

import json
import re
from collections.abc import Sequence

from schemas.fields import ACCOUNT_PATTERN

is_account_id = re.compile(ACCOUNT_PATTERN).fullmatch


def find_account(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> str | None:
    """The account that its key names; without a key the one that its event is of."""
    named = key or find_subject(value or b"", headers)
    text = named.decode("utf-8", "replace") if isinstance(named, bytes) else named
    return text if isinstance(text, str) and is_account_id(text) else None


def find_subject(value: bytes, headers: Sequence[tuple[str, bytes | None]]) -> object:
    """In binary or structured mode; None where there is no event in it."""
    subject = next((content for name, content in headers if name == "ce_subject"), None)
    if subject is not None:
        return subject
    try:
        event = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return event.get("subject") if isinstance(event, dict) else None
