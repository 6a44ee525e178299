"""What readers see of items and of what is left: the catalogue of an account, and its runway."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from meter.runtime.postgres import Pool
from projections.rebuild import Model, Rebuild
from tests.integration.projections_log import MOST, SCRIPT, Event, EventLog, closed, fold_all, item, opened, used
from tests.integration.usage_log import fold_usage


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
