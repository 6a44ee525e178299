"""Usage by slots and days: the fields it is counted by, reversals, zones, hostile values, sums that must agree."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from meter.runtime.postgres import Pool
from projections.verify import verify
from tests.integration.projections_histories import random_usage
from tests.integration.projections_log import MOST, EventLog, fold_all, opened, renamed, reverse, take_batch, used
from tests.integration.usage_log import assert_slots_and_days, assert_usage, fold_usage
from tests.support.damaging import lift_triggers


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
