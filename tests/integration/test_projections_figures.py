"""Figures: SQL and Python round by one rule, down; readers ask by name."""

import random
from decimal import Decimal

import pytest

from meter.runtime.postgres import Pool
from projections.reader import BalanceReader
from schemas.amounts import MICRO
from schemas.exhaustion import exhaustion_of
from schemas.resources import RESOURCE_CODES, Resource
from tests.integration.projections_log import NOON

LARGEST = 2**63 - 1
INSERT = "INSERT INTO projections.balance_states VALUES ($1, $2, 0, $3, $4, $5, 1, '{}', 1, $6, true, false, true)"
# Each is granted, consumed and base, in micro-units.
EDGES = [
    (75 * MICRO, 74_999_000, 0),
    (75 * MICRO, 14_999_900, 0),
    (75 * MICRO, 37_499_900, 0),
    (75 * MICRO, 75 * MICRO, 0),
    (75 * MICRO, -1, 0),
    (75 * MICRO, 75 * MICRO, 75 * MICRO),
    (75 * MICRO, 74 * MICRO, 75 * MICRO),
    (LARGEST, LARGEST - 1, 0),
]


def random_balances(seed: int = 15) -> list[tuple[int, int, int]]:
    rng = random.Random(seed)
    found = []
    for _ in range(500):
        base = rng.randint(0, 10 ** rng.randint(1, 12))
        granted = base + rng.randint(0, 10 ** rng.randint(1, 12))
        found.append((granted, base + rng.randint(-5, 2 * (granted - base) + 5), base))
    return found


async def test_sql_and_python_round_alike(pool: Pool) -> None:
    balances = EDGES + random_balances()
    rows = [(f"acct-{n}", 1, *balance, NOON) for n, balance in enumerate(balances)]
    await pool.executemany(INSERT, rows)
    found = await pool.fetch("SELECT account_id, exhaustion FROM projections.balances")
    shown = {row["account_id"]: row["exhaustion"] for row in found}
    for n, (granted, consumed, base) in enumerate(balances):
        assert shown[f"acct-{n}"] == exhaustion_of(consumed - base, granted - base), (granted, consumed, base)
        assert shown[f"acct-{n}"].as_tuple().exponent == -2
    assert [shown[f"acct-{n}"] for n in range(3)] == [Decimal("99.99"), Decimal("19.99"), Decimal("49.99")]
    assert not await pool.fetchval("SELECT count(*) FROM projections.balances WHERE allowed AND exhaustion >= 100")


async def test_a_resource_is_asked_by_name_or_as_enum(pool: Pool) -> None:
    await pool.execute(INSERT, "acct-1", RESOURCE_CODES[Resource.MODEL_CREDITS], 75 * MICRO, 0, 0, NOON)
    reader = BalanceReader(pool)
    assert await reader.allowed("acct-1", "model_credits")
    assert await reader.allowed("acct-1", Resource.MODEL_CREDITS)
    assert not await reader.allowed("acct-1", "tool_runs")
    with pytest.raises(ValueError, match="unknown resource 'gold': must be one of model_credits, tool_runs"):
        await reader.allowed("acct-1", "gold")
