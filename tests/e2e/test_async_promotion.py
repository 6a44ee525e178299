"""A standby that lacks the last commits is promoted, and nothing new comes: refused, recovered, nobody told twice."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import asyncpg
import pytest

from deploy.local.mail import MailSink
from deploy.local.postgres import EmbeddedPostgres
from meter.runtime.postgres import create_pool
from meter.runtime.settings import Settings
from tests.e2e.restarting import WAIT_S, are_ready, has_ended, settled
from tests.e2e.running import CREDITS, ROLES, Running
from tests.support.databases import Databases
from tests.support.processes import Processes
from tests.support.standby import Standby, both
from tests.support.waiting import until


@pytest.fixture
def pair() -> Iterator[tuple[EmbeddedPostgres, Standby]]:
    with contextlib.ExitStack() as stack:
        primary = EmbeddedPostgres()
        stack.callback(primary.close)
        primary.start()
        standby = Standby(primary)
        stack.callback(standby.close)
        standby.start()
        yield primary, standby


@pytest.fixture
async def promoted(
    pair: tuple[EmbeddedPostgres, Standby], processes: Processes, settings: Settings, mail: MailSink
) -> AsyncIterator[Running]:
    """The three services on a primary with a standby, both named in their DSN."""
    dsn = both((await Databases(pair[0].dsn()).create()).rpartition("/")[2], *pair)
    smtp = {"smtp_host": mail.host, "smtp_port": str(mail.port), "mail_from": "credits@example.com"}
    own: dict[str, dict[str, str]] = {name: {"postgres_dsn": dsn} for name in ROLES}
    own["notifier"] |= smtp | {"mail_pause_s": "0.5"}
    setup = processes.run("meter", "setup", postgres_dsn=dsn)
    assert setup.returncode == 0, setup.stderr
    pool = await create_pool(dsn, application_name="tests")
    try:
        services = {name: processes.spawn(name, **given) for name, given in own.items()}
        async with Running(settings, pool, mail, services, processes, own) as running:
            await are_ready(running)
            yield running
    finally:
        await pool.close()


async def cut_off(primary: EmbeddedPostgres, standby: Standby) -> None:
    """The standby has what there is now, and gets nothing further."""
    source, copy = await asyncpg.connect(primary.dsn()), await asyncpg.connect(standby.dsn())
    try:
        here = await source.fetchval("SELECT pg_current_wal_lsn()::text")

        async def has_it() -> bool:
            return bool(await copy.fetchval("SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", here))

        await until(has_it, WAIT_S, "the standby has caught up")
        await copy.execute("ALTER SYSTEM SET primary_conninfo = ''")
        await copy.execute("SELECT pg_reload_conf()")

        async def is_cut() -> bool:
            return bool(await copy.fetchval("SELECT count(*) = 0 FROM pg_stat_wal_receiver"))

        await until(is_cut, WAIT_S, "replication is cut")
    finally:
        await source.close()
        await copy.close()


@pytest.mark.needs_kafka("committed offsets of a group, set from outside")
async def test_a_promotion_that_lost_the_last_commits_is_refused_while_idle_and_recovered(
    promoted: Running, pair: tuple[EmbeddedPostgres, Standby], values: dict[str, Any]
) -> None:
    running, (primary, standby) = promoted, pair
    await running.open("acct-1", "acct-2")
    await running.use_settled("acct-1", CREDITS, "40")
    await cut_off(primary, standby)
    await running.use_settled("acct-1", CREDITS, "15")  # 73 %
    await running.open("acct-3")
    await running.use_settled("acct-3", CREDITS, "60")  # 80 %
    told = running.letters()
    assert sorted(told.values()) == [1, 1, 1]
    primary.crash()
    await standby.promote()

    for name in ("meter", "notifier"):
        service = running.services[name]
        await until(partial(has_ended, service), WAIT_S, service.output)
        assert "`meter recover`" in service.logged("service_refused")[-1]["detail"], service.output()
    running.services["projections"].terminate()
    running.services["projections"].wait()
    said = running.processes.run("meter", "recover", "--reason", "promoted", **running.given["meter"])
    assert said.returncode == 0, said.stderr
    for name, given in running.given.items():
        running.services[name] = running.processes.spawn(name, **given)
    await are_ready(running)
    await settled(running)
    assert running.letters() == told, "nobody is told again"
    await running.use("acct-2", CREDITS, 60_000_000)  # 80 %
    await settled(running)
    assert sum(running.letters().values()) == sum(told.values()) + 1
    assert running.processes.run("meter", "verify", **running.given["meter"]).returncode == 0
