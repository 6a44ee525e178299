"""Top-ups: a grant each to an account of its own that is exhausted, until the account is allowed again."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

import asyncpg
from aiokafka import AIOKafkaProducer

from meter.runtime.postgres import load_sql
from schemas.topics import ACCOUNTS
from tests.bench.databases import SQL
from tests.bench.events import uuid7_text, wrap
from tests.bench.load import STRUCTURED
from tests.bench.probes import send_evenly, watch
from tests.bench.scenario import POLL_S, Scenario

TOP_UPS_PER_S = 5
EXHAUST_S = 120
MORE_THAN_FREE = '{"credits":"80","model":"sage-3-large"}'
GRANT = {"resource": "model_credits", "amount": "100", "reason": "top_up", "reference": "INV-1"}


def top_up_name(index: int) -> str:
    return f"topup-{index:06d}"


@dataclass(slots=True)
class TopUps:
    """When each account's grant was sent and when it was allowed again, on the clock of `time.perf_counter`."""

    sent: dict[str, float] = field(default_factory=dict)
    allowed: dict[str, float] = field(default_factory=dict)

    def delays_ms(self, accounts: list[str]) -> list[float]:
        return sorted((self.allowed[account] - self.sent[account]) * 1000 for account in accounts)


async def exhaust(scenario: Scenario, connection: asyncpg.Connection, accounts: list[str]) -> None:
    """Use more than the free credits of each, and wait until none is allowed anything."""
    rng = Random(time.time_ns())
    async with AIOKafkaProducer(bootstrap_servers=scenario.bench.servers.kafka.bootstrap, acks="all") as producer:
        for name in accounts:
            value = wrap("model_inference", MORE_THAN_FREE, name, datetime.now(UTC), rng).encode()
            await producer.send(scenario.usage_topic, value, key=name.encode(), headers=STRUCTURED)
    async with asyncio.timeout(EXHAUST_S):
        while True:
            if not await connection.fetch(load_sql(SQL, "find_allowed"), accounts):
                return
            await asyncio.sleep(POLL_S)


async def send_top_ups(
    producer: AIOKafkaProducer, scenario: Scenario, accounts: list[str], per_s: float, seen: TopUps
) -> None:
    rng = Random(time.time_ns())

    async def send(account: str) -> None:
        value = make_grant(account, datetime.now(UTC), rng)
        seen.sent[account] = time.perf_counter()
        await producer.send(scenario.prefix + ACCOUNTS, value, key=account.encode(), headers=STRUCTURED)

    await send_evenly(accounts, per_s, rng, send)


async def watch_top_ups(connection: asyncpg.Connection, seen: TopUps) -> None:
    await watch(connection, "find_allowed", seen.sent, seen.allowed)


def make_grant(account: str, moment: datetime, rng: Random) -> bytes:
    event = {
        "specversion": "1.0",
        "id": uuid7_text(int(moment.timestamp() * 1000), rng.getrandbits(74)),
        "source": "https://billing.example.com/support",
        "type": "credits.granted.v1",
        "subject": account,
        "time": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "datacontenttype": "application/json",
        "data": GRANT,
    }
    return json.dumps(event, separators=(",", ":")).encode()
