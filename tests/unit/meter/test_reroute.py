"""What is sent on, and how it is counted."""

import pytest

from meter.allowance import Allowance
from meter.ingest import OTHER_SOURCES, SOURCES_COUNTED, Ingest
from meter.reroute import read_rerouted
from meter.runtime.kafka import Batch
from meter.runtime.process.metrics import Metrics
from meter.store.evidence import rerouted_columns
from meter.store.port import Appended
from schemas.records import Limits, Rerouted
from schemas.topics import ACCOUNTS, REROUTED_HEADER, USAGE
from tests.contract.memory_store import MemoryEventStore
from tests.contract.rows import plan, record, rerouted
from tests.unit.meter.test_ingest import FixedClock

COLUMNS = ("topic", "kafka_offset", "partition", "account_id", "source", "key", "value", "headers", "timestamp_ms")


@pytest.mark.parametrize("key", [b"acc-1", b"", None])
@pytest.mark.parametrize("headers", [[], [("nul\x00", b"\x00\xff"), ("none", None), ("\ud800", b"")]])
@pytest.mark.parametrize("timestamp", [-1, 0, 1_790_000_000_123, 2**62])
def test_a_record_comes_back_as_it_was(
    key: bytes | None, headers: list[tuple[str, bytes | None]], timestamp: int
) -> None:
    moved = rerouted(USAGE, 42, partition=7, key=key, headers=headers, timestamp_ms=timestamp)
    row = {"shard": 3, **dict(zip(COLUMNS, (column[0] for column in rerouted_columns([moved])), strict=True))}
    message = read_rerouted(row)
    assert message[:4] == (USAGE, key, moved.record.value, 7)
    assert message.headers == [*headers, (REROUTED_HEADER, b"3/42")]
    assert message.timestamp_ms == (None if timestamp < 0 else timestamp)


def test_sources_are_counted_by_name_up_to_a_number() -> None:
    metrics, woken = Metrics(), list[bool]()
    ingest = Ingest(
        MemoryEventStore(1), clock=FixedClock(), limits=Limits(partitions=1), allowance=Allowance(), metrics=metrics,
        wake_relay=lambda: woken.append(True),
    )  # fmt: skip
    moved = [Rerouted(record(USAGE, n), 1, "acc-1", f"/source/{n}") for n in range(SOURCES_COUNTED + 5)]
    batch = Batch(0, {USAGE: [], ACCOUNTS: []}, {USAGE: 0, ACCOUNTS: 0}, {USAGE: 1, ACCOUNTS: 0})
    for _ in range(2):
        ingest.note(batch, plan(*moved), Appended(0, 1, 1, 0, 0, 0, 0, 0, len(moved)))
    values = {
        sample.labels["source"]: sample.value
        for metric in metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "metering_rerouted_total"
    }
    assert values.pop(OTHER_SOURCES) == 10 and set(values.values()) == {2} and len(values) == SOURCES_COUNTED
    assert woken == [True, True]
