"""The three services as real processes under their own database roles: only Kafka in; Postgres, Kafka and SMTP out."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deploy.local.mail import MailSink
from deploy.local.stack import Addresses
from meter.runtime.postgres import Pool
from meter.runtime.settings import Settings
from tests.e2e.restarting import Backup
from tests.e2e.running import ROLES, Running
from tests.support.databases import Databases
from tests.support.previous import NoHistoryError, extract_previous
from tests.support.processes import Processes
from tests.support.readiness import is_ready
from tests.support.waiting import until


@pytest.fixture
def notifier_settings() -> dict[str, str]:
    return {"mail_pause_s": "0.5"}  # tests wait for each letter


@pytest.fixture
async def running(
    processes: Processes,
    stack: Addresses,
    values: dict[str, Any],
    settings: Settings,
    pool: Pool,
    mail: MailSink,
    notifier_settings: dict[str, str],
) -> AsyncIterator[Running]:
    done = processes.run("meter", "setup")
    assert done.returncode == 0, done.stderr
    database = str(values["postgres_dsn"]).rpartition("/")[2]
    given = {name: {"postgres_dsn": stack.dsn(database, role)} for name, role in ROLES.items()}
    smtp = {"smtp_host": mail.host, "smtp_port": str(mail.port), "mail_from": "credits@example.com"}
    given["notifier"] |= smtp | notifier_settings
    services = {name: processes.make(name, **own).spawn() for name, own in given.items()}
    for process in services.values():
        await until(partial(is_ready, process), 60, process.output)
    async with Running(settings, pool, mail, services, processes, given) as running:
        yield running
    verified = processes.run("projections", "verify", postgres_dsn=stack.dsn(database, "credit_support"))
    assert (verified.returncode, verified.stdout) == (0, ""), verified.stdout + verified.stderr
    assert "NOT compared" not in verified.stderr


@pytest.fixture
async def backup(
    running: Running, stack: Addresses, values: dict[str, Any], databases: Databases
) -> AsyncIterator[Backup]:
    """Of the database of `running`."""
    made = Backup(running, stack, str(values["postgres_dsn"]).rpartition("/")[2])
    yield made
    await databases.drop_later(stack.dsn(made.copy))


@pytest.fixture
def previous(tmp_path: Path) -> Path:
    """The packages of the release before this one."""
    try:
        return extract_previous(tmp_path / "previous")
    except NoHistoryError as error:
        pytest.skip(f"the release before this one is not here: {error}")
