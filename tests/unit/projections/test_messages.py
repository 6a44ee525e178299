"""What an event of a balance says, beside what SQL and Python say of the same balance."""

import json
from datetime import UTC, datetime

import pytest

from projections.fold import BalanceState
from projections.messages import render_balance
from schemas.amounts import MICRO
from schemas.resources import RESOURCE_CODES, Resource

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def balance(used: str, allocation: int) -> BalanceState:
    credits = RESOURCE_CODES[Resource.MODEL_CREDITS]
    consumed, granted = int(float(used) * 1000) * MICRO // 1000, allocation * MICRO
    return BalanceState("acct-1", credits, 0, granted, consumed, 0, 1, (granted,), 7, NOON, True, False, True)


@pytest.mark.parametrize(
    ("used", "allocation", "exhaustion", "percent"),
    [
        ("0", 75, "0.00", 0), ("74.999", 75, "99.99", 99), ("75", 75, "100.00", 100), ("70.5", 75, "94.00", 94),
        ("15", 75, "20.00", 20), ("80", 75, "106.66", 106), ("0", 0, "100.00", 100),
    ],
)  # fmt: skip
def test_an_event_says_the_exhaustion_by_the_name_of_the_views_and_by_the_old_one(
    used: str, allocation: int, exhaustion: str, percent: int
) -> None:
    state = balance(used, allocation)
    data = json.loads(render_balance(state).value)["data"]
    assert (data["exhaustion"], data["percent"]) == (exhaustion, percent)
    assert data["exhaustion"] == f"{state.exhaustion:f}"
