"""Email addresses of accounts: what one may be, and how many an account has."""

import re
from typing import Any, Final

from pydantic_core import PydanticCustomError

CONTACTS: Final = "contacts"  # a kind of validation errors with a reason of its own
MAX_CONTACTS: Final = 20
MAX_ADDRESS_CHARS: Final = 254

# How an encoded word of a mail header begins (RFC 2047). Python decodes one when a header is set, mail programs when
# they show it, whatever it says, line ends among it.
ENCODED_WORD: Final = "=?"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
# One plain address: no comma, space, quote, angle bracket or line break can hide a second recipient or a header.
_ADDRESS: Final = re.compile(rf"(?=.{{1,64}}@){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+", re.ASCII)


def is_address(value: str) -> bool:
    return len(value) <= MAX_ADDRESS_CHARS and _ADDRESS.fullmatch(value) is not None


def check_address(value: str) -> str:
    if not is_address(value):
        raise PydanticCustomError(CONTACTS, "is not one plain email address")
    return value


def refuse_repeats(value: tuple[str, ...]) -> tuple[str, ...]:
    if len({address.casefold() for address in value}) < len(value):
        raise PydanticCustomError(CONTACTS, "has an address twice")
    return value


def read_contacts(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
