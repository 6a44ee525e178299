"""2,000 connections that ask nothing, or never to the end: others are answered, and neither memory nor files run out.

Against both ports of a real process: that of /healthz, which every service has, and the console's own.
"""

import asyncio
import http.client
import resource
from functools import partial
from typing import NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.ports import free_port
from deploy.local.stack import Addresses
from meter.runtime.process.health import MOST_CONNECTIONS
from projections.console.connections import SHARE_WAITING
from tests.support.console import SECRET, Books, make_token
from tests.support.flood import CONNECTIONS, HOST, KINDS, flooding
from tests.support.processes import Processes, ServiceProcess
from tests.support.servers import Servers
from tests.support.waiting import until
from tests.support.working_time import within

OPENED_S = 60
CLOSED_S = 30
ASKED = 20
TIMEOUT_S = 5  # of the probes in deploy/kubernetes
GIVEN_UP_S = 30
GROWN_MB = 32  # of 203 that the largest service has; all that is kept of a connection is a few kB
SPARE_FILES = 40  # of the log, of Postgres, and of a few connections that were just accepted
FEW_FILES = 1_024  # what a shell and many an image allow a process


ASKS = {
    "health": b"GET /metrics HTTP/1.1\r\nHost: credits.example.com\r\n\r\n",
    "console": b"GET /static/credit-usage.js HTTP/1.1\r\nHost: credits.example.com\r\n\r\n",
}


class Used(NamedTuple):
    files: int
    memory_mb: float


class Served(NamedTuple):
    process: ServiceProcess
    console_port: int

    def page(self, path: str = "/v1/accounts/acct-1/summary") -> int:
        """What the console answers to somebody who signed in."""
        connection = http.client.HTTPConnection(HOST, self.console_port, timeout=GIVEN_UP_S)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {make_token()}"})
            return connection.getresponse().status
        finally:
            connection.close()

    def used(self) -> Used:
        status, text = self.process.get("/metrics")
        assert status == http.client.OK, text
        found = {s.name: s.value for family in text_string_to_metric_families(text) for s in family.samples}
        return Used(int(found["process_open_fds"]), found["process_resident_memory_bytes"] / 1e6)


@pytest.fixture(scope="module")
def stack(servers: Servers) -> Addresses:
    """The console needs Postgres alone: no Kafka is started."""
    postgres = servers.postgres
    return Addresses(postgres.address, postgres.kind, "localhost:9092", "none", {})


@pytest.fixture
def served(processes: Processes, books: Books) -> Served:
    assert books.account_id == "acct-1"
    port = free_port(HOST)
    own = {"console_port": str(port), "console_secret": SECRET, "console_requests": "1000000"}
    made = processes.make("projections", "console", **own)
    made.start()
    resource.prlimit(made.child.pid, resource.RLIMIT_NOFILE, (FEW_FILES, FEW_FILES))
    return Served(made, port)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("port", ["health", "console"])
async def test_those_who_ask_are_answered_beside_2000_who_hold_on(port: str, kind: str, served: Served) -> None:
    flooded = served.process.port if port == "health" else served.console_port
    assert await asyncio.to_thread(served.page) == http.client.OK
    before = await asyncio.to_thread(served.used)
    held = KINDS[kind] if KINDS[kind].reads else KINDS[kind]._replace(first=ASKS[port])
    with flooding(flooded, held) as flood:
        await until(lambda: flood.opened >= CONNECTIONS, OPENED_S, lambda: f"{flood.opened} opened: {flood.fault}")
        for _ in range(ASKED):
            with within(TIMEOUT_S):
                assert await asyncio.to_thread(served.process.get, "/healthz") == (200, '{"alive":true}')
            with within(TIMEOUT_S):
                assert await asyncio.to_thread(served.page) == http.client.OK
        during = await asyncio.to_thread(served.used)
    most = MOST_CONNECTIONS if port == "health" else FEW_FILES // SHARE_WAITING
    assert during.files - before.files <= most + SPARE_FILES, (before, during)
    assert during.memory_mb - before.memory_mb <= GROWN_MB, (before, during)

    def gone() -> bool:
        return served.used().files <= before.files + SPARE_FILES

    await until(partial(asyncio.to_thread, gone), CLOSED_S, lambda: str(served.used()))
    assert served.process.get("/readyz")[0] == http.client.OK
    served.process.terminate()
    assert served.process.wait() == 0
    assert [line for line in served.process.logged() if line["level"] in ("warning", "error")] == []
    assert "Traceback" not in served.process.output() and "Exception" not in served.process.output()
