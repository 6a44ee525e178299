"""A marked consumer gets the reader's own records, with the same content; every other consumer sees no change."""

from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from meter.runtime.kafka.adapter.record_objects import AsRead
from schemas.compiled import NATIVE
from tests.support.fetched import FetchedPartition

HEADERS = [("content-type", b"application/cloudevents+json"), ("empty", b"")]
CONTENT: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]] = [
    (b"account-1", b"{}", HEADERS),
    (None, b"x", []),
    (b"account-2", None, []),
]


def read(key_deserializer: Callable[[bytes | None], bytes | None] | None) -> list[Any]:
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=1, producer_epoch=0, base_sequence=0,
        batch_size=10_000,
    )  # fmt: skip
    for number, (key, value, headers) in enumerate(CONTENT):
        builder.append(number, 1_700_000_000_000 + number, key, value, headers)
    return FetchedPartition(bytes(builder.build()), deserializer=key_deserializer).take()


def test_marked_and_unmarked_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the compiled part: `test_runs.py` holds that equal."""
    monkeypatch.setattr(NATIVE, "module", None)
    raw, complete = read(AsRead()), read(lambda key: key)
    assert not any(isinstance(record, ConsumerRecord) for record in raw)
    assert all(isinstance(record, ConsumerRecord) for record in complete)
    for one, other, (key, value, headers) in zip(raw, complete, CONTENT, strict=True):
        assert (one.offset, one.timestamp) == (other.offset, other.timestamp)
        assert (one.key, one.value, list(one.headers)) == (key, value, headers)
        assert (other.key, other.value, list(other.headers)) == (key, value, headers)
