"""`projections verify` finds what was changed behind the fold's back, and nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from meter.runtime.postgres import Pool
from projections.plan import plan
from projections.store import FoldStore
from projections.verify import Difference, verify
from tests.integration.projections_log import EventLog, opened, random_history, used
from tests.support.processes import Processes


@pytest.fixture
async def log(pool: Pool) -> EventLog:
    """A log that is folded in many pieces."""
    made = EventLog(pool)
    await made.set_up()
    await made.append(*random_history(seed=31, accounts=12))
    store = FoldStore(pool, most_events=40)
    while await store.fold(plan) is not None:
        pass
    return made


@pytest.fixture
def processes(env: dict[str, str], tmp_path: Path) -> Iterator[Processes]:
    made = Processes(env, tmp_path)
    yield made
    made.close()


async def find_differences(pool: Pool) -> list[Difference]:
    return [difference async for report in verify(pool) for difference in report.differences]


@pytest.mark.parametrize("seed", range(3))
async def test_a_right_fold_has_no_difference(pool: Pool, seed: int) -> None:
    made = EventLog(pool)
    await made.set_up()
    await made.append(*random_history(seed=seed, accounts=10, length=600))
    while await FoldStore(pool, most_events=37).fold(plan) is not None:
        pass
    assert await find_differences(pool) == []


async def test_events_not_yet_folded_are_no_difference(pool: Pool, log: EventLog) -> None:
    await log.append(used("acct-1", 1), *opened("acct-late"))
    assert await find_differences(pool) == []


BALANCE = "projections.balance_states"
USAGE = "projections.usage_days"
ACCOUNT = "projections.account_states"
FIRST_ACCOUNT = "WHERE account_id = 'acct-1'"
ONE_BALANCE = f"{FIRST_ACCOUNT} AND resource = 1"
ONE_LINE = f"WHERE ctid = (SELECT min(ctid) FROM {USAGE})"


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
        (f"UPDATE {USAGE} SET events = 0 {ONE_LINE}", "usage"),
        (f"DELETE FROM {USAGE} {ONE_LINE}", "usage"),
        (f"UPDATE {USAGE} SET changed_at = changed_at + interval '1 second' {ONE_LINE}", "usage"),
        (f"UPDATE {ACCOUNT} SET plan = 'other' {FIRST_ACCOUNT}", "accounts"),
        (f"""UPDATE {ACCOUNT} SET contacts = '["eve@example.com"]' {FIRST_ACCOUNT}""", "accounts"),
        (f"UPDATE {ACCOUNT} SET closed = NOT closed {FIRST_ACCOUNT}", "accounts"),
        (f"UPDATE {ACCOUNT} SET time_zone = 'Asia/Tokyo' {FIRST_ACCOUNT}", "accounts"),
        (f"UPDATE {ACCOUNT} SET display_name = 'Eve' {FIRST_ACCOUNT}", "accounts"),
        (f"DELETE FROM {ACCOUNT} {FIRST_ACCOUNT}", "accounts"),
        (f"UPDATE {ACCOUNT} SET account_id = 'acct-made-up' {FIRST_ACCOUNT}", "accounts"),
    ],
)
async def test_every_damage_is_told(pool: Pool, log: EventLog, damage: str, model: str) -> None:
    assert await pool.execute(damage) in ("UPDATE 1", "DELETE 1")
    differences = await find_differences(pool)
    assert {difference.model for difference in differences} == {model}
    assert len(differences) == (2 if "made-up" in damage else 1)
    assert not any("@" in (part or "") for difference in differences for part in (difference.stored, difference.log))


async def test_a_hole_in_the_log_is_told(pool: Pool, log: EventLog) -> None:
    await pool.execute("ALTER TABLE meter.events DISABLE TRIGGER USER")
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
