"""Record batches read by machine code and by Python alone, side by side."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from meter.runtime.kafka.adapter import runs
from meter.runtime.kafka.partition_buffer import PartitionBuffer
from schemas.compiled import NATIVE
from tests.support.fetched import FetchedPartition
from tests.support.raw_batches import NONE, batch, record


@contextmanager
def python_alone() -> Iterator[None]:
    used = NATIVE.module is not None
    NATIVE.use(False)
    try:
        yield
    finally:
        NATIVE.use(used)


def at_base(written: bytes, base: int) -> bytes:
    return base.to_bytes(8, "big") + written[8:]


def told(found: Sequence[Any]) -> list[Any]:
    """What the services see of it: records in their own form."""
    buffer = PartitionBuffer("usage", 0, 0)
    if found:
        buffer.next = found[0].offset
        buffer.offer(found, 0)
    return [*buffer.take(1 << 30, 1 << 40), *buffer.unread]


def polls(data: bytes, first: int, most: int | None) -> list[Any]:
    """Each poll's records, and where the consumer stood after it; or what was raised."""
    partition = FetchedPartition(data, first)
    seen: list[Any] = []
    while partition.has_more:
        try:
            seen.append((told(partition.take(most)), partition.position))
        except Exception as error:
            return [*seen, type(error), partition.position]
    return seen


def same(data: bytes, first: int = 0, most: int | None = None) -> list[Any]:
    """By machine code and by Python alone; returns what both gave."""
    compiled = polls(data, first, most)
    with python_alone():
        assert polls(data, first, most) == compiled
    return compiled


def counted(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each batch that was read from now on was read as a whole."""
    asked: list[bool] = []
    plain = runs.read_runs

    def read_runs(*args: Any) -> Any:
        is_whole = yield from plain(*args)
        asked.append(is_whole)
        return is_whole

    monkeypatch.setattr(runs, "read_runs", read_runs)
    return asked


def three(kind: int = NONE) -> bytes:
    headers = [(b"content-type", b"application/cloudevents+json"), (b"null", None)]
    records = [record(0, b"a", key=b"k", headers=headers), record(1, None, headers=headers), record(2, b"", key=b"")]
    return batch(records, kind=kind)
