"""Somebody is forgotten: searched for on the real stack, in a dump of the whole database, before and after."""

import asyncio
import json
from functools import partial
from typing import Any

import pytest

from deploy.local.stack import Addresses
from meter.runtime.kafka import Message, Producer
from meter.runtime.kafka.topic_reader import read_topic
from schemas.build import STRUCTURED_HEADERS, decode_event
from schemas.outputs import ForgottenListed
from schemas.resources import Resource
from schemas.topics import ACCOUNTS, ANCHORS
from tests.e2e.restarting import Backup, are_ready, start, stop
from tests.e2e.running import WAIT_S, Running
from tests.support.dumping import dump
from tests.support.searching import find
from tests.support.waiting import until

ANN, EVE, BOB, LATER = "ann.person@example.com", "eve.person@example.com", "bob.other@example.com", "late.r@example.com"
NAME, OTHER_NAME, LATER_NAME = "Person & Example", "Other Company", "Later Name"
OWNER, OTHER_OWNER, LATER_OWNER = "Olga Owner", "Otto Owner", "Late Owner"
OF_ANN = (ANN, EVE, NAME, OWNER, "ann.person", "eve.person")
OF_BOB = (BOB, OTHER_NAME, OTHER_OWNER)
REFUSED = json.dumps({"specversion": "1.0", "subject": "acct-1", "data": {"contacts": [ANN], "display_name": NAME}})
OPENING: dict[str, Any] = {"plan": "free", "contacts": [ANN, EVE], "display_name": NAME, "event_id": "opening-1"}


class Dumps:
    def __init__(self, values: dict[str, Any]) -> None:
        self._dsn = str(values["postgres_dsn"])

    async def search(self, *texts: str) -> list[str]:
        return find([await asyncio.to_thread(dump, self._dsn)], *texts)


@pytest.fixture
def dumps(values: dict[str, Any]) -> Dumps:
    return Dumps(values)


async def live(running: Running) -> None:
    """Two accounts with letters, one of which is refused with an answer that names its reader; a refused record."""
    running.mail.rule("rcpt", f"550 5.1.1 <{EVE}>: eve.person is unknown here", recipient=EVE)
    await running.accounts.opened("acct-1", **OPENING)
    await running.accounts.opened("acct-2", plan="free", contacts=[BOB], display_name=OTHER_NAME)
    await running.accounts.flush()
    for account in ("acct-1", "acct-2"):
        running.ledger.open(account)
    await running.settle()
    await own(running, "acct-1", OWNER)
    await own(running, "acct-2", OTHER_OWNER)
    await until(partial(count, running, "SELECT count(*) = 2 FROM projections.items WHERE owner IS NOT NULL"), WAIT_S)
    await running.use_settled("acct-1", Resource.MODEL_CREDITS, "40")
    await running.use_settled("acct-2", Resource.MODEL_CREDITS, "40")
    async with Producer(running.settings) as producer:
        await producer.publish([Message(ACCOUNTS, "acct-1", REFUSED.encode(), headers=STRUCTURED_HEADERS)])
    await until(partial(count, running, "SELECT count(*) FROM meter.rejections"), WAIT_S, "the record is refused")


async def own(running: Running, account: str, owner: str) -> None:
    """An item of the account is somebody's."""
    await running.usage.item_changed(account, kind="model", id="sage", name="Sage", status="deployed", owner=owner)
    await running.usage.flush()


async def count(running: Running, statement: str) -> bool:
    return bool(await running.pool.fetchval(statement))


async def forget(running: Running, account: str) -> str:
    done = await asyncio.to_thread(
        running.processes.run, "meter", "forget", account, "--reason", "request of 3 May", "--yes"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def listed(running: Running) -> set[str]:
    found: set[str] = set()
    async for records in read_topic(running.settings, ANCHORS):
        events = [decode_event(record.value or b"").data for record in records]
        found |= {data.account_id for data in events if isinstance(data, ForgottenListed)}
    return found


async def test_who_is_forgotten_is_nowhere_in_the_database(running: Running, dumps: Dumps) -> None:
    await live(running)
    stored = [row[0].encode() for row in await running.pool.fetch("SELECT data::text FROM meter.events")]
    assert find(stored, *OF_ANN, *OF_BOB) == []  # sealed in the log from the start
    asked = await asyncio.to_thread(running.processes.run, "meter", "forget", "acct-1", "--reason", "x")
    assert asked.returncode != 0 and "--yes" in asked.stderr
    assert await dumps.search(*OF_ANN, *OF_BOB) == [*OF_ANN, *OF_BOB]  # the search can find them
    said = await forget(running, "acct-1")
    assert "are forgotten" in said and "metering.accounts" in said
    assert await dumps.search(*OF_ANN) == []
    assert await dumps.search(*OF_BOB) == [*OF_BOB]
    assert await listed(running) == {"acct-1"}
    await goes_on(running, dumps)
    await still_works(running)


async def goes_on(running: Running, dumps: Dumps) -> None:
    """Usage counts and lines are crossed; the same opening is a repeat; later contacts and names are not kept."""
    await running.accounts.opened("acct-1", **OPENING)
    await running.accounts.contacts_changed("acct-1", contacts=[LATER])
    await running.accounts.renamed("acct-1", display_name=LATER_NAME, time_zone="Europe/Berlin")
    await own(running, "acct-1", LATER_OWNER)
    await running.accounts.flush()
    letters = len(running.mail.mails)
    await running.use_settled("acct-1", Resource.MODEL_CREDITS, "20")  # 80 %
    zoned = "SELECT count(*) FROM projections.accounts WHERE account_id = 'acct-1' AND time_zone = 'Europe/Berlin'"
    await until(partial(count, running, zoned), WAIT_S, "the time zone is changed")
    assert await running.pool.fetchval("SELECT count(*) FROM meter.duplicates") == 1
    assert len(running.mail.mails) == letters
    assert await dumps.search(LATER, LATER_NAME, LATER_OWNER, *OF_ANN) == []


async def still_works(running: Running) -> None:
    """The chain is whole, read models follow from the log, and what is forgotten is called so."""
    for name, verb in (("meter", ["verify"]), ("projections", ["rebuild"]), ("projections", ["verify"])):
        done = await asyncio.to_thread(running.processes.run, name, *verb)
        assert done.returncode == 0, (name, verb, done.stdout, done.stderr)
    explained = await asyncio.to_thread(running.processes.run, "projections", "explain", "acct-1")
    assert explained.returncode == 0 and "forgotten" in explained.stdout, explained.stdout + explained.stderr
    shown = await asyncio.to_thread(running.processes.run, "meter", "accounts", "show", "acct-1")
    assert shown.returncode == 0 and "addresses and names, at" in shown.stdout, shown.stdout + shown.stderr
    renamed = await asyncio.to_thread(running.processes.run, "meter", "accounts", "rename", "acct-1", "Somebody")
    assert renamed.returncode == 1 and "acct-1 was forgotten" in renamed.stderr
    opened = await asyncio.to_thread(running.processes.run, "meter", "open", "acct-1", "--contact", ANN)
    assert opened.returncode == 1 and "acct-1 was forgotten" in opened.stderr
    number = str(await running.pool.fetchval("SELECT rejection_id FROM meter.rejections WHERE forgotten LIMIT 1"))
    replayed = await asyncio.to_thread(running.processes.run, "meter", "rejections", "replay", number)
    assert replayed.returncode == 1 and "there is nothing to replay" in replayed.stderr, replayed.stderr
    again = await asyncio.to_thread(running.processes.run, "meter", "forget", "acct-1", "--reason", "x", "--yes")
    assert again.returncode == 1 and "forgotten already" in again.stderr
    typo = await asyncio.to_thread(running.processes.run, "meter", "forget", "acct-11", "--reason", "x", "--yes")
    assert typo.returncode == 1 and "look at the id" in typo.stderr


@pytest.mark.needs_kafka("committed offsets of a group, set from outside")
async def test_a_restored_backup_forgets_again(
    running: Running, stack: Addresses, values: dict[str, Any], dumps: Dumps, backup: Backup
) -> None:
    await live(running)
    await stop(running)
    await backup.take()
    start(running, stack, values)
    await are_ready(running)
    await forget(running, "acct-1")
    await stop(running)
    await backup.restore()
    assert await dumps.search(*OF_ANN) == [*OF_ANN]
    said = await asyncio.to_thread(running.processes.run, "meter", "recover", "--reason", "backup restored")
    assert said.returncode == 0 and "acct-1 was forgotten" in said.stderr, said.stderr
    assert await running.pool.fetchval("SELECT count(*) FROM meter.keys WHERE key IS NULL") == 1
    start(running, stack, values)
    await are_ready(running)
    left = ["waiting"]

    async def is_gone() -> bool:
        left[:] = await dumps.search(*OF_ANN)
        return not left

    await until(is_gone, WAIT_S, f"{left} are gone")
    assert await dumps.search(*OF_BOB) == [*OF_BOB]
    verified = await asyncio.to_thread(running.processes.run, "meter", "verify")
    assert verified.returncode == 0, verified.stdout
