"""`projections verify` finds what was changed behind the fold's back, and nothing else."""

import json
from datetime import UTC, datetime

import pytest

from meter.runtime.postgres import Pool
from projections.verify import Difference, verify
from tests.integration.projections_histories import random_history
from tests.integration.projections_log import EventLog, fold_all, opened, used
from tests.integration.usage_log import fold_usage, sum_all
from tests.support.damaging import damage as damage_table
from tests.support.damaging import lift_triggers
from tests.support.processes import Processes


@pytest.fixture
async def log(pool: Pool) -> EventLog:
    """A log that is folded in many pieces."""
    made = EventLog(pool)
    await made.set_up()
    await made.append(*random_history(seed=31, accounts=12))
    await fold_all(pool, 40)
    await fold_usage(pool, 30)
    await sum_all(pool, datetime(2026, 11, 30, tzinfo=UTC))  # days, and no month
    return made


async def find_differences(pool: Pool) -> list[Difference]:
    return [difference async for report in verify(pool) for difference in report.differences]


@pytest.mark.parametrize("seed", range(3))
async def test_a_right_fold_has_no_difference(pool: Pool, seed: int) -> None:
    made = EventLog(pool)
    await made.set_up()
    await made.append(*random_history(seed=seed, accounts=10, length=600))
    await fold_all(pool, 37)
    await fold_usage(pool, 41)
    assert await find_differences(pool) == []


async def test_events_not_yet_folded_are_no_difference(pool: Pool, log: EventLog) -> None:
    await log.append(used("acct-1", 1), *opened("acct-late"))
    assert await find_differences(pool) == []


BALANCE = "projections.balance_states"
SLOTS, DAYS, ZONES = (f"projections.usage_{what}" for what in ("slots", "totals", "zones"))
MONTHS, DAY_KINDS = "projections.usage_months", "projections.usage_day_kinds"
ACCOUNT = "projections.account_states"
FIRST_ACCOUNT = "WHERE account_id = 'acct-1'"
ONE_BALANCE = f"{FIRST_ACCOUNT} AND resource = 1"
ONE_SLOT, ONE_DAY = (f"WHERE ctid = (SELECT min(ctid) FROM {table})" for table in (SLOTS, DAYS))


@pytest.mark.parametrize(
    ("damage", "model"),
    [
        (f"UPDATE {BALANCE} SET consumed = consumed + 1 {ONE_BALANCE}", "balances"),
        (f"UPDATE {BALANCE} SET epoch = epoch + 1 {ONE_BALANCE}", "balances"),
        (f"UPDATE {BALANCE} SET base = base + 1 {ONE_BALANCE}", "balances"),
        (f"UPDATE {BALANCE} SET boundaries = boundaries || 1 {ONE_BALANCE}", "balances"),
        (f"UPDATE {BALANCE} SET opened = NOT opened {ONE_BALANCE}", "balances"),
        (f"UPDATE {BALANCE} SET closed = NOT closed {ONE_BALANCE}", "balances"),
        (f"UPDATE {BALANCE} SET free_only = NOT free_only {ONE_BALANCE}", "balances"),
        (f"DELETE FROM {BALANCE} {ONE_BALANCE}", "balances"),
        (f"UPDATE {DAYS} SET events = 0 {ONE_DAY}", "usage"),
        (f"UPDATE {DAYS} SET tokens_out = 1 {ONE_DAY}", "usage"),
        (f"DELETE FROM {DAYS} {ONE_DAY}", "usage"),
        (f"UPDATE {ACCOUNT} SET plan = 'other' {FIRST_ACCOUNT}", "accounts"),
        (f"""UPDATE {ACCOUNT} SET contacts = '["eve@example.com"]' {FIRST_ACCOUNT}""", "accounts"),
        (f"UPDATE {ACCOUNT} SET closed = NOT closed {FIRST_ACCOUNT}", "accounts"),
        (f"UPDATE {ACCOUNT} SET time_zone = 'No/Where' {FIRST_ACCOUNT}", "accounts"),
        (f"UPDATE {ACCOUNT} SET display_name = 'Eve' {FIRST_ACCOUNT}", "accounts"),
        (f"DELETE FROM {ACCOUNT} {FIRST_ACCOUNT}", "accounts"),
        (f"UPDATE {ACCOUNT} SET account_id = 'acct-made-up' {FIRST_ACCOUNT}", "accounts"),
    ],
)
async def test_every_damage_is_told(pool: Pool, log: EventLog, damage: str, model: str) -> None:
    assert await damage_table(pool, damage) in ("UPDATE 1", "DELETE 1")
    differences = await find_differences(pool)
    assert {difference.model for difference in differences} == {model}
    assert len(differences) == (2 if "made-up" in damage else 1)
    assert not any("@" in (part or "") for difference in differences for part in (difference.stored, difference.log))


@pytest.mark.parametrize(
    "damage",
    [
        f"UPDATE {SLOTS} SET events = events + 1 {ONE_SLOT}",
        f"UPDATE {SLOTS} SET amount = amount - 1 {ONE_SLOT}",
        f"UPDATE {SLOTS} SET seconds = 1 {ONE_SLOT}",
        f"UPDATE {SLOTS} SET last_used = slot {ONE_SLOT}",
        f"UPDATE {SLOTS} SET status = 'other' {ONE_SLOT}",
        f"DELETE FROM {SLOTS} {ONE_SLOT}",
        f"UPDATE {MONTHS} SET tokens_out = tokens_out + 1",
        f"UPDATE {MONTHS} SET month = month - 31",
        f"DELETE FROM {MONTHS}",
        f"UPDATE {DAY_KINDS} SET amount = amount + 1",
        f"DELETE FROM {DAY_KINDS}",
        f"INSERT INTO {ZONES} SELECT shard, account_id, 'Asia/Kathmandu' FROM {ACCOUNT} ON CONFLICT DO NOTHING",
        f"UPDATE {ACCOUNT} SET time_zone = 'Pacific/Auckland'",
    ],
)
async def test_damaged_usage_is_told(pool: Pool, log: EventLog, damage: str) -> None:
    await sum_all(pool, datetime(2027, 1, 5, tzinfo=UTC))
    assert await find_differences(pool) == []
    assert not (await damage_table(pool, damage)).endswith(" 0")
    assert "usage" in {difference.model for difference in await find_differences(pool)}


async def test_a_hole_in_the_log_is_told(pool: Pool, log: EventLog) -> None:
    await lift_triggers(pool, "meter.events")
    await pool.execute("DELETE FROM meter.events WHERE shard = 0 AND position = 5")
    assert "log" in {difference.model for difference in await find_differences(pool)}


async def test_the_command_lists_differences_and_says_so_in_its_exit_code(
    pool: Pool, log: EventLog, processes: Processes
) -> None:
    fine = processes.run("projections", "verify")
    assert (fine.returncode, fine.stdout) == (0, "")
    assert fine.stderr.count("no difference") == 3
    await pool.execute("UPDATE projections.balance_states SET consumed = consumed + 5 WHERE account_id = 'acct-2'")
    result = processes.run("projections", "verify", "--json")
    assert result.returncode == 1
    differences = [json.loads(line) for line in result.stdout.splitlines()]
    assert {d["account_id"] for d in differences} == {"acct-2"}
    stored, log_ = (json.loads(differences[0][side]) for side in ("stored", "log"))
    assert stored["consumed"] == log_["consumed"] + 5
