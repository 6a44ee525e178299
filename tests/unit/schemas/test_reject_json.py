import json

import pytest

from schemas.parsing.parse import Limits
from schemas.reasons import Reason
from tests.unit.schemas.builders import STRUCTURED, make_event, make_record, reject, to_bytes, with_data

GOOD = to_bytes(make_event())


@pytest.mark.parametrize("value", [None, b""])
def test_no_value(value: bytes | None) -> None:
    assert reject(make_record(value)).reason is Reason.EMPTY


def test_values_above_the_limit_are_not_even_read() -> None:
    value = with_data(json.dumps({"credits": "1", "guardrail": "g", "more": "x" * 70_000}))
    assert reject(make_record(value)).reason is Reason.TOO_LARGE
    assert reject(make_record(b"[" * 100_000)).reason is Reason.TOO_LARGE


def test_headers_count_too() -> None:
    headers = (*STRUCTURED, ("trace", b"x" * 1000))
    limits = Limits(partitions=12, max_bytes=len(GOOD) + 1000)
    assert reject(make_record(GOOD, headers=headers), limits).reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    "value",
    [
        b"{",
        b"}",
        b"nonsense",
        GOOD[:-1],
        GOOD + b"x",
        GOOD + GOOD,
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16"),
        GOOD.replace(b"acct", b"\xffcct"),
        GOOD.replace(b"acct", b"\xed\xa0\x80"),
        GOOD.replace(b'"', b"'"),
        b'{"a":1,}',
        with_data('{"credits":NaN,"guardrail":"g"}'),
        with_data('{"credits":Infinity,"guardrail":"g"}'),
        with_data('{"credits":-Infinity,"guardrail":"g"}'),
        with_data('{"credits":01,"guardrail":"g"}'),
        with_data('{"credits":.5,"guardrail":"g"}'),
        with_data('{"credits":+1,"guardrail":"g"}'),
        with_data('{"credits":1,"guardrail":"a\x00b"}'),
        with_data('{"credits":1,"guardrail":"a\nb"}'),
        with_data('{"credits":1,"guardrail":"\\x"}'),
    ],
)
def test_not_json(value: bytes) -> None:
    assert reject(make_record(value)).reason is Reason.NOT_JSON


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
def test_another_encoding_is_named(encoding: str) -> None:
    """It said "Expecting value (character 0)", and looked right in every editor."""
    detail = reject(make_record(GOOD.decode().encode(encoding))).detail
    wrong = "begins with a byte order mark" if encoding == "utf-8-sig" else "is UTF-16 or UTF-32"
    assert detail == f"the JSON {wrong}; send UTF-8 without a byte order mark"


@pytest.mark.parametrize(
    "value",
    [
        GOOD[:-1] + b',"id":"0"}',
        GOOD[:-1] + b',"\\u0069d":"0"}',
        with_data('{"credits":1,"guardrail":"g","credits":0}'),
        with_data('{"credits":1,"guardrail":"g","x":[{"a":{"b":1,"b":1}}]}'),
    ],
)
def test_a_key_that_stands_twice(value: bytes) -> None:
    assert reject(make_record(value)).reason is Reason.DUPLICATE_KEY


@pytest.mark.parametrize("depth", [40, 900, 20_000])
def test_deep_nesting(depth: int) -> None:
    value = with_data('{"credits":1,"guardrail":"g","x":' + "[" * depth + "]" * depth + "}")
    assert reject(make_record(value)).reason is Reason.TOO_DEEP


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"a":['])
def test_a_hundred_thousand_levels(opening: bytes) -> None:
    limits = Limits(partitions=12, max_bytes=10_000_000)
    assert reject(make_record(opening * 100_000), limits).reason is Reason.TOO_DEEP


@pytest.mark.parametrize(
    "value",
    [
        with_data('{"credits":1,"guardrail":"\\u0000"}'),
        with_data('{"credits":1,"guardrail":"\\ud800"}'),
        with_data('{"credits":1,"guardrail":"\\udc00\\ud800"}'),
        with_data('{"credits":1,"guardrail":"a\\nb"}'),
        with_data('{"credits":1,"guardrail":"\x7f"}'),
        with_data('{"credits":1,"guardrail":"\x85"}'),
        GOOD[:-1] + b',"trace":"\\u0000"}',
    ],
)
def test_text_that_cannot_be_kept(value: bytes) -> None:
    assert reject(make_record(value)).reason is Reason.INVALID_TEXT
