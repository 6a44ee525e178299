"""Clients of other languages as their users find them: whatever partitioner they have, each event counts once."""

from datetime import UTC, datetime
from typing import Any

import pytest

from meter.runtime.postgres import Pool
from meter.settings import MeterSettings
from schemas.build import encode_event, new_event_id
from schemas.topics import USAGE
from tests.support import until
from tests.support.clients import PRODUCERS, Line, produce_with
from tests.support.meter import running_meter, set_up_meter

EVENTS = 1_000
FITTING = {"java", "franz-go", "kafkajs", "kafka-go-murmur2"}  # they choose as murmur2 does: nothing travels


@pytest.fixture
async def settings(values: dict[str, Any]) -> MeterSettings:
    await set_up_meter(values)
    return MeterSettings(**values)


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
async def test_each_event_of_each_client_counts_once(settings: MeterSettings, pool: Pool, client: str) -> None:
    produce_with(client, settings, USAGE, make_lines())

    async def all_stored() -> bool:
        return bool(await pool.fetchval("SELECT count(*) >= $1 FROM meter.events", EVENTS))

    async with running_meter(settings):
        await until(all_stored, timeout_s=60)
    counted = "SELECT account_id, count(*) FROM meter.events GROUP BY 1"
    assert {row[0]: row[1] for row in await pool.fetch(counted)} == {
        f"acct-{n}": len(range(n, EVENTS, 97)) for n in range(97)
    }
    assert await pool.fetchval("SELECT count(*) FROM meter.rejections") == 0
    moved = await pool.fetchval("SELECT count(*) FROM meter.rerouted")
    assert moved == 0 if client in FITTING else moved > EVENTS / 4
