"""`meter open` and `meter grant` beside running services: what they say became of their event, piped."""

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from deploy.local.stack import Addresses
from meter.runtime.kafka import Message, Producer, TopicAdmin
from meter.runtime.postgres import Pool
from meter.runtime.settings import Settings
from schemas.topics import ACCOUNTS
from tests.support import builders
from tests.support.processes import Processes, clean_environment, program
from tests.support.waiting import until

WHY = ("--reason", "top_up", "--reference", "INV-1042")
ID = "order 2041"


@pytest.fixture
def services(processes: Processes) -> Processes:
    done = processes.run("meter", "setup")
    assert done.returncode == 0, done.stderr
    for name in ("meter", "projections"):
        processes.start(name)
    return processes


def answer(arguments: list[str], env: Mapping[str, str], text: str) -> subprocess.CompletedProcess[str]:
    """Run a command with a terminal for its input, and type an answer there."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, text.encode())
        return subprocess.run(
            [program("meter"), *arguments], stdin=theirs, capture_output=True, text=True, timeout=60, check=False,
            env=clean_environment() | dict(env),
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)


@contextmanager
def begun(arguments: list[str], env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    environment = clean_environment() | dict(env)
    with subprocess.Popen([program("meter"), *arguments], env=environment, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_verbs_print_the_effect_of_their_event(services: Processes, pool: Pool) -> None:
    asked = ("meter", "open", "acct-7", "--contact", "owner@example.com", "--plan", "Team")
    doubted = services.run(*asked)
    assert (doubted.returncode, doubted.stdout) == (1, "")
    assert doubted.stderr == (
        "no account has plan team; accounts have none yet: nothing is sent. Repeat with --yes if that is meant.\n"
    )
    opened = services.run(*asked, "--yes")
    assert (opened.returncode, opened.stderr) == (0, "")
    assert opened.stdout.splitlines() == [
        "opened acct-7 on plan team, 1 contact",
        "now 75 of 75 model credits left",
        "now 10,000 of 10,000 tool runs left",
    ]
    granted = services.run("meter", "grant", "acct-7", "model_credits", "3.50", *WHY)
    assert (granted.returncode, granted.stderr) == (0, "")
    assert granted.stdout == "granted 3.5 model credits to acct-7; now 78.5 of 78.5 model credits left\n"
    told = services.run("meter", "grant", "acct-7", "tool_runs", "1", *WHY, "--json")
    amounts = json.loads(told.stdout)["balances"]
    assert [(b["resource"], b["remaining"], b["allowed"]) for b in amounts] == [("tool_runs", "10001.000000", True)]


async def test_a_used_id_says_so_and_sends_nothing(services: Processes, pool: Pool) -> None:
    """One order number for the opening and the grant: the grant was lost before, and the command said nothing."""
    assert services.run("meter", "open", "acct-7", "--event-id", ID).returncode == 0
    for amount in ("100", "5"):
        done = services.run("meter", "grant", "acct-7", "model_credits", amount, *WHY, "--event-id", ID)
        assert (done.returncode, done.stdout) == (1, "")
        assert "id_reused" in done.stderr and "position 1" in done.stderr and ID in done.stderr
    assert await pool.fetchval("SELECT sum(accounts_offset)::int FROM meter.shards") == 1
    assert await pool.fetchval("SELECT count(*) FROM meter.rejections") == 0


async def test_opening_again_says_what_differs_and_changes_nothing(services: Processes, pool: Pool) -> None:
    assert services.run("meter", "open", "acct-7", "--contact", "owner@example.com").returncode == 0
    again = services.run("meter", "open", "acct-7", "--contact", "other@example.com", "--plan", "team")
    assert (again.returncode, again.stdout) == (1, "")
    assert "plan: it has free, not team" in again.stderr
    assert "contacts: it has owner@example.com, not other@example.com" in again.stderr
    same = services.run("meter", "open", "acct-7")
    assert (same.returncode, same.stdout) == (1, "") and "What it has is what was asked for" in same.stderr
    assert await pool.fetchval("SELECT sum(accounts_offset)::int FROM meter.shards") == 1


async def test_a_grant_to_nobodys_account_is_asked_for(services: Processes, env: dict[str, str], pool: Pool) -> None:
    grant = ["grant", "acct-8", "model_credits", "3", *WHY]
    piped = services.run("meter", *grant)
    assert (piped.returncode, piped.stdout) == (1, "")
    assert "nobody opened acct-8" in piped.stderr and "--yes" in piped.stderr
    refused = answer(grant, env, "n\n")
    assert refused.returncode == 1 and "Grant nevertheless?" in refused.stderr and "nothing is sent" in refused.stderr
    assert await pool.fetchval("SELECT sum(accounts_offset)::int FROM meter.shards") == 0
    for done in (answer(grant, env, "y\n"), services.run("meter", *grant, "--yes")):
        assert done.returncode == 0, done.stderr
        assert "granted 3 model credits to acct-8" in done.stdout and "nobody opened" in done.stdout


async def test_who_interrupts_the_wait_for_an_effect_is_told_that_it_is_sent(
    processes: Processes, env: dict[str, str], settings: Settings
) -> None:
    """The meter does not run. The record may be on Kafka a moment before the client knows: then that is said."""
    assert processes.run("meter", "setup").returncode == 0
    grant = ["grant", "acct-9", "model_credits", "3", *WHY, "--yes", "--event-id", "order-1"]
    with begun(grant, env) as waiting:
        async with TopicAdmin(settings) as admin:

            async def has_sent() -> bool:
                return sum((await admin.end_offsets(ACCOUNTS)).values()) > 0

            await until(has_sent, 60)
        waiting.send_signal(signal.SIGINT)
        _, said = waiting.communicate(timeout=60)
    assert waiting.returncode == 130
    on_kafka = "it is on Kafka and counts once the service reads it: do not send it again with another id than order-1."
    assert said.decode() in (
        f"interrupted, sent as event order-1: {on_kafka}\n",
        "interrupted while it was sent. It may have arrived: repeat with --event-id order-1\n",
    )


async def test_a_rejected_event_exits_with_1_and_says_why(services: Processes, pool: Pool) -> None:
    """What passes the check of the command may be refused later, here by the database."""
    await pool.execute(
        "ALTER TABLE meter.events ADD CONSTRAINT no_such_account CHECK (account_id <> 'acct-10') NOT VALID"
    )
    rejected = services.run("meter", "open", "acct-10")
    assert (rejected.returncode, rejected.stdout) == (1, "")
    assert "unstorable" in rejected.stderr and "meter rejections show" in rejected.stderr
    for account, count in ("acct-10", 1), ("acct-1", 0):
        listed = services.run("meter", "rejections", "list", "--account", account, "--json")
        assert len(listed.stdout.splitlines()) == count


async def test_bad_contacts_of_another_producer_open_the_account_and_are_remarked(
    services: Processes, settings: Settings, pool: Pool
) -> None:
    event = builders.opened("acct-9", contacts=["ok@example.com", "bad@localhost", "eve@b\u00fccher.example"])
    async with Producer(settings) as producer:
        await producer.publish([Message(ACCOUNTS, "acct-9", builders.encode(event), headers=builders.STRUCTURED)])

    async def opened() -> str | None:
        return await pool.fetchval("SELECT contacts::text FROM projections.account_states")  # type: ignore[no-any-return]

    contacts = await until(opened, timeout_s=30, message="not opened")
    assert json.loads(contacts or "") == ["ok@example.com", "eve@xn--bcher-kva.example"]
    remarks = await pool.fetch("SELECT account_id, field, reason FROM meter.remarks")
    assert [tuple(row) for row in remarks] == [("acct-9", "contacts[1]", "is not one plain email address")]
    shown = services.run("meter", "accounts", "show", "acct-9")
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = [line.partition("\t") for line in shown.stdout.splitlines()]
    fields = [[name, text.strip()] for name, _, text in lines]
    assert ["contacts", "ok@example.com"] in fields and ["balances", "75 of 75 model credits left"] in fields
    [remark] = [text for name, text in fields if name == "remarks"]
    assert remark.startswith("contact 2 is not one plain email address: left out (offset 0, recorded ")
    for text in ("ACCT", "EVE@", "free"):
        found = services.run("meter", "accounts", "find", text, "--json")
        assert [json.loads(line)["account"] for line in found.stdout.splitlines()] == ["acct-9"]
    assert services.run("meter", "accounts", "find", "nobody").stdout.splitlines() == ["account\tplan\tname\topened"]
    unknown = services.run("meter", "accounts", "show", "acct-0")
    assert (unknown.returncode, unknown.stdout) == (1, "") and "nobody opened acct-0" in unknown.stderr
    done = services.run("projections", "verify")
    assert (done.returncode, done.stdout) == (0, "")


async def test_verbs_work_as_the_role_of_support(services: Processes, stack: Addresses, env: dict[str, str]) -> None:
    dsn = stack.dsn(env["METERING_POSTGRES_DSN"].rpartition("/")[2], "credit_support")
    done = services.run("meter", "open", "acct-7", postgres_dsn=dsn)
    assert (done.returncode, done.stderr) == (0, "")
    done = services.run("meter", "grant", "acct-7", "tool_runs", "2", *WHY, postgres_dsn=dsn)
    assert (done.returncode, done.stderr) == (0, "")
