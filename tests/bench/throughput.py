"""Ingest, end to end, all services: events per second from Kafka to committed, by the real services on a backlog."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

import asyncpg

from deploy.local.mail import MailSink
from deploy.local.services import ServiceProcess
from tests.bench.check import check_notices, check_run, check_usage
from tests.bench.databases import (
    WholeProgress,
    connect,
    read_outcomes,
    read_progress,
    read_whole_progress,
    sum_balances,
)
from tests.bench.load import forget_runs
from tests.bench.notices import expected_notices
from tests.bench.scenario import Scenario, skip_changes
from tests.bench.services import run_services
from tests.bench.timing import Clock, Run, Seen, time_run

IN_PYTHON: Final = {"compiled": "false"}
TRIES: Final = 3
NO_SETTINGS: Final[Mapping[str, str]] = MappingProxyType({})


async def measure_ingest(scenario: Scenario) -> Run:
    return await measure(scenario, ())


async def measure_ingest_in_python(scenario: Scenario) -> Run:
    """The meter without the compiled part."""
    return await measure(scenario, (), more=IN_PYTHON)


async def measure_ingest_by_two(scenario: Scenario) -> Run:
    """Two processes, which share the partitions: one has at most one core to read and to plan with.

    A run before which one of them came too late to the group is taken again, but not for ever: a short backlog is done
    before the second one is there.
    """
    for left in reversed(range(TRIES)):
        run = await measure(scenario, (), meters=2)
        less, more = sorted(usage.cpu_s for name, usage in run.usage.items() if name.startswith("meter"))
        if less > more / 2 or not left:
            break
    return run


async def measure_end_to_end(scenario: Scenario) -> Run:
    return await measure(scenario, ("projections",))


async def measure_until_usage(scenario: Scenario) -> Run:
    """Until balances and usage are there."""
    return await measure(scenario, ("projections",), usage=True)


async def measure_all_services(scenario: Scenario) -> Run:
    """Until balances, usage and notices are there. The notifier must know the accounts: `introduce_accounts`."""
    with mail_sink() as smtp:
        return await measure(scenario, ("notifier", "projections"), smtp=smtp)


async def measure(
    scenario: Scenario,
    readers: tuple[str, ...],
    database: str = "run",
    keep: bool = False,
    smtp: Mapping[str, str] | None = None,
    more: Mapping[str, str] = NO_SETTINGS,
    usage: bool = False,
    meters: int = 1,
) -> Run:
    """Copy the template, let the services work off the backlog, check what they made of it.

    `more`: settings of this run; `usage`: it ends when usage is there too, as it always does with a mail server;
    `meters`: processes of the meter.
    """
    bench, whole = scenario.bench, smtp is not None
    dsn = await bench.databases.create(database, scenario.template)
    settings = scenario.settings(dsn) | dict(smtp or {}) | dict(more)
    await asyncio.to_thread(forget_runs, bench.servers.kafka.bootstrap, scenario.prefix)
    async with connect(dsn) as connection:
        if whole:
            await skip_changes(scenario, connection)
        before = await read_progress(connection)
        outcomes, balances = await read_outcomes(connection), await sum_balances(connection)
        since, began = datetime.now(UTC), Clock(time.perf_counter(), before.taken)
        look = choose_look(scenario, connection, readers, usage)
        with started(scenario, readers, settings, meters) as running:
            pids = {name: service.pid for name, service in running.items()} | bench.servers.pids()
            goal = before.taken + scenario.expected.records
            run = await time_run(began, goal, look, pids, lambda: check_running(running))
        await check_run(connection, scenario.expected, outcomes, since, balances if readers else None)
        if whole or usage:
            await check_usage(connection, scenario.expected)
        if whole:
            await check_notices(connection, scenario.expected)
    if not keep:
        await bench.databases.drop(database)
    return run


@contextmanager
def started(
    scenario: Scenario, readers: tuple[str, ...], settings: Mapping[str, str], meters: int = 1
) -> Iterator[dict[str, ServiceProcess]]:
    """The readers are ready before the meter starts, each process of which has its log in a folder of its own."""
    logs = scenario.bench.logs
    with ExitStack() as stack:
        running = stack.enter_context(run_services(readers, settings, logs))
        for number in range(1, meters + 1):
            name, folder = ("meter", logs) if number == 1 else (f"meter_{number}", logs / f"meter_{number}")
            folder.mkdir(exist_ok=True)
            running[name] = ServiceProcess("meter", settings, folder)
            running[name].start()
            stack.callback(running[name].stop)
        yield running


def check_running(running: Mapping[str, ServiceProcess]) -> None:
    for service in running.values():
        service.check()


def choose_look(
    scenario: Scenario, connection: asyncpg.Connection, readers: tuple[str, ...], usage: bool
) -> Callable[[], Awaitable[Seen]]:
    """How far the run is: with the notifier until everything is there that follows from the log."""
    notices = len(expected_notices(scenario.expected)) if "notifier" in readers else 0

    async def look() -> Seen:
        progress = await read_progress(connection)
        return Seen(progress.taken, progress.stored - progress.folded if readers else 0)

    async def look_at_all() -> Seen:
        return see(await read_whole_progress(connection), notices)

    return look_at_all if usage or "notifier" in readers else look


def see(whole: WholeProgress, notices: int) -> Seen:
    """How far all services are; `notices`: how many there must be."""
    return Seen(whole.taken, whole.behind + max(notices - whole.notices, 0))


@contextmanager
def mail_sink() -> Iterator[dict[str, str]]:
    """A mail server that takes every letter; yields the settings that lead to it."""
    sink = MailSink()
    sink.start()
    try:
        yield {"smtp_host": sink.host, "smtp_port": str(sink.port)}
    finally:
        sink.close()
