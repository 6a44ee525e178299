"""Reads JSON as the log holds it: whatever a producer could write is read, and nothing of it raises. Pure.

A field that no model knows is stored as it was sent, and may be a number that no type of Python holds: an integer of
more digits than it converts, an exponent beyond that of a Decimal.
"""

import json
from decimal import Decimal, InvalidOperation
from typing import Any, Final

MOST_DIGITS: Final = 4_000  # Python converts 4,300 at most, unless it is told otherwise


def read_stored_json(text: str) -> Any:
    """Exact: integers are int, other numbers Decimal. A number that neither holds stays the text that it was."""
    return json.loads(text, parse_int=_whole, parse_float=_exact)


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= MOST_DIGITS else digits


def _exact(number: str) -> Decimal | str:
    try:
        return Decimal(number)
    except InvalidOperation:
        return number
