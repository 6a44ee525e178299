"""New secrets while services run, by the steps of deploy/OPERATING.md, New secrets: none of them is started anew.

Kafka's stand in test_new_kafka_secrets.py. While server and file differ a service is refused: /readyz says by whom and
why, and it goes on by itself.
"""

import asyncio
import base64
import http.client
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

from deploy.local.ports import free_port
from deploy.local.stack import Addresses
from meter.client import AccountsProducer, UsageProducer
from meter.runtime.clock import SystemClock
from meter.runtime.postgres import Pool, close_pool, create_pool
from meter.runtime.settings import Settings
from projections.console.settings import ConsoleSettings
from projections.console.tokens import Tokens
from tests.e2e.running import ROLES
from tests.support.certificates import Certificates, server_context
from tests.support.console import Books, set_up_cursors
from tests.support.databases import Databases
from tests.support.locked_postgres import LOCKED, PASSWORD, LockedPostgres
from tests.support.processes import HOST, Processes, ServiceProcess
from tests.support.readiness import is_ready, is_unready
from tests.support.tls_postgres import postgres_with
from tests.support.waiting import until
from tests.unit.notifier.scripted import Script, serving

pytestmark = pytest.mark.xdist_group("locked_postgres")

WAIT_S = 120
NEW_PASSWORD = "changed / once"
STORED = "SELECT count(*) FROM meter.events"
TOLD = "SELECT count(*) FROM notifier.emails WHERE state = 'accepted'"
OLD_KEY, NEW_KEY = (f"the {which} key of the tests, 32 characters at least" for which in ("old", "new"))
LIFETIME = timedelta(minutes=5)


def end(*services: ServiceProcess) -> None:
    """Each ran all the time, and ends well."""
    for service in services:
        assert len(service.logged("service_started")) == 1 and service.logged("service_refused") == []
        service.terminate()
    assert [service.wait() for service in services] == [0] * len(services)


async def send_usage(settings: Settings) -> None:
    async with UsageProducer(settings, source="//tests.example.com") as usage:
        await usage.model_inference("acct-1", credits="45", model="small-chat")


async def test_a_roles_password(
    locked_postgres: LockedPostgres, processes: Processes, settings: Settings, tmp_path: Path
) -> None:
    database, file = await Databases(locked_postgres.dsn()).create(), tmp_path / "password"
    file.write_text(PASSWORD)
    dsn = f"postgresql://{LOCKED}@{HOST}:{locked_postgres.port}/{database.rpartition('/')[2]}"
    own = {"postgres_dsn": dsn, "postgres_password_file": str(file)}
    assert processes.run("meter", "setup", "--no-roles", **own).returncode == 0
    meter = processes.start("meter", **own)
    pool = await create_pool(database, application_name="tests")

    async def stored(number: int) -> bool:
        return bool(await pool.fetchval(STORED) == number)

    await send_usage(settings)
    await until(partial(stored, 1), WAIT_S, meter.output)
    await locked_postgres.change_password(NEW_PASSWORD)
    words = f'postgres refuses: password authentication failed for user "{LOCKED}"'
    await until(partial(is_unready, meter, "postgres", words), WAIT_S, meter.output)
    await send_usage(settings)
    file.write_text(f"{NEW_PASSWORD}\n")
    await until(partial(stored, 2), WAIT_S, meter.output)
    await until(partial(is_ready, meter), WAIT_S, meter.output)
    await close_pool(pool)
    assert NEW_PASSWORD not in meter.output() and PASSWORD not in meter.output()
    end(meter)


async def test_the_certificate_that_we_show_to_postgres(
    processes: Processes, dsn: str, settings: Settings, pool: Pool, tmp_path: Path
) -> None:
    """Certificate first, key later, as a tool may do that renews them; in between the pair before stays in force."""
    assert processes.run("meter", "setup", "--no-roles").returncode == 0
    certificates, renewed = Certificates(tmp_path), trustme.CA()
    certfile, keyfile = (Path(file) for file in certificates.client("meter"))
    server = certificates.server()
    async with postgres_with(server_context(server, certificates.authority), dsn) as front:
        own = {"sslcert": str(certfile), "sslkey": str(keyfile)}
        meter = processes.spawn("meter", postgres_dsn=front.address(certificates.cafile, **own))

        async def stored(number: int) -> bool:
            return bool(await pool.fetchval(STORED) == number)

        await send_usage(settings)
        await until(partial(stored, 1), WAIT_S, meter.output)
        front.context = server_context(server, renewed)
        front.end_connections()
        words = "wants a certificate of ours that it trusts (tlsv1 alert unknown ca): renew the files that sslcert"
        await until(partial(is_unready, meter, "postgres", words), WAIT_S, meter.output)
        await send_usage(settings)
        old_key = keyfile.read_bytes()
        certificates.client("meter", renewed)
        new_key = keyfile.read_bytes()
        keyfile.write_bytes(old_key)
        await until(lambda: "certificates_unreadable" in meter.output(), WAIT_S, meter.output)
        keyfile.write_bytes(new_key)
        await until(partial(stored, 2), WAIT_S, meter.output)
        await until(partial(is_ready, meter), WAIT_S, meter.output)
        await asyncio.to_thread(end, meter)  # it drains through this front


def accept_only(script: Script, password: str) -> None:
    plain = base64.b64encode(f"\0us\0{password}".encode()).decode()
    script.replies = {f"auth PLAIN {plain}": ["235 welcome"], "auth": ["535 5.7.8 no"]}


async def test_the_mail_servers_password(
    processes: Processes, stack: Addresses, values: dict[str, Any], settings: Settings, pool: Pool, tmp_path: Path
) -> None:
    """The letter waits. Certificates and authorities of mail: tests/unit/notifier/test_session_security.py."""
    assert processes.run("meter", "setup").returncode == 0
    file, script = tmp_path / "password", Script(extensions=("AUTH PLAIN",))
    file.write_text(PASSWORD)
    accept_only(script, NEW_PASSWORD)
    database = str(values["postgres_dsn"]).rpartition("/")[2]
    async with serving(script):
        smtp = {
            "smtp_host": HOST, "smtp_port": str(script.port), "smtp_security": "none", "smtp_username": "us",
            "smtp_password_file": str(file), "mail_pause_s": "0.1", "mail_poll_s": "0.1",
            "mail_trouble_first_s": "0.1", "mail_trouble_max_s": "0.5",
        }  # fmt: skip
        services = [
            processes.spawn(name, postgres_dsn=stack.dsn(database, role), **(smtp if name == "notifier" else {}))
            for name, role in ROLES.items()
        ]
        notifier = services[-1]
        async with AccountsProducer(settings, source="//tests.example.com") as accounts:
            await accounts.opened("acct-1", plan="free", contacts=["owner@example.com"])
        await send_usage(settings)
        await until(partial(is_unready, notifier, "smtp", "535"), WAIT_S, notifier.output)
        assert script.bodies == [] and await pool.fetchval(TOLD) == 0
        file.write_text(NEW_PASSWORD)

        async def told() -> bool:
            return bool(await pool.fetchval(TOLD) == 1)

        await until(told, WAIT_S, notifier.output)
        await until(partial(is_ready, notifier), WAIT_S, notifier.output)
        assert len(script.bodies) == 1
        assert NEW_PASSWORD not in notifier.output() and PASSWORD not in notifier.output()
        end(*services)


async def test_the_consoles_key(pool: Pool, processes: Processes, tmp_path: Path) -> None:
    await set_up_cursors(pool)
    books, file, port = Books(pool, "acct-1"), tmp_path / "console_key", free_port(HOST)
    await books.open()
    await books.both("52.75", 4_210)
    file.write_text(OLD_KEY)
    console = processes.start("projections", "console", console_port=str(port), console_secret_file=str(file))

    def page(key: str) -> int:
        token = Tokens(ConsoleSettings(console_secret=key)).make("acct-1", "admin", SystemClock().now(), LIFETIME)
        connection = http.client.HTTPConnection(HOST, port, timeout=WAIT_S)
        try:
            connection.request("GET", "/v1/accounts/acct-1/summary", headers={"Authorization": f"Bearer {token}"})
            return connection.getresponse().status
        finally:
            connection.close()

    assert [await asyncio.to_thread(page, key) for key in (OLD_KEY, NEW_KEY)] == [200, 401]
    file.write_text(NEW_KEY)
    assert [await asyncio.to_thread(page, key) for key in (OLD_KEY, NEW_KEY)] == [401, 200]
    assert OLD_KEY not in console.output() and NEW_KEY not in console.output()
    end(console)
