"""JSON of the log is read whatever it holds, exactly where a type can hold it."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.stored_json import MOST_DIGITS, read_stored_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", Decimal("0.1")), ("-0", 0), ("1e400", Decimal("1e400")), ("12", 12), ('"12"', "12"),
        ("9" * MOST_DIGITS, 10**MOST_DIGITS - 1), ("9" * 5_000, "9" * 5_000), ("1e-999999999999999999999",) * 2,
        ("1e999999999999999999999", "1e999999999999999999999"),
    ],
)  # fmt: skip
def test_numbers_are_exact_or_the_text_that_they_were(text: str, value: object) -> None:
    assert read_stored_json(text) == value
    assert read_stored_json(f'{{"a":[{text}]}}') == {"a": [value]}


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,30})([.][0-9]{1,30})?([eE][+-]?[0-9]{1,30})?", fullmatch=True))
def test_no_number_of_json_raises(text: str) -> None:
    read_stored_json(text)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_what_is_no_fraction_is_what_json_says(value: Any) -> None:
    assert read_stored_json(json.dumps(value)) == value
