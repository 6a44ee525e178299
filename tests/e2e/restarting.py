"""What an end-to-end test does between two lives of the services: stop them, put the database back, start them anew."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from deploy.local.stack import Addresses
from meter.runtime.postgres import connect
from tests.e2e.running import MICRO, ROLES, Running
from tests.support.processes import ServiceProcess
from tests.support.readiness import is_ready
from tests.support.waiting import until

WAIT_S = 90
NOT_HEARD = """
SELECT (SELECT count(*) FROM projections.balances p
        LEFT JOIN notifier.balances n ON n.account_id = p.account_id AND n.resource = p.resource
        WHERE n.consumed IS DISTINCT FROM p.consumed * 1000000 OR n.generation IS DISTINCT FROM $1)
     + (SELECT count(*) FROM notifier.emails WHERE state = 'queued') + (SELECT count(*) FROM notifier.outbox)
"""


class Backup:
    """A copy of the whole database, as a restore of it is: made and put back while nobody is connected."""

    def __init__(self, running: Running, stack: Addresses, name: str) -> None:
        self._running, self._stack, self._name = running, stack, name
        self.copy = f"{name}_copy"

    async def _copy(self, source: str, target: str) -> None:
        connection = await connect(self._stack.dsn("postgres"), "tests")
        try:
            await connection.execute(f'DROP DATABASE IF EXISTS "{target}" WITH (FORCE)')
            await connection.execute(f'ALTER DATABASE "{source}" ALLOW_CONNECTIONS false')
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", source
            )
            await connection.execute(f'CREATE DATABASE "{target}" TEMPLATE "{source}"', timeout=60)
            await connection.execute(f'ALTER DATABASE "{target}" ALLOW_CONNECTIONS true')
            await connection.execute(f'ALTER DATABASE "{source}" ALLOW_CONNECTIONS true')
        finally:
            await connection.close()
        await self._running.pool.expire_connections()

    async def take(self) -> None:
        await self._copy(self._name, self.copy)

    async def restore(self) -> None:
        await self._copy(self.copy, self._name)


def start(running: Running, stack: Addresses, values: Mapping[str, Any]) -> None:
    """All three services anew."""
    for service, own in given(running, stack, values).items():
        running.services[service] = running.processes.spawn(service, **own)


def spawn_previous(
    running: Running, previous: Path, stack: Addresses, values: Mapping[str, Any]
) -> dict[str, ServiceProcess]:
    """Those of the release before, by the settings of the new ones."""
    every = given(running, stack, values)
    return {service: running.processes.spawn_from(previous, service, **own) for service, own in every.items()}


def given(running: Running, stack: Addresses, values: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Each service's own role, and how letters are sent."""
    name = str(values["postgres_dsn"]).rpartition("/")[2]
    smtp = {"smtp_host": running.mail.host, "smtp_port": str(running.mail.port), "mail_from": "credits@example.com"}
    common = smtp | {"mail_pause_s": "0.5"}
    return {service: common | {"postgres_dsn": stack.dsn(name, role)} for service, role in ROLES.items()}


async def stop(running: Running) -> None:
    for service in running.services.values():
        service.terminate()
    for service in running.services.values():
        assert service.wait() == 0, service.output()


async def are_ready(running: Running) -> None:
    for service in running.services.values():
        await until(partial(is_ready, service), WAIT_S, service.output)


def has_ended(service: ServiceProcess) -> bool:
    return not service.running


async def settled(running: Running, generation: int = 2) -> None:
    """As `Running.settle`, after a recovery and without its notices: where the re-read log has a grant before usage
    that it followed, lines are not crossed that were."""

    async def are_equal() -> bool:
        rows = await running.pool.fetch("SELECT account_id, resource, remaining FROM projections.balances")
        shown = {(row["account_id"], row["resource"]): int(row["remaining"] * MICRO) for row in rows}
        wanted = {key: book.remaining for key, book in running.ledger.books.items()}
        return shown == wanted and await running.pool.fetchval(NOT_HEARD, generation) == 0

    await running.usage.flush()
    await until(are_equal, WAIT_S, "balances are as they should be, and the notifier has heard of them")
