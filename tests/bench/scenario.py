"""What a rate is measured on: a backlog in topics of its own, and a database to copy in which the accounts are open."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from random import Random

import asyncpg

from meter.runtime.postgres import load_sql
from schemas.topics import ACCOUNTS, BALANCES, USAGE
from tests.bench.databases import SQL, Databases, connect, read_progress
from tests.bench.events import account_name, uuid7_text
from tests.bench.load import Sink, delete_topics, load_backlog, read_ends
from tests.bench.servers import PARTITIONS, Servers
from tests.bench.services import run_services, time_command
from tests.bench.timing import Stall
from tests.bench.workload import Expected, Workload

POLL_S = 0.05
STALL_S = 120
OPENED_AT = datetime(2025, 12, 1, tzinfo=UTC)
ROWS_PER_ACCOUNT = 3  # account.opened and one credits.granted per resource


@dataclass(frozen=True, slots=True)
class Bench:
    """What every measurement needs."""

    servers: Servers
    databases: Databases
    logs: Path


@dataclass(slots=True)
class Scenario:
    """`name` prefixes its topics and names its template database."""

    bench: Bench
    name: str
    accounts: int
    extra_accounts: Sequence[str] = ()
    partitions: int = PARTITIONS
    expected: Expected = field(init=False)

    def __post_init__(self) -> None:
        self.expected = Expected(self.accounts)

    @property
    def opened(self) -> int:
        return self.accounts + len(self.extra_accounts)

    @property
    def usage_topic(self) -> str:
        return self.prefix + USAGE

    @property
    def prefix(self) -> str:
        return f"{self.name}."

    @property
    def template(self) -> str:
        return f"template_{self.name}"

    def settings(self, dsn: str) -> dict[str, str]:
        return {
            "postgres_dsn": dsn,
            "kafka_bootstrap": self.bench.servers.kafka.bootstrap,
            "topic_prefix": self.prefix,
            "partitions": str(self.partitions),
        }

    async def open_accounts(self) -> None:
        """Set up, open every account through the services themselves, and leave the database as the template: with all
        that follows from the openings done. Else each run would publish them beside what it is measured by."""
        dsn = await self.bench.databases.create(self.template)
        settings = self.settings(dsn)
        await asyncio.to_thread(time_command, ("meter", "setup", "--no-roles"), settings)
        await asyncio.to_thread(self._produce_opened)
        await catch_up(self.bench, dsn, settings, ROWS_PER_ACCOUNT * self.opened)
        async with connect(dsn) as connection:
            await connection.execute("VACUUM ANALYZE", timeout=600)

    async def introduce_accounts(self) -> None:
        """Let the notifier of the template read the opening of all accounts: a backlog of its own.

        The projections publish what still stands in their outbox.
        """
        dsn = self.bench.databases.address(self.template)
        with run_services(("notifier", "projections"), self.settings(dsn), self.bench.logs) as running:
            stall = Stall(STALL_S)
            async with connect(dsn) as connection:
                while (known := await connection.fetchval(load_sql(SQL, "count_known_accounts"))) < self.opened:
                    stall.note(known, f"{self.opened} accounts to know")
                    running["notifier"].check()
                    await asyncio.sleep(POLL_S)

    def load(self, workload: Workload) -> None:
        self.expected = load_backlog(self.bench.servers.kafka.bootstrap, self.usage_topic, workload)

    async def close(self) -> None:
        """Give the disk back: databases and topics of a scenario take gigabytes."""
        await self.bench.databases.drop(self.template)
        await asyncio.to_thread(delete_topics, self.bench.servers.kafka.bootstrap, self.prefix)

    def _produce_opened(self) -> None:
        sink = Sink(self.bench.servers.kafka.bootstrap, self.prefix + ACCOUNTS)
        rng = Random(0)
        for name in chain(map(account_name, range(self.accounts)), self.extra_accounts):
            sink.send(name.encode(), make_opened(name, rng))
        sink.flush()


def make_opened(account: str, rng: Random, moment: datetime = OPENED_AT) -> bytes:
    event = {
        "specversion": "1.0",
        "id": uuid7_text(int(moment.timestamp() * 1000), rng.getrandbits(74)),
        "source": "https://billing.example.com/accounts",
        "type": "account.opened.v1",
        "subject": account,
        "time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "datacontenttype": "application/json",
        "data": {"plan": "free", "contacts": [f"{account}@example.com"], "display_name": f"Account {account}"},
    }
    return json.dumps(event, separators=(",", ":")).encode()


async def skip_changes(scenario: Scenario, connection: asyncpg.Connection) -> None:
    """On a copy of a template whose notifier knows the accounts: what other copies published is not for this one."""
    topic = scenario.prefix + BALANCES
    ends = await asyncio.to_thread(read_ends, scenario.bench.servers.kafka.bootstrap, topic)
    await connection.executemany(
        load_sql(SQL, "skip_changes"), [(BALANCES, shard, offset) for shard, offset in ends.items()]
    )


async def catch_up(
    bench: Bench,
    dsn: str,
    settings: Mapping[str, str],
    rows: int,
    services: Sequence[str] = ("projections", "meter"),
    until: str = "is_settled",
) -> float:
    """Run services until so many rows are stored and nothing is left to do for them, as the statement has it; how many
    seconds that took after they were started."""
    started = time.perf_counter()
    with run_services(services, settings, bench.logs) as running:
        stall = Stall(STALL_S)
        async with connect(dsn) as connection:
            while True:
                stored = (await read_progress(connection)).stored
                if stored >= rows and await connection.fetchval(load_sql(SQL, until)):
                    return time.perf_counter() - started
                stall.note(await connection.fetchrow(load_sql(SQL, "read_places")), f"{rows} rows to store and to fold")
                for service in running.values():
                    service.check()
                await asyncio.sleep(POLL_S)
