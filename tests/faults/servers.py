"""The site of a campaign: a Kafka, a Postgres and a mail sink of its own, and a proxy before each of them."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from deploy.local.apache_kafka import ApacheKafka, fetch_jars
from deploy.local.ports import free_port
from deploy.local.postgres import EmbeddedPostgres
from tests.faults.mail import FaultyMail
from tests.faults.proxy import HOST, Proxy

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
    proxies: dict[str, Proxy]  # "meter", "projections", "notifier": before Postgres; "kafka"; "smtp"

    def dsn(self, database: str, service: str | None = None) -> str:
        """Of the superuser, directly; of a service, under its role and through its proxy."""
        if service is None:
            return self.postgres.dsn(database)
        return f"postgresql://credit_{service}@{HOST}:{self.proxies[service].port}/{database}"

    @property
    def proxied_kafka(self) -> str:
        return f"{HOST}:{self.kafka.outer_port}"

    def calm(self) -> None:
        self.mail.calm()
        for proxy in self.proxies.values():
            proxy.calm()

    async def crash_postgres(self, pause_s: float) -> None:
        """SIGKILL to every process of it, as a power cut would have it."""
        await asyncio.to_thread(kill_tree, self.postgres.child.pid)
        await asyncio.to_thread(self.postgres.child.kill)
        await asyncio.sleep(pause_s)
        await asyncio.to_thread(self.postgres.start)

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
        postgres = EmbeddedPostgres(POSTGRES)
        stack.callback(postgres.close)
        kafka = ProxiedKafka(await asyncio.to_thread(fetch_jars))
        stack.callback(kafka.close)
        await asyncio.gather(asyncio.to_thread(postgres.start), asyncio.to_thread(kafka.start))
        mail = FaultyMail()
        stack.callback(mail.close)
        mail.start()
        proxies = {name: Proxy(name, postgres.port) for name in SERVICES}
        proxies["kafka"] = Proxy("kafka", kafka.inner_port, kafka.outer_port)
        proxies["smtp"] = Proxy("smtp", mail.port)
        for proxy in proxies.values():
            await proxy.start()
            stack.push_async_callback(proxy.close)
        yield Site(kafka, postgres, mail, proxies)
