"""Ingest and end to end: events per second from Kafka to committed, by the real services on a backlog.

The clock runs from the first commit seen to the last, over the records between the two: the start of the processes is
left out, their steady work is not. A backlog so small that the first look already finds all of it is timed from the
start of the services instead.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import NamedTuple

import asyncpg

from deploy.local.services import ServiceProcess
from tests.bench.check import check_run
from tests.bench.databases import Progress, connect, read_outcomes, read_progress, sum_balances
from tests.bench.footprint import Footprint, Usage
from tests.bench.load import forget_runs
from tests.bench.scenario import Scenario
from tests.bench.services import run_services

POLL_S = 0.05  # asking costs the server something too
STALL_S = 60


class Run(NamedTuple):
    """One run. `usage` by process: of the services, Postgres and Kafka, over the measured records."""

    per_s: float
    records: int
    seconds: float
    usage: Mapping[str, Usage]

    def cpu_per_million(self) -> dict[str, float]:
        return {name: usage.cpu_s * 1e6 / self.records for name, usage in self.usage.items()}


class Clock(NamedTuple):
    """A moment of `time.perf_counter` and how many records were taken by then."""

    started: float
    taken: int


async def measure_ingest(scenario: Scenario) -> Run:
    return await measure(scenario, ())


async def measure_end_to_end(scenario: Scenario) -> Run:
    return await measure(scenario, ("projections",))


async def measure(scenario: Scenario, readers: tuple[str, ...], database: str = "run", keep: bool = False) -> Run:
    """Copy the template, let the services work off the backlog, check what they made of it."""
    bench = scenario.bench
    dsn = await bench.databases.create(database, scenario.template)
    await asyncio.to_thread(forget_runs, bench.servers.kafka.bootstrap, scenario.prefix)
    async with connect(dsn) as connection:
        before = await read_progress(connection)
        outcomes, balances = await read_outcomes(connection), await sum_balances(connection)
        since, began = datetime.now(UTC), time.perf_counter()
        goal = before.taken + scenario.expected.records
        with ExitStack() as stack:
            running = stack.enter_context(run_services(readers, scenario.settings(dsn), bench.logs))
            running["meter"] = ServiceProcess("meter", scenario.settings(dsn), bench.logs)
            running["meter"].start()
            stack.callback(running["meter"].stop)
            pids = {name: service.pid for name, service in running.items()} | bench.servers.pids()
            first = await wait_for_first(connection, before, running)
            clock = choose_clock(Clock(began, before.taken), Clock(time.perf_counter(), first.taken), goal)
            with Footprint(pids) as footprint:
                await wait_for_all(connection, goal, bool(readers), running)
                seconds = time.perf_counter() - clock.started
        await check_run(connection, scenario.expected, outcomes, since, balances if readers else None)
    if not keep:
        await bench.databases.drop(database)
    records = goal - clock.taken
    return Run(records / seconds, records, seconds, footprint.usage)


def choose_clock(began: Clock, first: Clock, goal: int) -> Clock:
    """Count from the first commit seen, unless nothing is left to count after it."""
    return first if first.taken < goal else began


async def wait_for_first(
    connection: asyncpg.Connection, before: Progress, running: Mapping[str, ServiceProcess]
) -> Progress:
    async with asyncio.timeout(STALL_S):
        while True:
            progress = await read_progress(connection)
            if progress.taken > before.taken:
                return progress
            await pause(running)


async def wait_for_all(
    connection: asyncpg.Connection, records: int, folded: bool, running: Mapping[str, ServiceProcess]
) -> None:
    """Until all records are taken and, if asked for, folded. Raises TimeoutError when nothing moves any more."""
    last, moved = None, time.monotonic()
    while True:
        progress = await read_progress(connection)
        if progress.taken >= records and (not folded or progress.folded == progress.stored):
            return
        if progress != last:
            last, moved = progress, time.monotonic()
        if time.monotonic() - moved > STALL_S:
            raise TimeoutError(f"nothing moved for {STALL_S} s: {progress}, {records} records to take")
        await pause(running)


async def pause(running: Mapping[str, ServiceProcess]) -> None:
    for service in running.values():
        service.check()
    await asyncio.sleep(POLL_S)
