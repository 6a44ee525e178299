"""Columns of rejections: whatever a record holds, it fits."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.store.evidence import (
    MAX_DETAIL_CHARS,
    decode_headers,
    encode_headers,
    record_time,
    rejection_columns,
    storable_text,
)
from tests.contract.rows import record, rejected


@given(st.lists(st.tuples(st.text(st.characters(exclude_characters="\x00", codec="utf-8")), st.none() | st.binary())))
def test_headers_read_back_as_they_were(headers: list[tuple[str, bytes | None]]) -> None:
    assert decode_headers(encode_headers(headers)) == headers


@given(st.text(st.characters()))
def test_text_is_storable(text: str) -> None:
    stored = storable_text(text)
    assert "\x00" not in stored
    stored.encode()


@pytest.mark.parametrize("timestamp_ms", [-1, -(2**63), 2**63 - 1, 10**15])
def test_a_nonsense_timestamp_is_none(timestamp_ms: int) -> None:
    assert record_time(record("metering.usage", 0, timestamp_ms=timestamp_ms)) is None


def test_a_timestamp_is_exact() -> None:
    moment = record_time(record("metering.usage", 0, timestamp_ms=1_772_368_215_123))
    assert moment == datetime(2026, 3, 1, 12, 30, 15, 123_000, tzinfo=UTC)


def test_a_range_and_a_cut_original_have_their_columns() -> None:
    whole = rejected("metering.usage", 0)
    cut = whole._replace(to_offset=9, length=70_000, digest=bytes(32))
    assert rejection_columns([whole, cut])[8:11] == ([None, 9], [None, 70_000], [None, bytes(32)])


def test_packed_records_have_the_offsets_that_they_had() -> None:
    packed = rejected("metering.usage", 3)._replace(offsets=((3, 4), (6, 9)), to_offset=9)
    assert rejection_columns([rejected("metering.usage", 0), packed])[11] == [None, "{[3,4),[6,9)}"]


def test_detail_is_bounded() -> None:
    columns = rejection_columns([rejected("metering.usage", 0)._replace(detail="x" * 100_000)])
    assert len(str(columns[3][0])) == MAX_DETAIL_CHARS
