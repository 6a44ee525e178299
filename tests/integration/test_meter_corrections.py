"""Reversals and revocations beside running services: what the verbs say, and reversals that come before their usage."""

import json
from collections.abc import AsyncIterator

import pytest

from meter.client import AccountsProducer, UsageProducer
from meter.runtime.postgres import Pool
from meter.runtime.settings import Settings
from schemas.resources import Resource
from tests.support.processes import Processes
from tests.support.waiting import until

CREDITS = Resource.MODEL_CREDITS
WHY = ("--reason", "outage", "--yes")
REFERENCE = ("--reference", "T-17")


@pytest.fixture
async def usage(processes: Processes, settings: Settings) -> AsyncIterator[UsageProducer]:
    done = processes.run("meter", "setup")
    assert done.returncode == 0, done.stderr
    async with UsageProducer(settings, source="/example/gateway") as producer:
        yield producer


async def test_the_verbs_print_the_effect_and_refuse_what_is_not_there(
    usage: UsageProducer, processes: Processes, pool: Pool
) -> None:
    for name in ("meter", "projections"):
        processes.start(name)
    assert processes.run("meter", "open", "acct-7").returncode == 0
    used = await usage.model_inference("acct-7", credits="5", model="swift-1", event_id="request 1")
    await usage.flush()
    await until(lambda: is_stored(pool, 4), 30, "the usage is stored")

    done = processes.run("meter", "reverse", "acct-7", used, "--amount", "3", *WHY)
    assert (done.returncode, done.stderr) == (0, "")
    day = await pool.fetchval("SELECT occurred_at::date::text FROM meter.events WHERE type = 1")
    expected = (
        f"reversed 3 model credits of acct-7's swift-1 (model inference, {day}); now 73 of 75 model credits left\n"
    )
    assert done.stdout == expected
    done = processes.run("meter", "reverse", "acct-7", used, "--amount", "2.5", *WHY)
    assert (done.returncode, done.stdout) == (1, "")
    only = "of its 5 model credits only 2 can still be reversed"
    assert done.stderr == f"reverses_too_much: {only}. Nothing is sent.\n"
    done = processes.run("meter", "reverse", "acct-7", used, "--all", "--json", *WHY)
    assert done.returncode == 0 and json.loads(done.stdout)["balances"][0]["remaining"] == "75.000000"
    done = processes.run("meter", "reverse", "acct-7", used, "--all", *WHY)
    assert done.returncode == 1 and "all of its 5 model credits were reversed before" in done.stderr
    for arguments in (["acct-7", "request 2"], ["acct-8", used], ["acct-7", used, "--source", "/example/other"]):
        done = processes.run("meter", "reverse", *arguments, "--all", *WHY)
        assert done.returncode == 1 and "reverses_unknown" in done.stderr

    done = processes.run("meter", "revoke", "acct-7", "model_credits", "76", *WHY, *REFERENCE)
    only = "no more than the 75 model credits granted to acct-7 can be taken back"
    assert (done.returncode, done.stderr) == (1, f"revokes_too_much: {only}. Nothing is sent.\n")
    for more, reason in (("--grant", "order 9"), "revokes_unknown"), (("--no-wait",), "revokes_too_much"):
        done = processes.run("meter", "revoke", "acct-7", "model_credits", "76", *WHY, *REFERENCE, *more)
        assert (done.returncode, done.stdout) == (1, "") and reason in done.stderr
    assert await pool.fetchval("SELECT count(*) FROM meter.rejections") == 0, "nothing was sent"
    done = processes.run("meter", "revoke", "acct-7", "model_credits", "75", *WHY, *REFERENCE)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "revoked 75 model credits of acct-7; now 0 of 0 model credits left, refused\n"

    async def taken_back() -> bool:
        rows = await pool.fetch("SELECT name, kind, events, amount FROM projections.usage_by_day")
        return [tuple(row) for row in rows] == [("swift-1", "model_inference", 1, 0)]

    await until(taken_back, message="usage by day follows")
    for verify in (("meter", "verify"), ("projections", "verify")):
        assert processes.run(*verify).returncode == 0


async def test_a_reversal_that_is_read_before_its_usage_waits(
    usage: UsageProducer, processes: Processes, settings: Settings, pool: Pool
) -> None:
    """Both wait on Kafka while the meter is away, and accounts are read first; batches of one record."""
    used = [await usage.model_inference("acct-7", credits="1", model="swift-1") for _ in range(5)]
    await usage.flush()
    async with AccountsProducer(settings, source="/example/billing") as accounts:
        for name in used[-1], "request 2":
            await accounts.reversed("acct-7", resource=CREDITS, amount="1", reason="outage", reverses=name)
    processes.start("meter", batch_events="1")
    await until(lambda: outcomes(pool, stored=6, rejected=1), 60, "both reversals are judged")
    waited = await pool.fetch("SELECT kafka_offset, reverses, usage_end FROM meter.waiting ORDER BY 1")
    assert [tuple(row)[:2] for row in waited[:2]] == [(0, used[-1]), (1, "request 2")]
    assert await pool.fetchval("SELECT reason FROM meter.rejections") == "reverses_unknown"
    link = await pool.fetchrow("SELECT position, reverses FROM meter.reversals")
    assert link is not None and tuple(link) == (6, 5)

    async def is_sent() -> bool:  # what is sent again may be judged before it is deleted from the outbox
        return bool(await pool.fetchval("SELECT count(*) = 0 FROM meter.outbox"))

    await until(is_sent, message="the outbox is empty")
    listed = processes.run("meter", "waiting", "--all", "--account", "acct-7", "--json")
    lines = [json.loads(line) for line in listed.stdout.splitlines()]
    assert {(line["reverses"], line["usage_left"], line["state"]) for line in lines} == {
        (used[-1], 0, "sent again"), ("request 2", 0, "sent again"),
    }  # fmt: skip
    assert processes.run("meter", "waiting").stdout.count("\n") == 1
    done = processes.run("meter", "verify")
    assert done.returncode == 0, done.stdout


async def is_stored(pool: Pool, position: int) -> bool:
    return bool(await pool.fetchval("SELECT max(position) >= $1 FROM meter.events", position))


async def outcomes(pool: Pool, *, stored: int, rejected: int) -> bool:
    row = await pool.fetchrow("SELECT sum(stored) = $1 AND sum(rejected) = $2 FROM meter.batches", stored, rejected)
    return bool(row and row[0])
