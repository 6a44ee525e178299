"""The Go peer judges records as the meter does: what is accepted, under which identity, and what only looks alike."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.local.child import Child, UnavailableError
from meter.runtime.postgres import Pool
from meter.settings import MeterSettings
from schemas.parsing.parse import Accepted, Limits, Record, parse
from schemas.records import Outcome
from schemas.topics import USAGE, partition_for
from tests.bench.go_peer import make_schema
from tests.bench.load import STRUCTURED, Sink
from tests.bench.programs import build_go_peer
from tests.support import until
from tests.support.meter import set_up_meter

UUID = "0193a1f2-7c00-7000-8000-000000000001"
LIMITS = Limits(max_ahead=timedelta(hours=1), partitions=3)


def make(id: str, credits: object = "1", *, account: str = "acct-1", source: str = "/s", **more: object) -> bytes:
    data = {"credits": credits, "model": more.pop("model", "swift-1")}
    time = datetime.now(UTC).isoformat()
    event = {"specversion": "1.0", "id": id, "source": source, "type": "usage.model_inference.v1", "subject": account}
    return json.dumps({**event, "time": time, "data": data, **more}).encode()


RECORDS = [
    make(UUID),
    make(UUID.upper(), "1.0000000"),  # a UUID in any case is one id
    make(UUID, "2"),
    make(UUID, source="/t"),
    make(UUID, account="acct-2"),
    make("text id", "0.5", traceparent="00-1"),
    make("text id", 0.5),
    make("text id", "0.5", model="other"),
    make("00000000-0000-7000-8000-000000000001"),  # treated as a text
    make("exact", "12.5000000"),
    *(make(f"wrong-{text}", text) for text in ("0.0000001", "1e3", ".", "1.", "-1", "", None)),
    make("blank", model=" "),
    b"[]",
    b"{",
]
DUPLICATES, REUSED = 2, 2


def judge(value: bytes, offset: int) -> Outcome:
    account = account_of(value)
    record = Record(USAGE, partition_for(account, 3), offset, 0, account, value, STRUCTURED)
    return parse(record, datetime.now(UTC), LIMITS)


def account_of(value: bytes) -> bytes:
    return b"acct-2" if b"acct-2" in value else b"acct-1"


@pytest.mark.needs_kafka("a broker that franz-go speaks to")
@pytest.mark.parametrize("batch", [1, 10_000])
async def test_records_become_what_the_meter_makes_of_them(
    values: dict[str, Any], pool: Pool, tmp_path: Path, batch: int
) -> None:
    await set_up_meter(values)
    settings = MeterSettings(**values)
    topic = settings.topic(USAGE)
    peer = make_peer(settings, topic, batch, tmp_path)
    sink = Sink(settings.kafka_bootstrap, topic)
    for value in RECORDS:
        sink.send(account_of(value), value)
    sink.flush()

    async def all_taken() -> bool:
        return bool(await pool.fetchval("SELECT sum(usage_offset) = $1 FROM peer.shards", len(RECORDS)))

    peer.spawn()
    try:
        await until(all_taken, timeout_s=60, message=peer.log_tail)
    finally:
        peer.stop()
    accepted = [event for number, value in enumerate(RECORDS) if isinstance(event := judge(value, number), Accepted)]
    wanted: dict[bytes, tuple[Any, ...]] = {}
    for event in accepted:
        wanted.setdefault(event.key, (event.account_id, event.amount, event.name, event.source))
    stored = await pool.fetch("SELECT event_key, account_id, amount, name, source FROM peer.events")
    assert {row["event_key"]: tuple(row)[1:] for row in stored} == wanted
    assert len(accepted) == len(wanted) + DUPLICATES + REUSED
    assert await pool.fetchval("SELECT count(*) FROM peer.duplicates") == DUPLICATES
    assert await pool.fetchval("SELECT count(*) FROM peer.rejections WHERE reason = 'id_reused'") == REUSED
    assert await pool.fetchval("SELECT count(*) FROM peer.rejections") == len(RECORDS) - len(accepted) + REUSED


def make_peer(settings: MeterSettings, topic: str, batch: int, logs: Path) -> Child:
    try:
        program = str(build_go_peer())
    except UnavailableError as why:
        pytest.skip(str(why))
    arguments = ["-dsn", settings.postgres_dsn, "-bootstrap", settings.kafka_bootstrap, "-topic", topic]
    arguments += ["-partitions", str(settings.partitions), "-batch", str(batch)]
    make_schema([program, "setup", *arguments])
    return Child("go_peer", [program, "run", *arguments], logs, keeps=True)
