"""An open transaction on an input partition: what is not read shows as lag, and readiness says why."""

import json
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer

from meter.client import UsageProducer
from meter.runtime import lag_watch
from meter.runtime.postgres import Pool
from meter.runtime.settings import Settings
from schemas.topics import USAGE, partition_for
from tests.support import until
from tests.support.meter import set_up_meter
from tests.support.processes import Processes, ServiceProcess

TIMEOUT_S = 60
ACCOUNT = "acct-1"


@pytest.fixture
async def stranger(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that begins a transaction."""
    made = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, transactional_id=settings.topic("stranger"))
    await made.start()
    yield made
    await made.stop()


def faults(service: ServiceProcess) -> dict[str, str]:
    status, body = service.get("/readyz")
    found: dict[str, str] = json.loads(body)["faults"] if body.startswith("{") else {}
    assert bool(found) == (status == 503)
    return found


@pytest.mark.needs_kafka("transactions")
async def test_an_open_transaction_is_lag_and_named_until_it_ends(
    pool: Pool, values: dict[str, object], settings: Settings, processes: Processes, stranger: AIOKafkaProducer
) -> None:
    """Lag was 0 and /readyz said ready, while the shard stood still."""
    await set_up_meter(values)
    shard = partition_for(ACCOUNT.encode(), settings.partitions)
    service = processes.start("meter", stall_s="5", kafka_publish_timeout_s="4")
    await stranger.begin_transaction()
    await stranger.send_and_wait(settings.topic(USAGE), b"{}", key=ACCOUNT.encode(), partition=shard)
    async with UsageProducer(settings, source="/tests/gateway") as usage:
        await usage.model_inference(ACCOUNT, credits="1", model="small-chat")
        await usage.flush()
    await until(lambda: faults(service), timeout_s=TIMEOUT_S, message="readiness names nothing")
    reason = faults(service)[f"{USAGE} {shard}"]
    assert f"an open transaction holds back 2 records of {USAGE}, partition {shard}, from offset 0 on" in reason
    metrics = service.get("/metrics")[1]
    assert f'metering_lag_records{{shard="{shard}"}} 2.0' in metrics
    [seconds] = [line for line in metrics.splitlines() if line.startswith(f'metering_lag_seconds{{shard="{shard}"}}')]
    assert float(seconds.split()[1]) >= lag_watch.HELD_BACK_S
    assert 'metering_waiting{work="append"} 0.0' in metrics  # else the process would end after `stall_s`, in vain
    assert service.running
    assert await pool.fetchval("SELECT count(*) FROM meter.events") == 0
    assert service.logged("partition_held_back")

    await stranger.abort_transaction()
    await until(lambda: service.get("/readyz")[0] == 200, timeout_s=TIMEOUT_S, message="not ready again")

    async def is_stored() -> bool:
        return bool(await pool.fetchval("SELECT count(*) FROM meter.events") == 1)

    await until(is_stored, timeout_s=TIMEOUT_S, message="the honest event is not stored")
    none = f'metering_lag_records{{shard="{shard}"}} 0.0'
    await until(lambda: none in service.get("/metrics")[1], timeout_s=TIMEOUT_S, message="lag is left")
