"""Probes: an event each that takes an account of its own past half of its credits, seen at three places.

Each account is used once: its balance is then above zero, its banner at 50 % raised, its email at 50 % on the way.
"""

import asyncio
import itertools
import json
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.local.mail import Mail, MailSink
from meter.runtime.postgres import load_sql
from tests.bench.databases import SQL
from tests.bench.events import wrap
from tests.bench.load import STRUCTURED

LOOK_S = 0.005  # looking costs both sides; the delays are measured this late at most
DATA = '{"credits":"40.000000","model":"sage-3-large","deployment":"eu-west-1","input_tokens":4000,"output_tokens":900}'


def probe_name(index: int) -> str:
    return f"probe-{index:06d}"


@dataclass(slots=True)
class Sightings:
    """When each account's event was sent and seen, on the clock of `time.perf_counter`."""

    sent: dict[str, float] = field(default_factory=dict)
    balance: dict[str, float] = field(default_factory=dict)
    banner: dict[str, float] = field(default_factory=dict)
    email: dict[str, float] = field(default_factory=dict)

    def places(self) -> dict[str, dict[str, float]]:
        return {"balance": self.balance, "banner": self.banner, "email": self.email}

    def unseen(self) -> dict[str, int]:
        """How many of the probes sent are not seen yet, by place."""
        return {place: len(self.sent.keys() - seen.keys()) for place, seen in self.places().items()}

    def delays_ms(self, place: str, accounts: Iterable[str]) -> list[float]:
        seen = self.places()[place]
        return sorted((seen[account] - self.sent[account]) * 1000 for account in accounts)


class TimedSink(MailSink):
    """A mail sink that notes when it accepted each recipient's mail."""

    def __init__(self, seen: dict[str, float]) -> None:
        super().__init__()
        self._seen = seen

    def keep(self, mail: Mail) -> None:
        for recipient in mail.recipients:
            self._seen.setdefault(recipient.partition("@")[0], time.perf_counter())


async def send_probes(
    producer: AIOKafkaProducer, topic: str, accounts: list[str], per_s: float, seen: Sightings
) -> None:
    """Evenly, with a little jitter so that they do not march in step with any loop of the services."""
    rng = Random(time.time_ns())

    async def send(account: str) -> None:
        value = wrap("model_inference", DATA, account, datetime.now(UTC), rng).encode()
        seen.sent[account] = time.perf_counter()
        await producer.send(topic, value, key=account.encode(), headers=STRUCTURED)

    await send_evenly(accounts, per_s, rng, send)


async def send_evenly(accounts: list[str], per_s: float, rng: Random, send: Callable[[str], Awaitable[None]]) -> None:
    started = time.perf_counter()
    for number, account in enumerate(accounts):
        due = started + (number + rng.random()) / per_s
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        await send(account)


async def watch_balances(connection: asyncpg.Connection, seen: Sightings) -> None:
    await watch(connection, "find_seen_probes", seen.sent, seen.balance)


async def watch(
    connection: asyncpg.Connection, statement_name: str, sent: Mapping[str, float], arrived_at: dict[str, float]
) -> None:
    """Ask again and again which of the accounts that were sent to show it; for ever."""
    statement = load_sql(SQL, statement_name)
    looked, pending = 0, set[str]()
    while True:
        # Only what was sent since the last look: going through all that ever was takes from what is measured.
        pending.update(itertools.islice(sent, looked, None))
        looked = len(sent)
        if pending:
            rows = await connection.fetch(statement, list(pending))
            now = time.perf_counter()
            arrived = {row["account_id"] for row in rows}
            arrived_at.update(dict.fromkeys(arrived, now))
            pending -= arrived
        await asyncio.sleep(LOOK_S)


async def watch_banners(bootstrap: str, topic: str, partitions: int, seen: Sightings, ready: asyncio.Event) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="latest")
    await consumer.start()
    try:
        assigned = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(assigned)
        await consumer.seek_to_end()
        ready.set()
        async for record in consumer:
            if record.key.startswith(b"probe-") and json.loads(record.value)["type"].startswith("banner.raised"):
                seen.banner.setdefault(record.key.decode(), time.perf_counter())
    finally:
        await consumer.stop()


def percentile(ordered: list[float], share: float) -> float:
    """The smallest value that so large a share is at or below."""
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]
