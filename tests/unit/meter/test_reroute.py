"""What is sent on, and how it is counted."""

import pytest

from meter.allowance import Allowance
from meter.ingest import Ingest, UsageEnds
from meter.plan import Wait
from meter.reroute import read_rerouted
from meter.runtime.kafka import Batch
from meter.runtime.process.metrics import OTHER_SOURCES, SOURCES_COUNTED, Metrics
from meter.store.evidence import rerouted_columns, waiting_columns
from meter.store.port import Appended
from schemas.records import Limits, Rerouted
from schemas.topics import ACCOUNTS, REROUTED_HEADER, USAGE, WAITED_HEADER
from tests.contract.memory_store import MemoryEventStore
from tests.contract.rows import plan, record, rerouted
from tests.support import builders
from tests.unit.meter.test_ingest import FixedClock

COLUMNS = ("topic", "kafka_offset", "partition", "key", "value", "headers", "timestamp_ms")
HELD = ("topic", "kafka_offset", "account_id", "event_id", "reverses", "usage_end", *COLUMNS[3:], "usage_ends")


@pytest.mark.parametrize("key", [b"acc-1", b"", None])
@pytest.mark.parametrize("headers", [[], [("nul\x00", b"\x00\xff"), ("none", None), ("\ud800", b"")]])
@pytest.mark.parametrize("timestamp", [-1, 0, 1_790_000_000_123, 2**62])
def test_a_record_comes_back_as_it_was(
    key: bytes | None, headers: list[tuple[str, bytes | None]], timestamp: int
) -> None:
    moved = rerouted(USAGE, 42, partition=7, key=key, headers=headers, timestamp_ms=timestamp)
    row = {
        "shard": 3,
        "usage_end": None,
        "seen": "",
        **dict(zip(COLUMNS, (column[0] for column in rerouted_columns([moved])), strict=True)),
    }
    message = read_rerouted(row, 12)
    assert message[:4] == (USAGE, key, moved.record.value, 7)
    assert message.headers == [*headers, (REROUTED_HEADER, b"3/42/12")]
    assert message.timestamp_ms == (None if timestamp < 0 else timestamp)


def test_a_reversal_that_waited_says_where_it_was_last() -> None:
    """However often: one header, of the record before it."""
    headers = [("content-type", b"x"), (WAITED_HEADER, b"3/7")]
    held = Wait(record(ACCOUNTS, 42, headers=headers), "acc-1", "reversal-1", "request-1", 99, (99, 7))
    columns = dict(zip(HELD, (column[0] for column in waiting_columns([held])), strict=True))
    assert columns["usage_ends"] == "{99,7}"
    message = read_rerouted({"shard": 3, "partition": 3, "seen": "others", **columns}, 12)
    assert (message.topic, message.key, message.value, message.partition) == (ACCOUNTS, b"acc-1", held.record.value, 3)
    assert message.headers == [("content-type", b"x"), (WAITED_HEADER, b"3/42/others")]


def test_a_reversal_in_a_wrong_partition_has_waited_for_nothing_in_the_right_one() -> None:
    """There were fewer shards when it waited: the usage it names may have to be sent on to the same partition."""
    headers = [("content-type", b"x"), (REROUTED_HEADER, b"1/2/6"), (WAITED_HEADER, b"3/7/all")]
    moved = rerouted(ACCOUNTS, 42, partition=9, key=b"acc-1", headers=headers, timestamp_ms=0)
    columns = (column[0] for column in rerouted_columns([moved]))
    row = {"shard": 3, "usage_end": None, "seen": "", **dict(zip(COLUMNS, columns, strict=True))}
    assert read_rerouted(row, 12).headers == [("content-type", b"x"), (REROUTED_HEADER, b"3/42/12")]


def test_the_relay_is_woken_once_the_usage_is_stored() -> None:
    woken = list[bool]()
    ingest = Ingest(
        MemoryEventStore(1), clock=FixedClock(), limits=Limits(partitions=1), allowance=Allowance(), metrics=Metrics(),
        wake_relay=lambda: woken.append(True),
    )  # fmt: skip
    counts: list[int] = []
    for usage_to, waiting in (1, 1), (4, 0), (5, 0), (9, 0):
        batch = Batch(0, {USAGE: [], ACCOUNTS: []}, {USAGE: 0, ACCOUNTS: 0}, {USAGE: usage_to, ACCOUNTS: 0})
        ingest.note(batch, plan(usage_end=5), Appended(0, 1, 1, 0, 0, 0, 0, 0, 0, waiting))
        counts.append(len(woken))
    assert counts == [0, 0, 1, 1]


def test_usage_in_another_partition_wakes_the_relay_too() -> None:
    woken = list[bool]()
    ingest = Ingest(
        MemoryEventStore(2), clock=FixedClock(), limits=Limits(partitions=2), allowance=Allowance(), metrics=Metrics(),
        wake_relay=lambda: woken.append(True),
    )  # fmt: skip
    counts: list[int] = []
    for shard, usage_to, waiting in (0, 1, 1), (1, 8, 0), (1, 9, 0), (1, 10, 0):
        batch = Batch(shard, {USAGE: [], ACCOUNTS: []}, {USAGE: 0, ACCOUNTS: 0}, {USAGE: usage_to, ACCOUNTS: 0})
        ingest.note(batch, plan(usage_end=5, usage_ends=(5, 9)), Appended(0, 1, 1, 0, 0, 0, 0, 0, 0, waiting))
        counts.append(len(woken))
    assert counts == [0, 0, 1, 1]


async def test_the_ends_of_usage_are_asked_for_corrections_alone() -> None:
    asked: list[int] = []

    async def find_ends(batch: Batch) -> UsageEnds:
        asked.append(batch.shard)
        return UsageEnds(8, (8, 3))

    ingest = Ingest(
        MemoryEventStore(1), clock=FixedClock(), limits=Limits(partitions=1), allowance=Allowance(), metrics=Metrics(),
        find_ends=find_ends,
    )  # fmt: skip
    time = "2026-03-01T12:00:00Z"
    events = (
        builders.reversed_("request-1", account_id="acc-1", time=time),
        builders.opened(account_id="acc-1", time=time),
    )
    for event, end in zip(events, (8, 0), strict=True):
        value = record(ACCOUNTS, 0, key=b"acc-1", value=builders.encode(event))
        batch = Batch(0, {USAGE: [], ACCOUNTS: [value]}, {USAGE: 0, ACCOUNTS: 0}, {USAGE: 0, ACCOUNTS: 1})
        [planned] = await ingest.plan([batch])
        assert planned.rejections == () and planned.usage_end == end
        assert planned.usage_ends == ((8, 3) if end else ())
    assert asked == [0]


def test_sources_are_counted_by_name_up_to_a_number() -> None:
    metrics, woken = Metrics(), list[bool]()
    ingest = Ingest(
        MemoryEventStore(1), clock=FixedClock(), limits=Limits(partitions=1), allowance=Allowance(), metrics=metrics,
        wake_relay=lambda: woken.append(True),
    )  # fmt: skip
    moved = [Rerouted(record(USAGE, n), 1, "acc-1", f"/source/{n}") for n in range(SOURCES_COUNTED + 5)]
    batch = Batch(0, {USAGE: [], ACCOUNTS: []}, {USAGE: 0, ACCOUNTS: 0}, {USAGE: 1, ACCOUNTS: 0})
    for _ in range(2):
        ingest.note(batch, plan(*moved), Appended(0, 1, 1, 0, 0, 0, 0, 0, len(moved), 0))
    values = {
        sample.labels["source"]: sample.value
        for metric in metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "metering_rerouted_total"
    }
    assert values.pop(OTHER_SOURCES) == 10 and set(values.values()) == {2} and len(values) == SOURCES_COUNTED
    assert woken == [True, True]
