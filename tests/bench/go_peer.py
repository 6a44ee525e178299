"""A plain consumer in Go with the guarantees of the meter, over the same backlog: `tests/bench/peers/go`."""

import asyncio
import subprocess
import time
from pathlib import Path

import asyncpg

from deploy.local.child import Child
from meter.runtime.postgres import load_sql
from tests.bench.check import WrongResultError, check_notices, check_used
from tests.bench.databases import SQL, connect, fetch_one, to_used
from tests.bench.scenario import Scenario
from tests.bench.servers import PARTITIONS
from tests.bench.timing import Clock, Run, Seen, time_run
from tests.bench.workload import Expected

SETUP_TIMEOUT_S = 300
NAME = "go_peer"


async def measure_go_peer(scenario: Scenario, program: Path, *, fold: bool) -> Run:
    """Ingest alone, or with balances, usage and notices in the same transaction."""
    bench = scenario.bench
    dsn = await bench.databases.create("run", scenario.template)
    addresses = ["-dsn", dsn, "-bootstrap", bench.servers.kafka.bootstrap]
    arguments = [*addresses, "-topic", scenario.usage_topic, "-partitions", str(PARTITIONS)]
    await asyncio.to_thread(make_schema, [str(program), "setup", *arguments])
    async with connect(dsn) as connection:
        run = await run_program(scenario, connection, [str(program), "run", *arguments, *(["-fold"] if fold else [])])
        await check_peer(connection, scenario.expected, fold=fold)
    await bench.databases.drop("run")
    return run


def make_schema(command: list[str]) -> None:
    subprocess.run(command, check=True, timeout=SETUP_TIMEOUT_S)


async def run_program(scenario: Scenario, connection: asyncpg.Connection, command: list[str]) -> Run:
    bench = scenario.bench

    async def look() -> Seen:
        return Seen(await connection.fetchval(load_sql(SQL, "read_peer_progress")), 0)

    await connection.execute("CHECKPOINT")
    peer = Child(NAME, command, bench.logs, keeps=True)
    began = Clock(time.perf_counter(), 0)
    peer.spawn()
    try:
        pids = {NAME: peer.pid} | bench.servers.pids()
        return await time_run(began, scenario.expected.records, look, pids, lambda: check_alive(peer))
    finally:
        await asyncio.to_thread(peer.stop)


def check_alive(peer: Child) -> None:
    if not peer.running:
        raise WrongResultError(f"{peer.name} ended with code {peer.exit_code}:\n{peer.log_tail()}")


async def check_peer(connection: asyncpg.Connection, expected: Expected, *, fold: bool) -> None:
    """To the micro-unit, as our own runs are."""
    found = tuple(await fetch_one(connection, "read_peer_outcomes"))
    wanted = (expected.events, expected.duplicates, expected.rejected) * 2
    if found != wanted:
        raise WrongResultError(f"of {expected.records} records the Go peer made {found} instead of {wanted}")
    check_used(expected, to_used(await connection.fetch(load_sql(SQL, "sum_peer_events"))), "the Go peer's events")
    if fold:
        for what in ("balances", "usage"):
            found_here = to_used(await connection.fetch(load_sql(SQL, f"sum_peer_{what}")))
            check_used(expected, found_here, f"the Go peer's {what}")
        await check_notices(connection, expected, "list_peer_notices")
