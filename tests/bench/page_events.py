"""From an event to a page: how long after the producer's send the stream of an open page has the new figures."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import httpx
from aiokafka import AIOKafkaProducer

from deploy.local.ports import free_port
from tests.bench.latency import SETTLE_S, Delays, Load, now, to_delays
from tests.bench.paced import prepare_load
from tests.bench.pages import NO_LIMIT
from tests.bench.probes import Sightings, send_probes
from tests.bench.scenario import Scenario
from tests.bench.services import run_services
from tests.bench.workload import Workload

SERVICES = ("projections", "meter", "console")


async def measure_event_to_page(scenario: Scenario, load: Load, probes: Sequence[str]) -> Delays:
    """A page is open for each probe's account before its event is sent."""
    port = str(free_port())
    settings = scenario.settings(scenario.bench.databases.address(scenario.template))
    with run_services(SERVICES, settings | {"console_port": port, "console_requests": "1000000"}, scenario.bench.logs):
        seen = Sightings()
        async with open_pages(f"http://127.0.0.1:{port}", probes) as shown:
            await send(scenario, load, list(probes), seen)
            async with asyncio.timeout(SETTLE_S):
                await shown.whole.wait()
    return to_delays(sorted((shown.at[probe] - seen.sent[probe]) * 1000 for probe in probes))


async def send(scenario: Scenario, load: Load, probes: list[str], seen: Sightings) -> None:
    bootstrap = scenario.bench.servers.kafka.bootstrap
    span = timedelta(seconds=load.seconds)
    workload = Workload(load.records, scenario.accounts, seed=2000, start=now(), span=span)
    with prepare_load(bootstrap, scenario.usage_topic, workload, load.per_s) as paced:
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=0) as producer:
            paced.start()
            await send_probes(producer, scenario.usage_topic, probes, load.probes_per_s, seen)
            await asyncio.to_thread(paced.finish)


@dataclass(slots=True)
class Shown:
    """When each account's page first had figures above nothing, on the clock of `time.perf_counter`."""

    accounts: int
    at: dict[str, float] = field(default_factory=dict)
    whole: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, account: str) -> None:
        self.at.setdefault(account, time.perf_counter())
        if len(self.at) == self.accounts:
            self.whole.set()


@asynccontextmanager
async def open_pages(address: str, accounts: Sequence[str]) -> AsyncIterator[Shown]:
    """Yields once each page has its first state."""
    shown = Shown(len(accounts))
    ready = [asyncio.Event() for _ in accounts]
    async with httpx.AsyncClient(base_url=address, timeout=SETTLE_S, limits=NO_LIMIT) as client:
        pages = zip(accounts, ready, strict=True)
        tasks = [asyncio.create_task(watch_page(client, account, shown, one)) for account, one in pages]
        try:
            async with asyncio.timeout(SETTLE_S):
                for one in ready:
                    await one.wait()
            yield shown
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def watch_page(client: httpx.AsyncClient, account: str, shown: Shown, ready: asyncio.Event) -> None:
    async with client.stream("GET", f"/v1/accounts/{account}/live") as reply:
        reply.raise_for_status()
        async for line in reply.aiter_lines():
            if not line.startswith("data:"):
                continue
            ready.set()
            if any(float(share["consumed"]) > 0 for share in json.loads(line[5:])["resources"]):
                shown.note(account)
