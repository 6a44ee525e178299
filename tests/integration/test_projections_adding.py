"""Usage that nobody is told of is added in the database: exactly that of which the fold would publish nothing."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from meter.runtime.postgres import Pool
from projections.fold import BalanceState, Kind, Step, apply, must_publish
from projections.store import as_balance_state, as_usage_total, save_balances, sql

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVENT = """
INSERT INTO meter.events (position, amount, kafka_offset, occurred_at, recorded_at, id, event_key, shard, type,
                          resource, account_id, name, source, data)
SELECT position, amount, position, $4, $4, position::text, sha256(position::text::bytea), 0, 1, 1, account_id, 'swift',
       'https://example.com', '{}'
FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS e (position, amount, account_id)
"""
STATES = f"SELECT {', '.join(BalanceState._fields)} FROM projections.balance_states"
ALLOCATIONS = (0, 1, 99, 100, 101, 75_000_000, 75_000_001, 10**16, 10**30)
# Usage so far, in hundredths of the allocation, and beside it.
SHARES = (-150, -1, 0, 1, 49, 50, 99, 100, 101, 250)
BESIDE = (-1, 0, 1)
AMOUNTS = (1, 2, 499_999, 750_000, 10_000_000_000)


def draw_states(seed: int) -> Iterator[tuple[BalanceState, int]]:
    """Balances of every kind, with what is used next."""
    draw = random.Random(seed)
    for allocation in ALLOCATIONS:
        for share in SHARES:
            for beside in BESIDE:
                base = draw.choice((0, 0, 7, 75_000_000, 10**28))
                used = allocation * share // 100 + beside
                amount = draw.choice((*AMOUNTS, max(1, allocation // 100), max(1, allocation // 100 - 1)))
                opened = draw.random() < 0.9
                epoch = draw.choice((1, 2, 40)) if opened else 0
                granted = base + allocation
                yield (
                    BalanceState(
                        "", 1, 0, granted, base + used, base, epoch, (granted,), draw.randrange(3), NOON, opened,
                        draw.random() < 0.1, False,
                    ),
                    min(amount, 10**13),
                )  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
async def test_the_database_adds_what_the_fold_would_tell_nobody(pool: Pool, seed: int) -> None:
    drawn = [
        (state._replace(account_id=f"acct-{number:04d}"), amount)
        for number, (state, amount) in enumerate(draw_states(seed))
    ]
    later = NOON + timedelta(seconds=1)
    positions = [3 + number for number in range(len(drawn))]
    async with pool.acquire() as connection:
        await save_balances(connection, [state for state, _ in drawn])
        await connection.execute(
            EVENT, positions, [amount for _, amount in drawn], [state.account_id for state, _ in drawn], later
        )
        rows = await connection.fetch(sql("add_usage"), [0], [2], [positions[-1]], [], [], [])
        stored = {state.account_id: state for state in map(as_balance_state, await connection.fetch(STATES))}
    asked = {total.key[0] for total in map(as_usage_total, (row for row in rows if row["account_id"] is not None))}
    added = [row for row in rows if row["account_id"] is None]
    expected = {}
    for (state, amount), position in zip(drawn, positions, strict=True):
        expected[state.account_id] = apply(state, Step(Kind.USAGE, amount, position, later))
    told = {state.account_id for state, _ in drawn if must_publish(state, expected[state.account_id])}
    nothing = {state.account_id for state, _ in drawn if state.epoch and state.allocation <= 0}
    assert asked == told | nothing
    assert len(told) > 20
    assert [(row["shard"], row["events"], row["amount"], row["as_of"]) for row in added] == [
        (0, len(drawn) - len(asked), len(drawn) - len(asked), later)
    ]
    for state, _ in drawn:
        name = state.account_id
        assert stored[name] == (state if name in asked else expected[name])


async def test_usage_beside_events_of_other_kinds_is_left_to_the_fold(pool: Pool) -> None:
    state = BalanceState("acct-1", 1, 0, 1000, 0, 0, 1, (1000,), 1, NOON, True, False, False)
    async with pool.acquire() as connection:
        await save_balances(connection, [state, state._replace(account_id="acct-2")])
        await connection.execute(EVENT, [3, 4, 5], [1, 1, 1], ["acct-1", "acct-2", "acct-3"], NOON)
        rows = await connection.fetch(sql("add_usage"), [0], [2], [5], ["acct-1"], [1], [2])
    assert {row["account_id"] for row in rows} == {None, "acct-1", "acct-3"}


async def test_what_was_added_before_is_not_added_again(pool: Pool) -> None:
    """Its position tells. The cursor does so before; this is a second fence."""
    state = BalanceState("acct-1", 1, 0, 10**9, 5, 0, 1, (10**9,), 3, NOON, True, False, False)
    async with pool.acquire() as connection:
        await save_balances(connection, [state])
        await connection.execute(EVENT, [3], [1], ["acct-1"], NOON)
        rows = await connection.fetch(sql("add_usage"), [0], [2], [3], [], [], [])
        assert [row["account_id"] for row in rows] == ["acct-1"]
        assert await connection.fetchval("SELECT consumed FROM projections.balance_states") == 5
