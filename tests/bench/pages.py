"""What pages cost: the summary among very many accounts, a year of one large account, and a thousand pages kept live.

The read models are written straight into the tables, as the folds would have left them. Requests go over HTTP to
`projections console`, a process of its own, one after the other.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median
from typing import Final, NamedTuple

import asyncpg
import httpx
import psutil

from deploy.local.ports import free_port
from meter.runtime.postgres import create_pool, load_sql
from projections.store_usage import USAGE
from projections.sums import SumStore
from tests.bench.databases import SQL, connect
from tests.bench.footprint import MEBIBYTE, Footprint, memory
from tests.bench.load import delete_topics
from tests.bench.probes import percentile
from tests.bench.scenario import Bench, Scenario
from tests.bench.servers import PARTITIONS
from tests.bench.services import run_services, time_command

DATABASE: Final = "pages"
ITEMS, DAYS = 500, 365
# Accounts with a year of usage in every hour, and how many of their items are used in each.
YEARS: Final = {"page-1": 1, "page-2": 10, "page-3": ITEMS}
WARM_UP: Final = 20
NO_LIMIT: Final = httpx.Limits(max_connections=None)


class Answer(NamedTuple):
    """Milliseconds of one kind of request, from the first byte sent to the last read."""

    name: str
    median: float
    p99: float
    cpu: float  # of the console and Postgres together: it says the same on a busy machine


class Live(NamedTuple):
    """Of one process: `queries_per_s` are those that all its pages together add to what the service asks anyway."""

    pages: int
    mb_before: float
    mb_after: float
    queries_per_s: float


class Pages(NamedTuple):
    accounts: int
    answers: Sequence[Answer]
    live: Live


async def measure_pages(bench: Bench, accounts: int, requests: int, pages: int, seconds: float) -> Pages:
    scenario = Scenario(bench, DATABASE, accounts)  # for its topics: no event is sent
    dsn = await bench.databases.create(DATABASE)
    try:
        await asyncio.to_thread(time_command, ("meter", "setup", "--no-roles"), scenario.settings(dsn))
        async with connect(dsn) as connection:
            await fill(connection, accounts)
            await sum_up(dsn)
            await connection.execute("VACUUM ANALYZE", timeout=3600)
            async with running(dsn, bench.logs) as (client, pid):
                pids = {"console": pid, "postgres": bench.servers.postgres.child.pid}
                answers = [await measure("summary", client, summary_paths(accounts, requests), pids)]
                for name, path in year_paths().items():
                    answers.append(await measure(name, client, [path] * max(5, requests // 400), pids))
                live = await measure_live(connection, client, pid, sample(accounts, pages), seconds)
    finally:
        await bench.databases.drop(DATABASE)
        await asyncio.to_thread(delete_topics, bench.servers.kafka.bootstrap, scenario.prefix)
    return Pages(accounts, answers, live)


async def fill(connection: asyncpg.Connection, accounts: int) -> None:
    for name, values in (
        ("fill_page_cursors", (PARTITIONS,)),
        ("fill_page_accounts", (accounts, PARTITIONS)),
        *(("fill_page_year", (account, ITEMS, DAYS, each)) for account, each in YEARS.items()),
    ):
        await connection.execute(load_sql(SQL, name), *values, timeout=3600)


async def sum_up(dsn: str) -> None:
    """As the usage service does when a day or a month is over."""
    pool = await create_pool(dsn, application_name="bench")
    try:
        sums = SumStore(pool, USAGE)
        while await sums.sum_up(datetime.now(UTC)):
            pass
    finally:
        await pool.close()


@asynccontextmanager
async def running(dsn: str, logs: Path) -> AsyncIterator[tuple[httpx.AsyncClient, int]]:
    """Without keys: what a token costs is a few dozen microseconds."""
    settings = {
        "postgres_dsn": dsn, "console_port": str(free_port()), "console_requests": "1000000", "console_pages": "100000"
    }  # fmt: skip
    with run_services(("console",), settings, logs) as started:
        address = f"http://127.0.0.1:{settings['console_port']}"
        async with httpx.AsyncClient(base_url=address, timeout=30, limits=NO_LIMIT) as client:
            yield client, started["console"].pid


def sample(accounts: int, count: int) -> list[str]:
    rng = Random(1)
    return [f"page-{rng.randrange(len(YEARS) + 1, accounts + 1)}" for _ in range(count)]


def summary_paths(accounts: int, requests: int) -> list[str]:
    return [f"/v1/accounts/{name}/summary" for name in sample(accounts, requests)]


def year_paths() -> dict[str, str]:
    """A year of each of the large accounts."""
    today = datetime.now(UTC).date()
    year = f"?period=custom&from={today - timedelta(days=DAYS - 1)}&to={today}"
    pages = {"overview": "/accounts/{}/overview", "models": "/accounts/{}/models", "JSON": "/v1/accounts/{}/usage"}
    return {
        f"year, {each} of {ITEMS} items an hour: {name}": path.format(account) + year
        for account, each in YEARS.items()
        for name, path in pages.items()
    }


async def measure(name: str, client: httpx.AsyncClient, paths: Sequence[str], pids: Mapping[str, int]) -> Answer:
    for path in paths[:WARM_UP]:
        await ask(client, path)
    with Footprint(pids, sample_s=None) as footprint:
        taken = sorted([await ask(client, path) for path in paths])
    spent = sum(usage.cpu_s for usage in footprint.usage.values())
    return Answer(name, median(taken), percentile(taken, 0.99), spent * 1000 / len(paths))


async def ask(client: httpx.AsyncClient, path: str) -> float:
    started = time.perf_counter()
    reply = await client.get(path)
    taken = (time.perf_counter() - started) * 1000
    reply.raise_for_status()
    return taken


async def measure_live(
    connection: asyncpg.Connection, client: httpx.AsyncClient, pid: int, accounts: Sequence[str], seconds: float
) -> Live:
    """Each page follows an account of its own and has its first state when the clock starts.

    What the service asks without any page (once a second, whether Postgres answers) is counted first and taken off.
    """
    process = psutil.Process(pid)
    before = memory(process) / MEBIBYTE
    alone_per_s = await count_per_s(connection, seconds)
    async with AsyncExitStack() as stack:
        async with asyncio.TaskGroup() as group:
            opened = [group.create_task(open_page(stack, client, account)) for account in accounts]
        reading = [asyncio.create_task(read_on(page.result())) for page in opened]
        per_s = await count_per_s(connection, seconds)
        after = memory(process) / MEBIBYTE
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
    return Live(len(accounts), before, after, per_s - alone_per_s)


async def count_per_s(connection: asyncpg.Connection, seconds: float) -> float:
    """Transactions of the database, without those of this connection."""
    ended, started = await count_transactions(connection), time.perf_counter()
    await asyncio.sleep(seconds)  # the time is what is measured over
    ended = await count_transactions(connection) - ended - 1  # the first count itself
    return ended / (time.perf_counter() - started)


async def open_page(stack: AsyncExitStack, client: httpx.AsyncClient, account: str) -> AsyncIterator[str]:
    reply = await stack.enter_async_context(client.stream("GET", f"/v1/accounts/{account}/live"))
    reply.raise_for_status()
    lines = reply.aiter_lines()
    async for line in lines:
        if line.startswith("data:"):
            break
    return lines


async def read_on(lines: AsyncIterator[str]) -> None:
    async for _ in lines:
        pass


async def count_transactions(connection: asyncpg.Connection) -> int:
    # What this session saw once is kept for a transaction; what others did is reported within a second.
    return int(await connection.fetchval(load_sql(SQL, "count_transactions")))
