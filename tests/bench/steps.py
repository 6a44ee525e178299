"""Processor time of each step of the meter for one event, in one process and without servers.

Events in the order of our own client and in that of other libraries take turns, and the medians count: so a busy moment
of the machine meets all alike. Of what Kafka and Postgres cost it says nothing.
"""

import gc
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from itertools import product
from random import Random
from statistics import median
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from meter.allowance import Allowance
from meter.plan import plan_append
from meter.runtime.kafka.adapter.batches import FetchedBatches
from meter.runtime.kafka.adapter.patches import patch_aiokafka
from meter.runtime.kafka.adapter.record_objects import AsRead
from meter.runtime.kafka.partition_buffer import PartitionBuffer
from meter.store.layout import encode_rows, rows_of
from schemas.compiled import NATIVE
from schemas.parsing.parse import parse_rows
from schemas.records import Limits
from schemas.topics import ACCOUNTS, USAGE
from tests.bench.events import Message, account_name, make_event, rearrange
from tests.bench.load import STRUCTURED

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
BATCH_RECORDS: Final = 700  # of one record batch: 256 KiB
LZ4: Final = 3
ORDERS: Final = ("own order", "other order")


class Timed(NamedTuple):
    """Microseconds of an event by step."""

    fetch: float
    buffer: float
    parse: float
    plan: float
    encode: float
    hash: float


def measure_steps(records: int, rounds: int) -> dict[str, dict[str, float]]:
    """The median of each step, by order of the attributes, in Python and, where it is installed, compiled."""
    patch_aiokafka()
    own = make_messages(records)
    packed = {name: pack(messages) for name, messages in zip(ORDERS, (own, list(map(rearrange, own))), strict=True)}
    found: dict[str, list[Timed]] = {}
    used = NATIVE.module is not None
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for order, compiled in product(ORDERS, (False, True) if used else (False,)):
                NATIVE.use(compiled)
                name = f"{order}, compiled" if compiled else order
                found.setdefault(name, []).append(run_once(packed[order], records))
    finally:
        NATIVE.use(used)
        gc.enable()
    return {
        name: dict(zip(Timed._fields, map(median, zip(*runs, strict=True)), strict=True))
        for name, runs in found.items()
    }


def make_messages(records: int) -> list[Message]:
    rng = Random(7)
    return [make_event(account_name(int(rng.paretovariate(1)) % 10_000), NOW, rng)[1] for _ in range(records)]


def pack(messages: list[Message]) -> bytes:
    """Record batches of one partition, as a broker hands them out."""
    packed = bytearray()
    for first in range(0, len(messages), BATCH_RECORDS):
        builder = DefaultRecordBatchBuilder(2, LZ4, False, -1, -1, -1, 1 << 20)
        for delta, message in enumerate(messages[first : first + BATCH_RECORDS]):
            builder.append(delta, 1_700_000_000_000, message.key, message.value, STRUCTURED)
        batch = bytearray(builder.build())
        batch[:8] = first.to_bytes(8)
        packed += batch
    return bytes(packed)


def run_once(packed: bytes, records: int) -> Timed:
    taken: dict[str, float] = {}

    def timed(step: str, work: Callable[[], Any]) -> Any:
        started = time.process_time()
        made = work()
        taken[step] = (time.process_time() - started) / records * 1e6
        return made

    raw = timed("fetch", lambda: fetch(packed))
    read = timed("buffer", lambda: buffer(raw))
    parsed = timed("parse", lambda: parse_rows(read, NOW, Limits(partitions=1)))
    if len(parsed.events) != records:
        raise AssertionError("an event of the benchmark was not accepted")
    batch: Mapping[str, Any] = {
        "shard": 0,
        "records": {USAGE: read},
        "results": {USAGE: parsed},
        "start": {USAGE: 0, ACCOUNTS: 0},
        "end": {USAGE: records, ACCOUNTS: 0},
    }
    planned = timed("plan", lambda: plan_append(**batch, recorded_at=NOW, allowance=Allowance()))
    stream = timed("encode", lambda: encode_rows(planned.rows, 0, 1, NOW))
    timed("hash", lambda: sha256(rows_of(stream)).digest())
    return Timed(**taken)


def fetch(packed: bytes) -> list[Any]:
    partition = TopicPartition(USAGE, 0)
    source = PartitionRecords(partition, FetchedBatches(packed), [], 0, AsRead(), None, True, 0)
    state = SimpleNamespace(paused=False, position=0, consumed_to=lambda _offset: None)
    assignment = SimpleNamespace(active=True, state_value=lambda _partition: state)
    found: list[Any] = FetchResult(partition, assignment=assignment, partition_records=source, backoff=0).getall()
    return found


def buffer(raw: list[Any]) -> list[Any]:
    held = PartitionBuffer(USAGE, 0, 0)
    held.offer(raw, len(raw))
    return held.take(len(raw), 1 << 40)
