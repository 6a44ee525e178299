"""Upgrade, and back (deploy/OPERATING.md), step by step: a database that the release before set up and filled.

`test_roll_out.py` has both versions under load; here all of it begins with the release before: its setup, its services,
its console. Then the new setup beside them, the new services, and the way back.
"""

import asyncio
import http.client
from pathlib import Path
from typing import Any

import pytest

from deploy.local.mail import MailSink
from deploy.local.ports import free_port
from deploy.local.stack import Addresses
from meter.runtime.postgres import Pool
from meter.runtime.settings import Settings
from tests.e2e.restarting import are_ready, spawn_previous, start, stop
from tests.e2e.running import CREDITS, Running
from tests.support.console import SECRET, make_token
from tests.support.previous import run_previous
from tests.support.processes import HOST, Processes
from tests.support.readiness import is_ready
from tests.support.waiting import until

READY_S = 90


@pytest.fixture
def dsn(empty_dsn: str) -> str:
    """With nothing in it: here the release before makes the tables."""
    return empty_dsn


async def summary(processes: Processes, sources: Path, dsn: str) -> int:
    """What the console of the release before answers to somebody who signed in."""
    port = free_port(HOST)
    console = processes.make("projections", "console", postgres_dsn=dsn, console_port=str(port), console_secret=SECRET)
    console.take_from(sources)
    console.spawn()
    await until(lambda: is_ready(console), READY_S, console.output)

    def ask() -> int:
        connection = http.client.HTTPConnection(HOST, port, timeout=READY_S)
        try:
            connection.request(
                "GET", "/v1/accounts/acct-1/summary", headers={"Authorization": f"Bearer {make_token()}"}
            )
            return connection.getresponse().status
        finally:
            connection.close()

    try:
        return await asyncio.to_thread(ask)
    finally:
        console.terminate()
        assert console.wait() == 0, console.output()


@pytest.mark.needs_kafka("a group whose members come and go")
async def test_what_the_release_before_set_up_and_filled_goes_on_and_back(
    processes: Processes, stack: Addresses, values: dict[str, Any], env: dict[str, str], settings: Settings,
    pool: Pool, mail: MailSink, previous: Path,
) -> None:  # fmt: skip
    made = run_previous(previous, "meter", "setup", env=env)
    assert made.returncode == 0, made.stderr
    async with Running(settings, pool, mail, {}, processes, {}) as running:
        running.services = old = spawn_previous(running, previous, stack, values)
        await are_ready(running)
        await running.open("acct-1", "acct-2")
        await running.use_settled("acct-1", CREDITS, "40")  # 53 %
        await running.use_settled("acct-2", CREDITS, "70")  # 93 %
        # Step 3: the new setup, beside the services of before, which go on.
        made = processes.run("meter", "setup")
        assert made.returncode == 0, made.stderr
        await running.use_settled("acct-1", CREDITS, "5")  # 60 %
        # Step 4: the new services take over.
        running.services = {}
        start(running, stack, values)
        await are_ready(running)
        new, running.services = running.services, old
        await stop(running)
        running.services = new
        await running.grant("acct-2", CREDITS, "100")
        await running.use_settled("acct-1", CREDITS, "10")  # 73 %
        # Step 5.
        for name in ("meter", "projections"):
            verified = processes.run(name, "verify")
            assert verified.returncode == 0, verified.stdout + verified.stderr
        # Back: the services of before on the new tables, its console and its setup's check of the log as well.
        await stop(running)
        running.services = spawn_previous(running, previous, stack, values)
        await are_ready(running)
        await running.use_settled("acct-1", CREDITS, "7.5")  # 83 %
        database = str(values["postgres_dsn"]).rpartition("/")[2]
        assert await summary(processes, previous, stack.dsn(database, "credit_console")) == http.client.OK
        verified = run_previous(previous, "meter", "verify", env=env)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        # And forward again.
        await stop(running)
        start(running, stack, values)
        await are_ready(running)
        await running.use_settled("acct-1", CREDITS, "6")  # 91 %
        assert set(running.letters().values()) == {1}, "nobody is told anything twice"
        assert await pool.fetchval("SELECT count(*) FROM meter.rejections") == 0
        for name in ("meter", "projections"):
            verified = processes.run(name, "verify")
            assert verified.returncode == 0, verified.stdout + verified.stderr
