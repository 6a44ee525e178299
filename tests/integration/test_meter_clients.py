"""Clients of other languages as their users find them: whatever partitioner they have, each event counts once."""

from datetime import UTC, datetime

import pytest

from meter.runtime.postgres import Pool
from meter.settings import MeterSettings
from schemas.build import encode_event, new_event_id
from schemas.topics import USAGE
from tests.integration.test_meter_faults import in_group
from tests.support import until
from tests.support.clients import PRODUCERS, Line, produce_with
from tests.support.meter import running_meter, wait_until_stored
from tests.support.processes import Processes

EVENTS = 1_000
FITTING = {
    "java",
    "franz-go",
    "kafkajs",
    "kafka-go-murmur2",
    "librdkafka-murmur2",
    "sarama-murmur2",
}  # they choose as murmur2 does: nothing travels
BETWEEN_STORING_AND_SENDING = ["outbox_before_publish", "outbox_between_publish_and_delete"]
SESSION_MS = "6000"  # the least that Kafka allows by default: the second victim waits until the first is given up
VICTIM_TIMEOUT_S = 60


def make_lines() -> list[Line]:
    def value(account: str) -> bytes:
        moment = datetime.now(UTC)
        return encode_event(
            "usage.tool_run.v1", account, {"tool": "search"}, event_id=new_event_id(), time=moment, source="/example"
        )

    accounts = [f"acct-{number % 97}" for number in range(EVENTS)]
    return [(account, value(account)) for account in accounts]


@pytest.mark.xdist_group("clients")
@pytest.mark.needs_kafka("a broker that every client speaks to")
@pytest.mark.parametrize("client", PRODUCERS)
async def test_each_event_of_each_client_counts_once(
    processes: Processes, meter_settings: MeterSettings, pool: Pool, client: str
) -> None:
    """The meter dies between storing records and having sent them on, and once more between sending and forgetting: at
    the first of what it sends on, which may be all of it at once."""
    produce_with(client, meter_settings, USAGE, make_lines())
    for point in ["after_commit"] if client in FITTING else BETWEEN_STORING_AND_SENDING:
        victim = processes.spawn(
            "meter", batch_events="50", kafka_session_ms=SESSION_MS, fault_points=f"{point}:1:kill"
        )
        assert victim.wait(VICTIM_TIMEOUT_S) == -9, victim.output()

    async def all_stored() -> bool:
        return bool(await pool.fetchval("SELECT count(*) >= $1 FROM meter.events", EVENTS))

    async with running_meter(in_group(meter_settings, "successor")):
        await until(all_stored, timeout_s=60)
        await wait_until_stored(pool, meter_settings)
    await check_counted(pool)
    moved = await pool.fetchval("SELECT count(*) FROM meter.rerouted")
    assert moved == 0 if client in FITTING else moved > EVENTS / 4


async def check_counted(pool: Pool) -> None:
    counted = "SELECT account_id, count(*) FROM meter.events GROUP BY 1"
    assert {row[0]: row[1] for row in await pool.fetch(counted)} == {
        f"acct-{n}": len(range(n, EVENTS, 97)) for n in range(97)
    }
    for table in ("rejections", "outbox"):
        assert await pool.fetchval(f"SELECT count(*) FROM meter.{table}") == 0
