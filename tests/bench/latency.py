"""Latency under load, all services running: from a probe's send to its balance, banner event and accepted email."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import asyncpg
from aiokafka import AIOKafkaProducer

from meter.runtime.postgres import load_sql
from schemas.topics import NOTIFICATIONS
from tests.bench.check import WrongResultError
from tests.bench.databases import SQL, connect, read_progress
from tests.bench.footprint import Footprint, Usage
from tests.bench.paced import prepare_load
from tests.bench.probes import (
    Sightings,
    TimedSink,
    percentile,
    probe_name,
    send_probes,
    watch_balances,
    watch_banners,
)
from tests.bench.scenario import POLL_S, Scenario
from tests.bench.servers import PARTITIONS
from tests.bench.services import run_services
from tests.bench.timing import Stall
from tests.bench.top_ups import TopUps, exhaust, send_top_ups, top_up_name, watch_top_ups
from tests.bench.workload import Workload

PROBES_PER_S = 10
SETTLE_S = 60
SERVICES = ("notifier", "projections", "meter")


class Delays(NamedTuple):
    """Milliseconds."""

    p50: float
    p99: float
    max: float


class Level(NamedTuple):
    """One load. `late_ms` is how far the sender of the load was ever behind its load; `cores` what was busy with it.
    `delays` by place, of those where a probe was sent."""

    percent: int
    per_s: float
    probes: int
    late_ms: float
    delays: dict[str, Delays]
    usage: dict[str, Usage]
    cores: dict[str, float]


class Load(NamedTuple):
    """`percent` of the sustained rate; 0 for a rate of its own."""

    percent: int
    per_s: float
    seconds: float
    probes_per_s: float = PROBES_PER_S
    top_ups_per_s: float = 0

    @property
    def records(self) -> int:
        return int(self.per_s * self.seconds)

    @property
    def probes(self) -> int:
        return int(self.probes_per_s * self.seconds)

    @property
    def top_ups(self) -> int:
        return int(self.top_ups_per_s * self.seconds)


async def measure_latency(scenario: Scenario, loads: list[Load]) -> list[Level]:
    """`scenario` has its accounts, and one for each probe and each top-up, open. Levels follow each other on one
    database."""
    seen, granted, levels = Sightings(), TopUps(), list[Level]()
    probes, top_ups = map(probe_name, itertools.count()), map(top_up_name, itertools.count())
    sink = TimedSink(seen.email)
    sink.start()
    try:
        dsn = scenario.bench.databases.address(scenario.template)
        settings = scenario.settings(dsn) | {"smtp_host": sink.host, "smtp_port": str(sink.port)}
        with run_services(SERVICES, settings, scenario.bench.logs) as running:
            pids = {name: service.pid for name, service in running.items()} | scenario.bench.servers.pids()
            async with connect(dsn) as connection, watchers(scenario, dsn, seen, granted):
                await wait_for_notifier(connection, scenario.opened)
                await exhaust(scenario, connection, list_top_ups(loads))
                for load in loads:
                    accounts = Accounts(
                        list(itertools.islice(probes, load.probes)), list(itertools.islice(top_ups, load.top_ups))
                    )
                    levels.append(await measure_level(scenario, connection, load, accounts, seen, granted, pids))
    finally:
        sink.close()
    return levels


class Accounts(NamedTuple):
    """Those of one level, each used once."""

    probes: list[str]
    top_ups: list[str]


def list_probes(loads: Sequence[Load]) -> list[str]:
    """The accounts that must be open for the probes of these loads."""
    return [probe_name(index) for index in range(sum(load.probes for load in loads))]


def list_top_ups(loads: Sequence[Load]) -> list[str]:
    """And those for their top-ups."""
    return [top_up_name(index) for index in range(sum(load.top_ups for load in loads))]


async def measure_level(
    scenario: Scenario,
    connection: asyncpg.Connection,
    load: Load,
    accounts: Accounts,
    seen: Sightings,
    granted: TopUps,
    pids: dict[str, int],
) -> Level:
    if load.records == 0:
        return await measure_rest(load, pids)
    bootstrap = scenario.bench.servers.kafka.bootstrap
    seed = 1000 + load.percent + int(load.per_s)
    workload = Workload(load.records, scenario.accounts, seed=seed, start=now(), span=timedelta(seconds=load.seconds))
    before = await read_progress(connection)
    with prepare_load(bootstrap, scenario.usage_topic, workload, load.per_s) as paced:
        with Footprint(pids, sample_s=None) as footprint:
            async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=0) as producer:
                paced.start()
                await asyncio.gather(
                    send_probes(producer, scenario.usage_topic, accounts.probes, load.probes_per_s, seen),
                    send_top_ups(producer, scenario, accounts.top_ups, load.top_ups_per_s, granted),
                )
                sent = await asyncio.to_thread(paced.finish)
        await settle(connection, before.taken + load.records + load.probes + load.top_ups, seen, granted)
    delays = find_delays(accounts, seen, granted)
    per_s, late_ms = load.records / sent.seconds, sent.late_s * 1000
    return Level(load.percent, per_s, load.probes, late_ms, delays, footprint.usage, busy_cores(footprint))


def find_delays(accounts: Accounts, seen: Sightings, granted: TopUps) -> dict[str, Delays]:
    delays = {}
    if accounts.probes:
        delays = {place: to_delays(seen.delays_ms(place, accounts.probes)) for place in seen.places()}
    if accounts.top_ups:
        delays["allowed"] = to_delays(granted.delays_ms(accounts.top_ups))
    return delays


async def measure_rest(load: Load, pids: dict[str, int]) -> Level:
    """What everything costs while no event comes."""
    with Footprint(pids, sample_s=None) as footprint:
        await asyncio.sleep(load.seconds)  # the time is what is measured over
    return Level(load.percent, 0, 0, 0, {}, footprint.usage, busy_cores(footprint))


def busy_cores(footprint: Footprint) -> dict[str, float]:
    return {name: usage.cpu_s / footprint.seconds for name, usage in footprint.usage.items()}


async def settle(connection: asyncpg.Connection, taken: int, seen: Sightings, granted: TopUps) -> None:
    """Wait until every record is folded and every probe and top-up seen; one that never arrives is an error."""

    def unseen() -> dict[str, int]:
        return {**seen.unseen(), "allowed": len(granted.sent.keys() - granted.allowed.keys())}

    try:
        async with asyncio.timeout(SETTLE_S):
            while True:
                progress = await read_progress(connection)
                if progress.taken >= taken and progress.folded == progress.stored and not any(unseen().values()):
                    return
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise WrongResultError(f"after {SETTLE_S} s probes are unseen: {unseen()}; {progress}") from None


@asynccontextmanager
async def watchers(scenario: Scenario, dsn: str, seen: Sightings, granted: TopUps) -> AsyncIterator[None]:
    ready = asyncio.Event()
    topic = scenario.prefix + NOTIFICATIONS
    async with connect(dsn) as connection, connect(dsn) as other:
        for each in (connection, other):
            await each.execute("SET plan_cache_mode = force_generic_plan")  # else each look is planned anew
        tasks = [
            asyncio.create_task(watch_top_ups(other, granted)),
            asyncio.create_task(watch_balances(connection, seen)),
            asyncio.create_task(watch_banners(scenario.bench.servers.kafka.bootstrap, topic, PARTITIONS, seen, ready)),
        ]
        try:
            await ready.wait()
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def wait_for_notifier(connection: asyncpg.Connection, accounts: int) -> None:
    """Until it has read the opening of all accounts: that is a backlog of its own, not the load."""
    stall = Stall()
    while (known := await connection.fetchval(load_sql(SQL, "count_known_accounts"))) < accounts:
        stall.note(known, f"{accounts} accounts to know")
        await asyncio.sleep(POLL_S)


def to_delays(ordered: list[float]) -> Delays:
    return Delays(percentile(ordered, 0.5), percentile(ordered, 0.99), ordered[-1])


def now() -> datetime:
    return datetime.now(UTC)
