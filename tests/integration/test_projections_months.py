"""Sums of days and months: whatever the history, the zone and the range, figures are those of the log."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest

from meter.runtime.postgres import Pool
from projections.console.periods import Period, midnight
from projections.console.reader import ConsoleReader
from projections.store_usage import USAGE
from projections.sums import SumStore, running_day, running_month
from projections.verify import verify
from tests.integration.projections_log import (
    CREDITS,
    GUARDRAIL,
    INFERENCE,
    RUNS,
    SCRIPT,
    TOOL,
    Event,
    EventLog,
    fold_all,
    opened,
    renamed,
    reversal_of,
    take_batch,
    used,
)
from tests.integration.usage_log import KINDS, add_up, assert_slots_and_days, fetch_zones, fold_usage, sum_all

ACCOUNTS = ("acct-1", "acct-2", "acct-3", "acct-4")
# With quarter hours, half hours of daylight saving time, and clocks that change at midnight.
ZONES = ("Asia/Kathmandu", "Australia/Lord_Howe", "America/Havana", "Pacific/Chatham", "Europe/Berlin", "No/Where")
TODAY = date(2026, 11, 24)
FIRST = TODAY - timedelta(days=396)


def random_year(seed: int, length: int) -> list[Event]:
    """Usage of thirteen months in no order, most of it about the nights in which months and clocks change."""
    rng = random.Random(seed)
    events = [event for name in ACCOUNTS for event in opened(name)]
    taken: list[Event] = []
    for _ in range(length):
        name = rng.choice(ACCOUNTS)
        month = (FIRST + timedelta(days=rng.randint(0, 395))).replace(day=1)
        near = rng.choice((month, date(2026, 3, 8), date(2026, 4, 5), FIRST + timedelta(days=rng.randint(1, 395))))
        at = datetime.combine(near, time(), UTC) + timedelta(minutes=rng.randint(-900, 900))
        match rng.randrange(12):
            case 0:
                events.append(renamed(name, time_zone=rng.choice(ZONES)))
            case 1 if taken:
                origin = rng.choice(taken)
                events.append(reversal_of(origin, rng.randint(1, origin.amount), occurred_at=at))
            case _:
                kind = rng.choice((INFERENCE, GUARDRAIL, SCRIPT, TOOL))
                data = {"status": rng.choice(("ok", "failed")), "seconds": rng.randint(0, 99), "input_tokens": 7}
                event = used(name, rng.randint(1, 10**7) / 10**6, rng.choice("abc"), occurred_at=at, data=data)
                taken.append(replace(event, type=kind, resource=RUNS if kind == TOOL else CREDITS))
                events.append(taken[-1])
    return events


def range_of(first: date, last: date, zone: ZoneInfo) -> Period:
    start, end = midnight(first, zone).astimezone(UTC), midnight(last + timedelta(days=1), zone).astimezone(UTC)
    return Period(name="custom", start=start, end=end, first=first, last=last, unit="day", zone=zone)


def random_ranges(rng: random.Random) -> list[tuple[date, date]]:
    """From any day to any day, and those that begin or end with months."""
    found = []
    for _ in range(4):
        first, last = sorted(FIRST + timedelta(days=rng.randint(0, 396)) for _ in range(2))
        found += [(first, last), (first.replace(day=1), last), (first.replace(day=1), last.replace(day=1))]
        found.append((first, max(first, last.replace(day=1) - timedelta(days=1))))
    return [*found, (FIRST, TODAY)]


Line = tuple[Any, ...]


def expect(
    sums: dict[Line, Line], account_id: str, first: date, last: date
) -> tuple[dict[Line, Line], dict[Line, Decimal]]:
    """By item and by day of one account, from the log's own sums by day."""
    items: defaultdict[Line, list[Line]] = defaultdict(list)
    points: defaultdict[Line, Decimal] = defaultdict(Decimal)
    for (_shard, account, day, _resource, kind, item, _deployment, _category, status), line in sums.items():
        if account == account_id and first <= day <= last:
            items[KINDS[kind], item, status].append(line)
            points[day, KINDS[kind]] += Decimal(line[1]) / 10**6
    return {key: add_lines(lines) for key, lines in items.items()}, dict(points)


def add_lines(lines: Sequence[Line]) -> Line:
    events, amounts, *counts, _last = (list(column) for column in zip(*lines, strict=True))
    return (sum(events), Decimal(sum(amounts)) / 10**6, *map(sum, counts), max(line[5] for line in lines))


def by_item(items: dict[Line, Line]) -> dict[Line, Decimal]:
    sums: defaultdict[Line, Decimal] = defaultdict(Decimal)
    for (kind, item, _status), line in items.items():
        sums[kind, item] += line[1]
    return dict(sums)


async def assert_ranges(pool: Pool, events: Sequence[Event], rng: random.Random) -> None:
    zones, reader = await fetch_zones(pool), ConsoleReader(pool)
    sums = add_up(events, lambda e: e.occurred_at.astimezone(zones.get(e.account_id, UTC)).date())
    for account_id in ACCOUNTS:
        zone = zones.get(account_id, ZoneInfo("UTC"))
        for first, last in random_ranges(rng):
            period = range_of(first, last, zone)
            usage, points = await reader.usage(account_id, period), await reader.points(account_id, period)
            found = {
                (row.kind, row.item, row.status): (
                    row.events, row.amount, row.tokens_in, row.tokens_out, row.seconds, row.last_used,
                )
                for row in usage
            }  # fmt: skip
            items, days = expect(sums, account_id, first, last)
            assert found == items, (account_id, first, last)
            amounts = {(row.kind, row.item): row.amount for row in await reader.amounts(account_id, period)}
            assert amounts == by_item(items)
            assert {(row.at.astimezone(zone).date(), row.kind): row.amount for row in points} == days


async def differences(pool: Pool) -> list[object]:
    return [difference async for report in verify(pool) for difference in report.differences]


@pytest.mark.parametrize(("seed", "piece_lines"), [(1, 1), (2, 13), (3, 1000)])
async def test_figures_by_months_are_those_of_days_and_of_the_log(
    pool: Pool, log: EventLog, seed: int, piece_lines: int
) -> None:
    rng, history = random.Random(seed), random_year(seed, 360)
    sums = SumStore(pool, USAGE, piece_lines=piece_lines, piece_balances=4)
    now = datetime.combine(FIRST, time(), UTC)
    while history:
        now += timedelta(days=rng.randint(20, 90))
        await log.append(*take_batch(history, 60))
        await fold_all(pool)
        await fold_usage(pool, rng.choice((7, 60)))
        for _ in range(rng.randint(0, 9)):  # not always to the end: some have months, others days or slots alone
            await sums.sum_up(now)
        await assert_ranges(pool, log.events, rng)
        await assert_slots_and_days(pool, log.events)
        assert await differences(pool) == []
    assert await sum_all(pool, now) > 0
    await assert_ranges(pool, log.events, rng)
    for table in ("usage_totals", "usage_months"):
        assert await pool.fetchval(f"SELECT count(*) FROM projections.{table}") > 0


@pytest.mark.parametrize("unknown", ["usage_summed", "usage_days_summed"])
async def test_a_fold_that_knows_no_sums_makes_them_count_no_more(pool: Pool, log: EventLog, unknown: str) -> None:
    """The version before, which goes on beside this one for minutes, or comes back for a day. It moves months on, where
    it knows them, and leaves days that nobody may count."""
    rng, history, now = random.Random(5), random_year(5, 200), datetime(2026, 11, 24, tzinfo=UTC)
    await log.append(*take_batch(history, 100))
    await fold_all(pool)
    await fold_usage(pool)
    await sum_all(pool, now)
    kept = await pool.fetch(f"SELECT * FROM projections.{unknown}")
    await pool.execute(f"DELETE FROM projections.{unknown}")
    await log.append(*take_batch(history, len(history)))
    await fold_all(pool)
    await fold_usage(pool)
    await pool.executemany(f"INSERT INTO projections.{unknown} VALUES ($1, $2, $3, $4, $5)", [tuple(r) for r in kept])
    if unknown == "usage_days_summed":
        await pool.execute("UPDATE projections.usage_totals SET amount = amount + 1")
        await pool.execute("UPDATE projections.usage_months SET amount = amount + 1")
        await pool.execute(
            "UPDATE projections.usage_summed s SET position = c.position FROM projections.cursors c "
            "WHERE c.shard = s.shard AND c.projection = 'usage'"
        )
    await assert_ranges(pool, log.events, rng)
    assert await differences(pool) == []
    assert await sum_all(pool, now) > 0
    await assert_ranges(pool, log.events, rng)
    assert await differences(pool) == []


async def test_days_are_added_up_after_18_hours_and_months_after_two_days_and_once(pool: Pool, log: EventLog) -> None:
    await log.append(*opened("acct-1"), used("acct-1", 1, occurred_at=datetime(2026, 10, 31, 12, tzinfo=UTC)))
    await fold_all(pool)
    await fold_usage(pool)

    async def months() -> list[date]:
        return [row["month"] for row in await pool.fetch("SELECT month FROM projections.usage_by_own_month")]

    await sum_all(pool, datetime(2026, 11, 1, 17, 59, tzinfo=UTC))
    assert await pool.fetchval("SELECT count(*) FROM projections.usage_totals") == 0
    await sum_all(pool, datetime(2026, 11, 1, 18, tzinfo=UTC))
    assert await pool.fetchval("SELECT count(*) FROM projections.usage_totals") == 1

    await sum_all(pool, datetime(2026, 11, 2, 23, tzinfo=UTC))
    assert await months() == []
    await sum_all(pool, datetime(2026, 11, 3, tzinfo=UTC))
    assert await months() == [date(2026, 10, 1)]
    assert await sum_all(pool, datetime(2026, 11, 3, 17, 59, tzinfo=UTC)) == 0


def test_the_running_day_is_over_nowhere_or_just_now() -> None:
    """Clocks go 12 hours behind UTC, and what is 6 hours late is late."""
    assert running_day(datetime(2026, 3, 2, 17, 59, tzinfo=UTC)) == date(2026, 3, 1)
    assert running_day(datetime(2026, 3, 2, 18, tzinfo=UTC)) == date(2026, 3, 2)
    offsets = [ZoneInfo(name).utcoffset(datetime(2026, 3, 2)) or timedelta() for name in available_timezones()]
    assert min(offsets) == timedelta(hours=-12)


def test_the_running_month_is_never_over() -> None:
    assert running_month(datetime(2026, 3, 2, 23, 59, tzinfo=UTC)) == date(2026, 2, 1)
    assert running_month(datetime(2026, 3, 3, tzinfo=UTC)) == date(2026, 3, 1)
