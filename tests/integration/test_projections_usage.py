"""Usage by slots and days: the fields it is counted by, reversals, zones, hostile values, sums that must agree."""

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from meter.runtime.postgres import Pool
from projections.rebuild import Model, Rebuild
from projections.verify import verify
from schemas.events import CODES
from tests.integration.projections_log import (
    CREDITS,
    GUARDRAIL,
    INFERENCE,
    MOST,
    REVERSED,
    RUNS,
    SCRIPT,
    TOOL,
    Event,
    EventLog,
    closed,
    fold_all,
    opened,
    renamed,
    take_batch,
    used,
)
from tests.integration.usage_log import assert_slots_and_days, assert_usage, fold_usage
from tests.support.damaging import lift_triggers

ZONES = (
    "Europe/Berlin",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "UTC",
    "No/Where",
    "ABC-5",
    "PST8",
)
# Of fields for information: what can be read, and what costs nothing but itself.
VALUES: dict[str, tuple[Any, ...]] = {
    "deployment": ("eu-1", "us-1", "", " ", 7, "x" * 256, "x" * 257, None, ["eu"], "é\u200d\U0001f469"),
    "status": ("ok", "failed", "s" * 100, {}, True),
    "category": ("inference", "hosting", "fine_tuning", "storage", "other", 5, None),
    "input_tokens": (0, 812, 812.0, -1, "812", 1.5, 10**15, 10**15 + 1, None, True),
    "output_tokens": (1, 2, [], 10**15),
    "seconds": (0, 60, 0.25, 1e-7, -1, "60", 10**9, 10**9 + 1),
    "hardware": ("a10g", "", 5),
    "replicas": (1, 2, 0.5),
    "memory_gb": (2, 0.5),
}


def reverse(event: Event, amount: int, after: timedelta) -> Event:
    return Event(
        account_id=event.account_id, type=REVERSED, resource=event.resource, amount=amount, name="failed_run",
        occurred_at=event.occurred_at + after, reverses=event,
    )  # fmt: skip


def random_usage(seed: int, length: int = 400) -> list[Event]:
    """Around the nights at which clocks change: with what producers send, renames of zones, reversals with a link."""
    rng = random.Random(seed)
    accounts = [f"acct-{number}" for number in range(5)]
    events = [event for name in accounts for event in opened(name)]
    taken: list[Event] = []
    for _ in range(length):
        name = rng.choice(accounts)
        night = rng.choice((datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)))
        at = night + timedelta(minutes=rng.randint(-600, 600), microseconds=rng.choice((0, 1, 59_999_999)))
        match rng.randrange(12):
            case 0:
                events.append(renamed(name, time_zone=rng.choice(ZONES)))
            case 1 if taken:
                origin = rng.choice(taken)
                events.append(reverse(origin, rng.randint(1, origin.amount), timedelta(minutes=rng.randint(0, 90))))
            case 2:
                events.append(replace(reverse(used(name, 1), 1000, timedelta()), reverses=None, occurred_at=at))
            case _:
                kind = rng.choice((INFERENCE, GUARDRAIL, SCRIPT, TOOL))
                data = {field: rng.choice(values) for field, values in VALUES.items() if rng.random() < 0.4}
                event = used(name, rng.randint(1, 5_000_000) / 1_000_000, rng.choice("abc"), occurred_at=at, data=data)
                taken.append(replace(event, type=kind, resource=RUNS if kind == TOOL else CREDITS))
                events.append(taken[-1])
    return events


@pytest.mark.parametrize(("seed", "most_events"), [(1, 1), (2, 7), (3, 60), (4, 100_000)])
async def test_usage_is_that_of_the_log_wherever_it_is_cut(
    pool: Pool, log: EventLog, seed: int, most_events: int
) -> None:
    history = random_usage(seed, 120 if most_events == 1 else 400)
    while history:
        await log.append(*take_batch(history, 90))
        await fold_all(pool, MOST)
        await fold_usage(pool, most_events)
    await assert_usage(pool, log.events)
    sums = await pool.fetch(
        """
        SELECT b.account_id, b.resource, b.lifetime_consumed, s.amount AS slots, d.amount AS days, l.amount AS log
        FROM projections.balances b
        JOIN (SELECT account_id, resource, sum(amount) AS amount FROM projections.usage_by_slot GROUP BY 1, 2) s
            USING (account_id, resource)
        JOIN (SELECT account_id, resource, sum(amount) AS amount FROM projections.usage_by_own_day GROUP BY 1, 2) d
            USING (account_id, resource)
        JOIN (
            SELECT account_id, resource,
                   sum(CASE WHEN type LIKE 'usage.reversed%' THEN -amount ELSE amount END) AS amount
            FROM meter.event_log WHERE type LIKE 'usage%' GROUP BY 1, 2
        ) l USING (account_id, resource)
        """
    )
    assert len(sums) == 10
    assert [tuple(row) for row in sums if len(set(row[2:])) > 1] == []


async def test_a_linked_reversal_is_taken_from_the_line_of_its_usage_at_its_own_time(pool: Pool, log: EventLog) -> None:
    run = used("acct-1", 10, "sage", data={"deployment": "eu", "status": "ok", "input_tokens": 5})
    await log.append(*opened("acct-1"), run, reverse(run, 4_000_000, timedelta(hours=24)))
    await fold_all(pool, MOST)
    await fold_usage(pool)
    rows = await pool.fetch(
        "SELECT day, kind, item, deployment, status, events, amount, tokens_in "
        "FROM projections.usage_by_own_day ORDER BY day"
    )
    assert [tuple(row) for row in rows] == [
        (date(2026, 11, 24), "model_inference", "sage", "eu", "ok", 1, Decimal(10), Decimal(5)),
        (date(2026, 11, 25), "model_inference", "sage", "eu", "ok", 0, Decimal(-4), Decimal(0)),
    ]


async def test_numbers_that_postgres_has_no_type_for_cost_only_themselves(pool: Pool, log: EventLog) -> None:
    await log.append(*opened("acct-1"), used("acct-1", 1, data={"deployment": "eu", "input_tokens": 3}))
    await lift_triggers(pool, "meter.events")
    await pool.execute(
        """UPDATE meter.events SET data =
        '{"deployment": "eu", "input_tokens": 1e999999, "output_tokens": 3, "x": -1e200000}' WHERE type = 1"""
    )
    await fold_all(pool, MOST)
    await fold_usage(pool)
    row = await pool.fetchrow("SELECT deployment, tokens_in, tokens_out, amount FROM projections.usage_by_slot")
    assert row is not None and tuple(row) == ("eu", 0, 3, 1)


async def test_the_longest_names_of_all_fit_into_the_keys(pool: Pool, log: EventLog) -> None:
    """Random characters of four bytes each: nothing that the index could pack."""
    rng = random.Random(5)
    longest = ["".join(chr(rng.randint(0x10000, 0x1FFFF)) for _ in range(256)) for _ in range(3)]
    account = "a" * 128
    data = {"deployment": longest[1], "status": longest[2], "category": "fine_tuning"}
    await log.append(*opened(account), used(account, 1, longest[0], data=data))
    await fold_all(pool, MOST)
    await assert_usage(pool, log.events)


async def test_sums_of_tokens_have_no_end(pool: Pool, log: EventLog) -> None:
    for _ in range(2):
        await log.append(*(used("acct-1", 0.01, data={"input_tokens": 10**15}) for _ in range(5000)))
        await fold_all(pool, MOST)
        await fold_usage(pool)
    assert await pool.fetchval("SELECT sum(tokens_in) FROM projections.usage_slots") == 10**19


async def test_a_change_of_zone_counts_the_days_anew(pool: Pool, log: EventLog) -> None:
    late = datetime(2026, 11, 24, 18, 20, tzinfo=UTC)  # 00:05 of the next day in Kathmandu
    await log.append(*opened("acct-1"), *opened("acct-2"))
    await log.append(*(used(account, 1, occurred_at=late) for account in ("acct-1", "acct-2")))
    await fold_all(pool, MOST)
    await fold_usage(pool)

    async def days() -> list[tuple[object, ...]]:
        rows = await pool.fetch("SELECT account_id, day, time_zone FROM projections.usage_by_own_day ORDER BY 1")
        return [tuple(row) for row in rows]

    first, next_ = date(2026, 11, 24), date(2026, 11, 25)
    assert await days() == [("acct-1", first, "UTC"), ("acct-2", first, "UTC")]
    await log.append(renamed("acct-1", time_zone="Asia/Kathmandu"))
    await fold_all(pool, MOST)
    await fold_usage(pool)
    assert await days() == [("acct-1", next_, "Asia/Kathmandu"), ("acct-2", first, "UTC")]
    for sent, day, zone in (
        ("Asia/Nowhere", next_, "Asia/Kathmandu"), ("ASIA/TOKYO", next_, "Asia/Tokyo"),
        ("posix/UTC", next_, "Asia/Tokyo"), ("utc", first, "UTC"),
    ):  # fmt: skip
        await log.append(renamed("acct-1", time_zone=sent), used("acct-1", 1, occurred_at=late))
        await fold_all(pool, MOST)
        await fold_usage(pool)
        assert await days() == [("acct-1", day, zone), ("acct-2", first, "UTC")]
        assert [difference async for report in verify(pool) for difference in report.differences] == []
    await assert_slots_and_days(pool, log.events)


async def test_what_an_item_ran_on_is_of_its_newest_event_that_says_so(pool: Pool, log: EventLog) -> None:
    def hosted(**data: Any) -> Event:
        return replace(used("acct-1", 0.001283, "score", data={"deployment": "eu", **data}), type=SCRIPT)

    await log.append(*opened("acct-1"), hosted(cpus=1, memory_gb=2, language="python"), hosted())
    await fold_all(pool, MOST)
    await fold_usage(pool)
    await log.append(hosted(cpus=0.5, memory_gb="much", replicas=2), hosted(seconds=60))
    await fold_all(pool, MOST)
    await fold_usage(pool)
    row = await pool.fetchrow(
        "SELECT kind, id, name, deployment, cpus, memory_gb, replicas, language, told FROM projections.catalogue"
    )
    assert row is not None
    assert tuple(row) == ("script", "score", "score", "eu", Decimal("0.5"), None, 2, None, False)


async def test_as_of_is_now_where_all_is_folded_and_else_the_first_event_that_is_not(pool: Pool, log: EventLog) -> None:
    await log.append(*opened("acct-1"), used("acct-1", 1))
    shard = log.events[0].shard
    asked = "SELECT as_of = now(), lag, behind FROM projections.usage_as_of WHERE shard = $1"
    before = await pool.fetchrow(asked, shard)
    assert before is not None and (before[0], before["behind"]) == (False, 4)
    assert before["lag"] > timedelta()
    await fold_all(pool, MOST)
    await fold_usage(pool)
    after = await pool.fetchrow(asked, shard)
    assert after is not None and tuple(after) == (True, timedelta(), 0)


def item(account_id: str, id: str, name: str, **more: Any) -> Event:
    data = {"kind": "model", "id": id, "name": name, "status": "deployed", **more}
    return Event(account_id=account_id, type=CODES["item.changed.v1"], name=id, data=data)


@pytest.mark.parametrize("most_events", [1, 100])
async def test_the_catalogue_has_the_newest_of_each_item_used_or_not(
    pool: Pool, log: EventLog, most_events: int
) -> None:
    await log.append(
        *opened("acct-1"),
        item("acct-1", "sage", "Sage", owner="Ann", type="base", deployed_at="2026-11-20T10:00:00+05:45"),
        used("acct-1", 1, "sage", data={"deployment": "eu", "hardware": "a10g"}),
        used("acct-1", 1, "sage", data={"deployment": "us"}),
        used("acct-1", 1, "rare"),
        item("acct-1", "idle", "Idle", owner="", type="odd", deployed_at="2026-02-31T00:00:00Z", x=1),
        item("acct-1", "sage", "Sage 2", status="undeployed", deployed_at="2026-11-20T10:00:00+05:45"),
        item("acct-2", "sage", "Other", kind="tool"),
    )
    await fold_all(pool, MOST)
    await fold_usage(pool, most_events)
    rows = await pool.fetch(
        "SELECT id, name, status, owner, type, deployed_at, deployment, hardware, told FROM projections.catalogue "
        "WHERE account_id = 'acct-1' ORDER BY id, deployment"
    )
    deployed_at = datetime(2026, 11, 20, 4, 15, tzinfo=UTC)
    assert [tuple(row) for row in rows] == [
        ("idle", "Idle", "deployed", None, None, None, "", None, True),
        ("rare", "rare", None, None, None, None, "", None, False),
        ("sage", "Sage 2", "undeployed", None, None, deployed_at, "eu", "a10g", True),
        ("sage", "Sage 2", "undeployed", None, None, deployed_at, "us", None, True),
    ]
    await pool.execute("UPDATE projections.items SET name = 'changed' WHERE id = 'sage'")
    await pool.execute("DELETE FROM projections.items WHERE id = 'idle'")
    [exchange] = await Rebuild(pool, [Model.USAGE], progress=lambda _events: None).run()
    assert (exchange.added, exchange.changed, exchange.removed) == (1, 2, 0)
    assert await pool.fetchval("SELECT array_agg(name ORDER BY name) FROM projections.items") == [
        "Idle",
        "Other",
        "Sage 2",
    ]


def spread(account_id: str, amount: float, hours: int, events: int) -> list[Event]:
    """Usage of the last hours, an equal part in each event."""
    now = datetime.now(UTC)
    return [
        used(account_id, amount / events, occurred_at=now - timedelta(hours=hours * number / events, minutes=1))
        for number in range(events)
    ]


@pytest.mark.parametrize(
    ("history", "hours_left"),
    [
        (spread("acct-1", 24, 20, 20), 51),
        (spread("acct-1", 0.24, 20, 20), 7476),  # nearly a year
        (spread("acct-1", 0.024, 20, 24), None),
        (spread("acct-1", 75, 20, 20), None),  # nothing left
        (spread("acct-1", 24, 20, 9), None),  # too few events
        (spread("acct-1", 24, 1, 20), None),  # too few hours
        ([*spread("acct-1", 24, 20, 20), closed("acct-1")], None),
        ([], None),
    ],
)
async def test_the_runway_says_when_nothing_will_be_left_or_nothing(
    pool: Pool, log: EventLog, history: list[Event], hours_left: int | None
) -> None:
    await log.append(*opened("acct-1"), *history)
    await fold_all(pool, MOST)
    await fold_usage(pool)
    row = await pool.fetchrow(
        "SELECT pace_per_hour, empty_at - now() AS left, remaining FROM projections.runway "
        "WHERE account_id = 'acct-1' AND resource = 'model_credits'"
    )
    assert row is not None
    assert row["left"] == (None if hours_left is None else timedelta(hours=hours_left))
