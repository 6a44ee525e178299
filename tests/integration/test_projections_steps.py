"""The published states that a dry run looks at: `verify` compares them with the log, `rebuild` mends what is wrong and
fills in what lacks."""

import pytest

from deploy.local.stack import Addresses
from meter.roles import create_roles
from meter.runtime.postgres import Pool
from projections import rebuild as rebuild_module
from projections.rebuild import Exchange, Model, Rebuild
from projections.verify import STATES, verify
from tests.integration.projections_histories import random_history
from tests.integration.projections_log import (
    GRANTED,
    OPENED,
    EventLog,
    closed,
    fold_all,
    granted,
    opened,
    reopened,
    used,
)
from tests.support.damaging import damage as damage_table
from tests.support.damaging import lift_triggers
from tests.support.processes import Processes

STEPS = "projections.exhaustion_steps"
LAST_EPOCH = f"(SELECT account_id, max(epoch) FROM {STEPS} GROUP BY 1 LIMIT 1)"
ONE = f"WHERE ctid = (SELECT ctid FROM {STEPS} WHERE account_id = 'acct-1' AND epoch > 1 ORDER BY position LIMIT 1)"

# What is stored together, as an opening with its free grants, has one time.
CLOCKS = f"""
UPDATE meter.events SET recorded_at = recorded_at + (position * 7919 % 13) * interval '1 s'
WHERE type NOT IN ({OPENED}, {GRANTED})
"""


@pytest.fixture(autouse=True)
def short_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a rebuild reads a shard in several."""
    monkeypatch.setattr(rebuild_module, "RANGE_EVENTS", 40)


@pytest.fixture
async def filled(pool: Pool, log: EventLog) -> EventLog:
    await log.append(*random_history(seed=8, accounts=10, length=500))
    await log.append(*opened("acct-9x"), used("acct-9x", 30), closed("acct-9x"), reopened("acct-9x"))
    await log.append(granted("acct-1", 50), used("acct-1", 20), granted("acct-1", 10))
    await fold_all(pool)
    return log


async def find(pool: Pool) -> list[str]:
    found = [difference async for report in verify(pool) for difference in report.differences]
    assert {difference.model for difference in found} <= {STATES}
    return [f"{difference.account_id} {difference.what}" for difference in found]


async def rebuild(pool: Pool, *, dry_run: bool = False) -> Exchange:
    [exchange] = await Rebuild(pool, [Model.BALANCES], progress=lambda _events: None, dry_run=dry_run).run()
    return exchange


async def rows(pool: Pool) -> set[tuple[object, ...]]:
    return {tuple(row) for row in await pool.fetch(f"SELECT * FROM {STEPS}")}


@pytest.mark.parametrize("most_events", [1, 17, 10_000])
async def test_states_are_right_wherever_the_fold_was_cut(pool: Pool, log: EventLog, most_events: int) -> None:
    await log.append(*random_history(seed=3, accounts=8, length=120 if most_events == 1 else 500))
    await fold_all(pool, most_events)
    assert await find(pool) == []
    before = await rows(pool)
    exchange = await rebuild(pool)
    assert (exchange.added, exchange.removed) == (0, 0)
    assert await rows(pool) == before


@pytest.mark.parametrize(
    "damage",
    [
        f"UPDATE {STEPS} SET consumed = consumed + 1 {ONE}",
        f"UPDATE {STEPS} SET allocation = allocation + 1 {ONE}",
        f"UPDATE {STEPS} SET epoch = epoch + 1 {ONE}",
        f"UPDATE {STEPS} SET at = at + interval '1 hour' {ONE}",
        f"UPDATE {STEPS} SET at = at - interval '1 hour' {ONE}",
        f"UPDATE {STEPS} SET account_id = 'acct-2' {ONE}",
        f"UPDATE {STEPS} SET consumed = consumed + 0.5 {ONE}",
        f"UPDATE {STEPS} SET allocation = 'NaN' {ONE}",
        f"UPDATE {STEPS} SET consumed = '-Infinity' {ONE}",
        f"UPDATE {STEPS} SET at = 'infinity' {ONE}",
        f"UPDATE {STEPS} SET at = '0044-03-15 BC' {ONE}",
        f"UPDATE {STEPS} SET at = '20000-01-01' {ONE}",
        f"UPDATE {STEPS} SET resource = 3 - resource {ONE}",
        f"UPDATE {STEPS} SET position = 0 {ONE}",
        f"UPDATE {STEPS} SET position = -9223372036854775808 {ONE}",
        f"UPDATE {STEPS} SET position = 9223372036854775807 {ONE}",
        f"UPDATE {STEPS} SET position = position + 100000 {ONE}",
        f"DELETE FROM {STEPS} {ONE}",
        f"DELETE FROM {STEPS} WHERE (account_id, epoch) = {LAST_EPOCH}",
    ],
)
async def test_damage_is_told_and_mended(pool: Pool, filled: EventLog, damage: str) -> None:
    assert not (await damage_table(pool, damage)).endswith(" 0")
    assert await find(pool) != []
    dry = await rebuild(pool, dry_run=True)
    assert await find(pool) != []
    assert dry == await rebuild(pool)
    assert dry.added > 0
    assert await find(pool) == []


async def test_states_from_before_they_were_kept_are_filled_in(pool: Pool, log: EventLog) -> None:
    """As of one event at a time: what a fold that is cut at each event publishes."""
    await log.append(*random_history(seed=4, accounts=5, length=100))
    await fold_all(pool, 1)
    wanted = {row[:7] for row in await rows(pool)}
    await pool.execute(f"DELETE FROM {STEPS}")
    assert await find(pool) == [], "nothing is kept: nothing can be missing"
    assert (await rebuild(pool)).added > 0
    filled = {row[:7] for row in await rows(pool)}
    assert filled <= wanted
    # Besides them only what closes or opens an account again, with the figures of the state before it.
    assert {(*row[:3], *row[4:]) for row in wanted} == {(*row[:3], *row[4:]) for row in filled}


@pytest.mark.parametrize("most_events", [1, 17])
async def test_clocks_that_went_back_make_no_state_wrong(pool: Pool, log: EventLog, most_events: int) -> None:
    """Time of a state is the latest of its events, and of what closed and opened the account; not of a second closing.
    States that a rebuild brings have the same."""
    await log.append(*random_history(seed=6, accounts=6, length=200))
    for account in ("acct-1", "acct-2"):
        toggles = [closed(account), closed(account), used(account, 1), reopened(account), used(account, 1)]
        await log.append(*toggles, reopened(account), used(account, 30), *toggles)
    await lift_triggers(pool, "meter.events")
    await damage_table(pool, CLOCKS)
    await fold_all(pool, most_events)
    assert await find(pool) == []
    exchange = await rebuild(pool)
    assert (exchange.added, exchange.removed) == (0, 0)
    await pool.execute(f"DELETE FROM {STEPS}")
    assert (await rebuild(pool)).added > 0
    assert await find(pool) == []
    again = await rebuild(pool)
    assert (again.added, again.removed) == (0, 0)


async def test_the_role_of_the_service_mends_them(
    pool: Pool, filled: EventLog, processes: Processes, stack: Addresses, dsn: str
) -> None:
    """By the command line, which needs no right beside those that the service has."""
    async with pool.acquire() as connection:
        await create_roles(connection)
    await damage_table(pool, f"UPDATE {STEPS} SET consumed = consumed + 1 {ONE}")
    await damage_table(pool, f"DELETE FROM {STEPS} WHERE (account_id, epoch) = {LAST_EPOCH}")
    assert await find(pool) != []
    own = {"postgres_dsn": stack.dsn(dsn.rpartition("/")[2], "credit_projections")}
    done = processes.run("projections", "rebuild", "balances", **own)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert await find(pool) == []
