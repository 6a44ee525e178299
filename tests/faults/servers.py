"""The site of a campaign: a Kafka, a Postgres or a Citus cluster, and a mail sink of its own, each behind a proxy."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil

from deploy.local.apache_kafka import ApacheKafka, fetch_jars
from deploy.local.ports import free_port
from deploy.local.postgres import EmbeddedPostgres
from tests.faults.cluster import Cluster, copy_rows
from tests.faults.mail import FaultyMail
from tests.faults.proxy import HOST, Proxy
from tests.faults.schedule import CLUSTER, WORKERS, Focus
from tests.support.databases import Databases
from tests.support.servers import is_cluster

SERVICES = ("meter", "projections", "notifier")
# Short checkpoints: recovery after a crash reads little.
POSTGRES = {"checkpoint_timeout": "1min", "max_wal_size": "1GB", "max_connections": "150"}


class ProxiedKafka(ApacheKafka):
    """Two listeners: one for the harness, and one that tells clients to come through the proxy."""

    def __init__(self, jars: Path) -> None:
        self.inner_port, self.outer_port = free_port(HOST), free_port(HOST)
        super().__init__(jars)

    def _render_properties(self) -> str:
        text = super()._render_properties()
        direct, inner = f"PLAINTEXT://{HOST}:{self.port}", f"PROXIED://{HOST}:{self.inner_port}"
        listeners = re.search(r"^listeners=.*$", text, re.MULTILINE)
        assert listeners is not None
        more = {
            "listeners": f"{listeners[0].removeprefix('listeners=')},{inner}",
            "advertised.listeners": f"{direct},PROXIED://{HOST}:{self.outer_port}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT",
        }
        # Of a property that stands twice the last one counts.
        return text + "".join(f"{name}={value}\n" for name, value in more.items())


@dataclass
class Site:
    kafka: ProxiedKafka
    postgres: EmbeddedPostgres
    mail: FaultyMail
    proxies: dict[str, Proxy]  # "meter", "projections", "notifier": before Postgres; "kafka"; "smtp"; WORKERS
    cluster: Cluster | None = None  # `postgres` is its coordinator

    def dsn(self, database: str, service: str | None = None) -> str:
        """Of the superuser, directly; of a service, under its role and through its proxy."""
        if service is None:
            return self.postgres.dsn(database)
        return f"postgresql://credit_{service}@{HOST}:{self.proxies[service].port}/{database}"

    def dsns(self, database: str) -> list[str]:
        """Of the superuser, on every node."""
        return [node.dsn(database) for node in (self.cluster.nodes if self.cluster else [self.postgres])]

    @property
    def databases(self) -> Databases:
        return self.cluster.databases if self.cluster else Databases(self.dsn("postgres"))

    @property
    def focus(self) -> Focus | None:
        """What the campaign draws from; none: the usual."""
        return CLUSTER if self.cluster else None

    @property
    def slowness(self) -> int:
        """How many times as long an event takes as on one Postgres, and all that waits at the end."""
        return 4 if self.cluster else 1

    async def make_database(self, name: str) -> None:
        if self.cluster:
            await self.cluster.databases.create_plain(name)
        else:
            connection = await asyncpg.connect(self.dsn("postgres"))
            await connection.execute(f"CREATE DATABASE {name}")
            await connection.close()

    @asynccontextmanager
    async def judged(self, database: str) -> AsyncIterator[str]:
        """The address of what the oracle reads: the database, or all its rows in one place."""
        dsn = self.dsn(database)
        if not self.cluster:
            yield dsn
            return
        one = Databases(self.dsn("postgres"))
        copied = await one.create(migrated=False)
        try:
            await copy_rows(dsn, copied)
            yield copied
        finally:
            await one.drop(copied)

    @property
    def proxied_kafka(self) -> str:
        return f"{HOST}:{self.kafka.outer_port}"

    def calm(self) -> None:
        self.mail.calm()
        for proxy in self.proxies.values():
            proxy.calm()

    async def crash_postgres(self, pause_s: float) -> None:
        """SIGKILL to every process of it, as a power cut would have it; of a cluster to one node after the other."""
        node = self.cluster.next_to_crash() if self.cluster else self.postgres
        await asyncio.to_thread(kill_tree, node.child.pid)
        await asyncio.to_thread(node.child.kill)
        await asyncio.sleep(pause_s)
        await asyncio.to_thread(node.start)

    async def crash_kafka(self, pause_s: float) -> None:
        await asyncio.to_thread(self.kafka.crash)
        await asyncio.sleep(pause_s)
        await asyncio.to_thread(self.kafka.start)


def kill_tree(pid: int) -> None:
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        for process in (top, *top.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)


@asynccontextmanager
async def open_site() -> AsyncIterator[Site]:
    """Start everything; stop everything at the end, however it ends. Raises UnavailableError."""
    async with AsyncExitStack() as stack:
        cluster = Cluster(POSTGRES) if is_cluster() else None
        postgres = cluster.nodes[0] if cluster else EmbeddedPostgres(POSTGRES)
        server = cluster or postgres
        stack.callback(server.close)
        kafka = ProxiedKafka(await asyncio.to_thread(fetch_jars))
        stack.callback(kafka.close)
        await asyncio.gather(asyncio.to_thread(server.start), asyncio.to_thread(kafka.start))
        mail = FaultyMail()
        stack.callback(mail.close)
        mail.start()
        proxies = {name: Proxy(name, postgres.port) for name in SERVICES}
        if cluster:
            proxies |= {name: Proxy(name, node.port) for name, node in zip(WORKERS, cluster.nodes[1:], strict=True)}
        proxies["kafka"] = Proxy("kafka", kafka.inner_port, kafka.outer_port)
        proxies["smtp"] = Proxy("smtp", mail.port)
        for proxy in proxies.values():
            await proxy.start()
            stack.push_async_callback(proxy.close)
        if cluster:
            await cluster.join([proxies[name].port for name in WORKERS])
        yield Site(kafka, postgres, mail, proxies, cluster)
