"""Every published state of a balance is kept once, beside its message, however the log is cut."""

from decimal import Decimal

import pytest

from meter.runtime.postgres import Pool
from schemas.build import decode_event
from schemas.outputs import BalanceChanged
from tests.integration.projections_histories import random_history
from tests.integration.projections_log import MICRO, EventLog, fold_all, granted, opened, used

HISTORY = "SELECT resource, position, epoch, allocation, consumed FROM projections.exhaustion_history"


def in_units(micro: int) -> Decimal:
    return Decimal(micro) / MICRO


async def read_messages(pool: Pool) -> list[BalanceChanged]:
    rows = await pool.fetch("SELECT value FROM projections.outbox ORDER BY shard, id")
    return [data for row in rows if isinstance(data := decode_event(row["value"]).data, BalanceChanged)]


async def test_states_of_an_account_stand_in_the_order_in_which_they_were_published(pool: Pool, log: EventLog) -> None:
    await log.append(*opened("acct-1"))
    for event in (used("acct-1", 15), used("acct-1", 0.1), used("acct-1", 45), granted("acct-1", 100)):
        await log.append(event)
        await fold_all(pool)
    rows = await pool.fetch(f"{HISTORY} WHERE account_id = 'acct-1' AND resource = 'model_credits' ORDER BY position")
    assert [(row["epoch"], row["allocation"], row["consumed"]) for row in rows] == [
        (1, 75, 0), (1, 75, 15), (1, 75, Decimal("60.1")), (2, 175, Decimal("60.1")),
    ]  # fmt: skip


@pytest.mark.parametrize("most_events", [1, 7, 10_000])
async def test_what_is_kept_is_what_is_published(pool: Pool, log: EventLog, most_events: int) -> None:
    await log.append(*random_history(seed=5))
    await fold_all(pool, most_events)
    told = [
        (m.account_id, m.resource.value, m.position, m.epoch, in_units(m.allocation), in_units(m.consumed))
        for m in await read_messages(pool)
    ]
    rows = await pool.fetch(f"SELECT account_id, {HISTORY.removeprefix('SELECT ')}")
    assert told
    assert sorted(tuple(row) for row in rows) == sorted(told)
