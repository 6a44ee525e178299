"""The main job with three real processes: exact hits on every line, and stories of accounts: jumps, top-ups, reversals,
refusal, a mail server that is away.
"""

import re
from functools import partial
from typing import Any

from deploy.local.demo.ledger import BANNERS, EMAILS
from deploy.local.stack import Addresses
from meter.runtime.kafka.groups import fetch_committed
from projections.reader import BalanceReader
from schemas.amounts import MAX_USAGE
from schemas.resources import Resource
from schemas.topics import ACCOUNTS, BALANCES, USAGE
from tests.e2e.running import (
    CREDITS,
    MICRO,
    RUNS,
    WAIT_S,
    Running,
    assert_notices_equal_the_books,
    assert_unharmed,
)
from tests.support.waiting import until

MANY = 1_500  # events, which the meter reads as they come, in several batches; together below the first line
ALLOCATIONS = {CREDITS: 75 * MICRO, RUNS: 10_000 * MICRO}
SMALLEST = {CREDITS: 1, RUNS: MICRO}  # what one event can be off by: a micro-unit; a whole run for tools


async def test_every_line_is_hit_exactly_and_not_one_unit_earlier(running: Running) -> None:
    """An account for each resource, line and side of it, driven there by one event, or two beyond what one may have."""
    cases = {
        f"{resource}.{line}.{side}": (resource, line, ALLOCATIONS[resource] * line // 100 + step * SMALLEST[resource])
        for resource in ALLOCATIONS
        for line in BANNERS
        for side, step in (("below", -1), ("at", 0), ("above", 1))
    }
    await running.open(*cases)
    for account, (resource, _, amount) in cases.items():
        for part in filter(None, (min(amount, MAX_USAGE), amount - min(amount, MAX_USAGE))):
            await running.use(account, resource, part)
    await running.settle()
    for account, (resource, _, amount) in cases.items():
        reached = [line for line in BANNERS if amount * 100 >= line * ALLOCATIONS[resource]]
        mailed = [line for line in reached if line in EMAILS]
        assert await running.outcomes(account, "banner") == only_highest(reached), account
        assert await running.outcomes(account, "email") == only_highest(mailed), account
        await running.until_banner(account, (reached[-1], reached[-1] < 100) if reached else None)
        subjects = running.subjects(account)
        assert len(subjects) == (1 if mailed else 0), account
        if mailed:
            percent = amount * 100 // ALLOCATIONS[resource]
            assert re.match(rf"{percent}\s?% of {resource.replace('_', ' ')} used", subjects[0]), subjects
    await assert_notices_equal_the_books(running)
    raised = [event for event in await running.notifications() if event["type"].startswith("banner.")]
    assert {event["type"] for event in raised} == {"banner.raised.v1"}
    assert len(raised) == sum(1 for resource, _, amount in cases.values() if amount * 5 >= ALLOCATIONS[resource])


async def one_event_from_45_to_85_percent_sends_one_email(running: Running) -> None:
    await running.open("jumper")
    await running.use_settled("jumper", CREDITS, "33.75")
    await running.use_settled("jumper", CREDITS, "30")
    assert await running.outcomes("jumper", "email") == {50: "superseded", 70: "superseded", 80: "delivered"}
    assert len(running.subjects("jumper")) == 1
    await running.until_banner("jumper", (80, True))


async def a_top_up_lowers_the_banner_and_arms_the_lines_again(running: Running) -> None:
    """95 % of 75, then 100 credits more: 71.25 of 175 is 40.7 %, so the banner shows 20 and 50 to 90 fire once more."""
    await running.open("payer")
    for amount in ("37.5", "15", "7.5", "7.5", "3.75"):
        await running.use_settled("payer", CREDITS, amount)
    assert [*await running.outcomes("payer", "email")] == [50, 70, 80, 90]
    await running.until_banner("payer", (90, True))
    await running.grant("payer", CREDITS, "100")
    await running.until_banner("payer", (20, True))
    assert await running.outcomes("payer", "email", epoch=2) == {}
    for amount in ("16.25", "35", "17.5", "17.5", "17.5"):
        await running.use_settled("payer", CREDITS, amount)
    assert await running.outcomes("payer", "email", epoch=2) == dict.fromkeys((50, 70, 80, 90), "delivered")
    assert await running.outcomes("payer", "banner", epoch=2) == {20: "seeded"} | dict.fromkeys(
        (50, 70, 80, 90, 100), "delivered"
    )
    await running.until_banner("payer", (100, False))
    assert len(running.subjects("payer")) == 8
    await assert_notices_equal_the_books(running)


async def a_reversal_around_a_line_sends_nothing_twice(running: Running) -> None:
    await running.open("waverer")
    await running.use_settled("waverer", CREDITS, "38")
    for _ in range(3):
        await running.reverse("waverer", CREDITS, "1")
        await running.until_banner("waverer", (20, True))
        await running.use_settled("waverer", CREDITS, "1")
        await running.until_banner("waverer", (50, True))
    assert len(running.subjects("waverer")) == 1
    assert await running.outcomes("waverer", "email") == {50: "delivered"}
    changed = [event["type"] for event in await running.notifications() if is_banner_of("waverer", event)]
    assert changed == ["banner.raised.v1"] + ["banner.changed.v1"] * 6


async def an_exhausted_account_is_refused_until_support_adds_credits(running: Running) -> None:
    reader = BalanceReader(running.pool)
    await running.open("spender", plan="team")
    assert await reader.allowed("spender", Resource.TOOL_RUNS)
    await running.use_settled("spender", RUNS, "10000")
    assert not await reader.allowed("spender", Resource.TOOL_RUNS)
    assert await reader.allowed("spender", Resource.MODEL_CREDITS)
    await running.until_banner("spender", (100, False))
    done = running.processes.run("meter", "grant", "spender", RUNS, "500", "--reason", "top_up", "--reference", "INV-9")
    assert done.returncode == 0, done.stderr
    running.ledger.grant("spender", RUNS, 500 * MICRO)
    await running.settle()
    assert await reader.allowed("spender", Resource.TOOL_RUNS)
    await running.until_banner("spender", None)
    shown = running.processes.run("projections", "show", "spender")
    assert shown.returncode == 0, shown.stderr
    assert "500" in shown.stdout


async def an_account_nobody_opened_is_not_allowed_and_its_usage_counts_later(running: Running) -> None:
    reader = BalanceReader(running.pool)
    await running.usage.model_inference("stranger", credits="5", model="large-chat")
    await running.usage.flush()
    await until(partial(is_kept, running, "stranger"), WAIT_S, "its usage is kept until somebody opens it")
    assert not await reader.allowed("stranger", Resource.MODEL_CREDITS)
    await running.accounts.opened("stranger", plan="free", contacts=[])
    await running.accounts.flush()
    running.ledger.open("stranger")
    running.ledger.use("stranger", CREDITS, 5 * MICRO)
    await running.settle()
    assert await reader.allowed("stranger", Resource.MODEL_CREDITS)


async def a_mail_server_that_is_away(running: Running) -> None:
    await running.open("patient")
    running.mail.stop()
    await running.use("patient", CREDITS, 40_000_000)
    await running.usage.flush()

    async def waits() -> bool:
        query = "SELECT count(*) FROM notifier.emails WHERE state = 'queued' AND account_id = 'patient'"
        return bool(await running.pool.fetchval(query)) and not running.subjects("patient")

    await until(waits, WAIT_S, "the email waits in the queue")
    await running.until_banner("patient", (50, True))  # the banner does not wait for the mail
    running.mail.start()
    await running.settle()
    await assert_unharmed(running, "patient", {50: "delivered"})


async def test_the_story_of_each_account_ends_as_it_should(running: Running) -> None:
    """One after the other on the same services, each with an account of its own; the traceback names the story."""
    for story in (
        one_event_from_45_to_85_percent_sends_one_email,
        a_top_up_lowers_the_banner_and_arms_the_lines_again,
        a_reversal_around_a_line_sends_nothing_twice,
        an_exhausted_account_is_refused_until_support_adds_credits,
        an_account_nobody_opened_is_not_allowed_and_its_usage_counts_later,
        a_mail_server_that_is_away,
    ):
        await story(running)


def is_banner_of(account: str, event: dict[str, Any]) -> bool:
    return bool(event["type"].startswith("banner.") and event["subject"] == account)


async def is_kept(running: Running, account: str) -> bool:
    kept = "SELECT count(*) FROM projections.all_balances WHERE account_id = $1 AND lifetime_consumed > 0"
    return bool(await running.pool.fetchval(kept, account))


async def test_the_services_drain_on_sigterm(running: Running, stack: Addresses) -> None:
    """In the middle of work. Who ends at once leaves Kafka's offsets behind the stored ones; who drains does not."""
    await running.open("leaver")
    for _ in range(MANY):
        await running.use("leaver", RUNS, MICRO)
    await running.usage.flush()
    await until(partial(is_kept, running, "leaver"), WAIT_S, "the first of it counts")
    for service in running.services.values():
        service.terminate()
    assert {name: service.wait() for name, service in running.services.items()} == dict.fromkeys(running.services, 0)
    if stack.kafka_kind != "embedded":  # which does not list what a group has committed
        await assert_offsets_are_committed(running)
    for service in running.services.values():
        service.spawn()
    await running.settle()
    await assert_notices_equal_the_books(running)


async def assert_offsets_are_committed(running: Running) -> None:
    for name, places in (await stored_offsets(running)).items():
        committed = await fetch_committed(running.settings, name, sorted({topic for topic, _ in places}))
        # Nothing depends on a commit: one that no broker answers in time is left out, and the log says so.
        assert committed == places or running.services[name].logged("kafka_commit_failed"), name


async def stored_offsets(running: Running) -> dict[str, dict[tuple[str, int], int]]:
    """By group, topic and shard: where the services go on, of partitions in which something was read."""
    found: dict[str, dict[tuple[str, int], int]] = {"meter": {}, "notifier": {}}
    for row in await running.pool.fetch("SELECT shard, usage_offset, accounts_offset FROM meter.shards"):
        found["meter"] |= {(USAGE, row["shard"]): row["usage_offset"], (ACCOUNTS, row["shard"]): row["accounts_offset"]}
    for row in await running.pool.fetch("SELECT shard, next_offset FROM notifier.cursors"):
        found["notifier"][BALANCES, row["shard"]] = row["next_offset"]
    return {group: {place: offset for place, offset in places.items() if offset} for group, places in found.items()}


def only_highest(lines: list[int]) -> dict[int, str]:
    """Crossed at once: the highest is delivered, the others superseded."""
    return {line: "delivered" if line == lines[-1] else "superseded" for line in lines}
