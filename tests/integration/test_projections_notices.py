"""`projections verify` on notices: what the fold and the notifier make of a log is right, or on its way."""

import random
from dataclasses import replace

import pytest

from meter.runtime.postgres import Pool
from schemas.events import CODES
from schemas.topics import partition_for
from tests.integration.projections_log import (
    SHARDS,
    Event,
    EventLog,
    closed,
    fold_all,
    opened,
    plan_changed,
    reopened,
    reversed_,
    take_batch,
    used,
)
from tests.integration.projections_notices import (
    MISSING,
    RULES,
    SETTLED,
    Notifier,
    count_waiting,
    cross,
    find_differences,
    kind_of,
    lose,
    near_the_lines,
    notifier,
    pair,
)

__all__ = ["notifier", "pair"]  # fixtures

SEEDS = 6


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_what_the_services_make_of_a_log_is_what_the_log_says(
    pool: Pool, log: EventLog, notifier: Notifier, seed: int
) -> None:
    """However the fold and the notifier cut it; looked at on the way, with the notifier behind, and at the end."""
    rng = random.Random(seed)
    events = near_the_lines(seed)
    while events:
        count = rng.choice((1, 20, 90, 300))
        await log.append(*take_batch(events, count))
        await fold_all(pool, rng.choice((2, 9, 40, 1000)))
        for shard in range(SHARDS):
            await notifier.read(shard, rng.choice((1, 5, 30)))
        assert await find_differences(pool, RULES) == []
    await notifier.read_all()
    assert await find_differences(pool) == []
    assert await count_waiting(pool) == 0
    assert await pool.fetchval("SELECT count(DISTINCT outcome) FROM notifier.notices") >= 3


@pytest.mark.parametrize("contacts", [5, "ann@example.com", ["ann@example.com"], {}, None], ids=str)
async def test_contacts_are_those_of_events_that_have_them_by_contract(
    pool: Pool, log: EventLog, notifier: Notifier, contacts: object
) -> None:
    """Fields that nobody knows are kept as they were sent, contacts of an account that is closed or forgotten too."""
    said = {"contacts": contacts, "reason": "asked"}
    await log.append(
        *opened("acct-1"),
        replace(closed("acct-1"), data=said),
        replace(reopened("acct-1"), data=said),
        used("acct-1", 40),
    )
    await log.append(
        *opened("acct-2"),
        Event(account_id="acct-2", type=CODES["account.forgotten.v1"], data=said),
        replace(closed("acct-2"), data=said),
        used("acct-2", 40),
    )
    shard = partition_for(b"acct-2", SHARDS)
    forget = "INSERT INTO meter.keys (shard, account_id, made_at, forgotten_at) VALUES ($1, 'acct-2', now(), now())"
    await pool.execute(forget, shard)
    await fold_all(pool)
    await notifier.read_all()
    assert await find_differences(pool) == []
    outcomes = await pool.fetch(
        "SELECT account_id, outcome FROM notifier.notices WHERE channel = 'email' ORDER BY account_id"
    )
    assert [tuple(row) for row in outcomes] == [("acct-1", "delivered"), ("acct-2", "no_contact")]


async def test_what_the_notifier_has_not_read_yet_is_on_its_way(
    pool: Pool, log: EventLog, notifier: Notifier, pair: tuple[str, str]
) -> None:
    await cross(pool, log, *pair)
    assert await find_differences(pool, RULES) == []
    assert await count_waiting(pool) == 2
    assert [kind_of(difference) for difference in await find_differences(pool, SETTLED)] == [MISSING, MISSING]
    await notifier.read_all()
    assert await find_differences(pool, SETTLED) == []
    assert await count_waiting(pool) == 0


async def test_a_notifier_that_never_read_anything_misses_nothing_yet(pool: Pool, log: EventLog) -> None:
    await log.append(*opened("acct-1"))
    await cross(pool, log, "acct-1")
    assert await find_differences(pool, RULES) == []
    assert await count_waiting(pool) == 1


async def test_a_lost_message_is_told_once_the_notifier_has_read_a_later_one_of_anybody(
    pool: Pool, log: EventLog, notifier: Notifier, pair: tuple[str, str]
) -> None:
    first, second = pair
    await cross(pool, log, first)
    await lose(pool, first)
    assert await find_differences(pool, RULES) == [] and await count_waiting(pool) == 1
    assert len(await find_differences(pool, SETTLED)) == 1
    await log.append(plan_changed(second, "team"))
    await fold_all(pool)
    await notifier.read_all()
    [difference] = await find_differences(pool, RULES)
    assert (difference.account_id, difference.what, difference.stored) == (
        first,
        "model_credits epoch 1 banner 20 %",
        None,
    )
    assert await count_waiting(pool) == 0


async def test_of_a_busy_account_what_came_after_its_last_read_change_is_on_its_way(
    pool: Pool, log: EventLog, notifier: Notifier, pair: tuple[str, str]
) -> None:
    """Its change is folded later than another's that was read: where the fold cut is not known to the log."""
    first, second = pair
    await log.append(used(first, 15), used(second, 15), used(first, 0.1))
    await fold_all(pool)
    await notifier.read(partition_for(first.encode(), SHARDS), 1)
    assert await pool.fetchval("SELECT account_id FROM notifier.notices") == second
    assert await find_differences(pool, RULES) == [] and await count_waiting(pool) == 1
    await lose(pool, first)
    await log.append(reversed_(first, 10), used(first, 0.1))
    await fold_all(pool)
    await notifier.read_all()
    [difference] = await find_differences(pool, RULES)
    assert difference.account_id == first and kind_of(difference) == MISSING
