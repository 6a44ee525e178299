"""`projections verify` on notices that are not as the log says: each is told, and stays told."""

from deploy.local.stack import Addresses
from meter.roles import create_roles
from meter.runtime.postgres import Pool
from projections.rebuild import Model, Rebuild
from projections.verify import verify_shard
from tests.integration.projections_log import SHARDS, EventLog, fold_all, granted, opened, reversed_, tool, used
from tests.integration.projections_notices import (
    MISSING,
    RULES,
    SETTLED,
    UNEXPECTED,
    WRONG,
    Notifier,
    cross,
    find_differences,
    kind_of,
    notifier,
    pair,
)
from tests.support.damaging import damage_on
from tests.support.processes import Processes

__all__ = ["notifier", "pair"]  # fixtures

NOTICES = "notifier.notices"
FIRST = "account_id = 'acct-1' AND resource = 'model_credits'"
SEEDED = f"{FIRST} AND epoch = 2 AND outcome = 'seeded' AND channel = 'banner' AND threshold = 20"
TWENTY = f"{FIRST} AND epoch = 1 AND channel = 'banner' AND threshold = 20"
FIFTY = f"{FIRST} AND epoch = 1 AND channel = 'email' AND threshold = 50"
SEVENTY = f"{FIRST} AND epoch = 1 AND channel = 'banner' AND threshold = 70"
EIGHTY = f"{FIRST} AND epoch = 1 AND channel = 'email' AND threshold = 80"
COLUMNS = (
    "notice_id", "account_id", "resource", "epoch", "channel", "threshold", "outcome", "allocation", "consumed",
    "shard", "position", "created_at",
)  # fmt: skip


def copy_of(where: str, **changed: str) -> str:
    """One more notice, like another but for some columns."""
    values = [({"notice_id": "gen_random_uuid()"} | changed).get(name, name) for name in COLUMNS]
    return f"INSERT INTO {NOTICES} SELECT {', '.join(values)} FROM {NOTICES} WHERE {where}"


DAMAGES = (
    (f"DELETE FROM {NOTICES} WHERE {SEEDED}", [MISSING]),
    (f"DELETE FROM {NOTICES} WHERE {TWENTY}", [MISSING]),
    (f"DELETE FROM {NOTICES} WHERE {SEVENTY}", [MISSING]),
    (copy_of(TWENTY), [UNEXPECTED]),
    (copy_of(TWENTY, resource="'tool_runs'"), [UNEXPECTED]),
    (copy_of(TWENTY, account_id="'acct-2'", threshold="100"), [UNEXPECTED]),
    (copy_of(TWENTY, account_id="'acct-made-up'"), [UNEXPECTED]),
    (copy_of(TWENTY, threshold="21"), [UNEXPECTED]),
    (copy_of(FIFTY, threshold="100"), [UNEXPECTED]),
    (copy_of(TWENTY, epoch="3"), [UNEXPECTED]),
    (f"UPDATE {NOTICES} SET threshold = 30 WHERE {TWENTY}", [MISSING, UNEXPECTED]),
    (f"UPDATE {NOTICES} SET epoch = 3 WHERE {TWENTY}", [MISSING, UNEXPECTED]),
    (f"UPDATE {NOTICES} SET resource = 'tool_runs' WHERE {TWENTY}", [MISSING, UNEXPECTED]),
    (f"UPDATE {NOTICES} SET account_id = 'acct-made-up' WHERE {TWENTY}", [MISSING, UNEXPECTED]),
    (f"UPDATE {NOTICES} SET shard = (shard + 1) % 3 WHERE {TWENTY}", [MISSING, UNEXPECTED]),
    (f"UPDATE {NOTICES} SET outcome = 'superseded' WHERE {TWENTY}", [WRONG]),
    (f"UPDATE {NOTICES} SET outcome = 'seeded' WHERE {SEVENTY}", [WRONG]),
    (f"UPDATE {NOTICES} SET outcome = 'delivered' WHERE {SEEDED}", [WRONG]),
    (f"UPDATE {NOTICES} SET outcome = 'delivered' WHERE {FIFTY}", [WRONG]),
    (f"UPDATE {NOTICES} SET outcome = 'no_contact' WHERE {EIGHTY}", [WRONG]),
    (f"UPDATE {NOTICES} SET outcome = 'delivered' WHERE outcome = 'no_contact' AND threshold = 90", [WRONG]),
    (f"UPDATE {NOTICES} SET allocation = allocation + 1 WHERE {TWENTY}", [WRONG]),
    (f"UPDATE {NOTICES} SET consumed = consumed - 1 WHERE {TWENTY}", [WRONG]),
    (f"UPDATE {NOTICES} SET consumed = consumed + 1 WHERE {SEEDED}", [WRONG]),
    (f"UPDATE {NOTICES} SET position = position + 1 WHERE {TWENTY}", [WRONG]),
    (f"UPDATE {NOTICES} SET position = position - 1 WHERE {SEEDED}", [WRONG]),
    (f"UPDATE {NOTICES} SET position = 1000000 WHERE {SEVENTY}", [WRONG]),
)


async def use_up(pool: Pool, log: EventLog, notifier: Notifier) -> None:
    """acct-1 crosses lines one by one, several at once and again after a reversal; a second epoch starts above 20 %."""
    await log.append(*opened("acct-1"), *opened("acct-2", contacts=()))
    for event in (
        used("acct-1", 15), used("acct-2", 40), used("acct-1", 38), reversed_("acct-1", 20), used("acct-1", 30),
        granted("acct-1", 100), used("acct-1", 100), tool("acct-2", 9_500),
    ):  # fmt: skip
        await log.append(event)
        await fold_all(pool)
        await notifier.read_all()


async def test_every_damage_is_told(pool: Pool, log: EventLog, notifier: Notifier) -> None:
    """One by one, each undone after it was looked at."""
    await use_up(pool, log, notifier)
    await pool.execute(f"ALTER TABLE {NOTICES} DROP CONSTRAINT notices_once")
    await pool.execute("ALTER TABLE notifier.emails DROP CONSTRAINT IF EXISTS emails_notice_id_fkey")
    for rules in (RULES, SETTLED):
        assert await find_differences(pool, rules) == []
    wrong = {}
    async with pool.acquire() as connection:
        for damage, kinds in DAMAGES:
            transaction = connection.transaction(isolation="repeatable_read")
            await transaction.start()
            assert await damage_on(connection, damage) in ("UPDATE 1", "DELETE 1", "INSERT 0 1"), damage
            for rules in (RULES, SETTLED):
                found = [
                    d for shard in range(SHARDS) for d in (await verify_shard(connection, shard, rules)).differences
                ]
                if {d.model for d in found} != {"notices"} or sorted(map(kind_of, found)) != sorted(kinds):
                    wrong[damage] = found
            await transaction.rollback()
    assert wrong == {}


async def test_a_notice_of_the_wrong_run_is_told(pool: Pool, log: EventLog, notifier: Notifier) -> None:
    """A line that was reached, lost by a reversal and reached again: the notice belongs to the first time."""
    await log.append(*opened("acct-1"), used("acct-1", 15), reversed_("acct-1", 15), used("acct-1", 15))
    await fold_all(pool)
    await notifier.read_all()
    assert await find_differences(pool) == []
    last = await pool.fetchval("SELECT max(position) FROM meter.events WHERE account_id = 'acct-1'")
    assert await pool.execute(f"UPDATE {NOTICES} SET position = $1", last) == "UPDATE 1"
    assert [kind_of(difference) for difference in await find_differences(pool)] == [WRONG]


async def test_a_line_that_a_reversal_took_back_still_was_reached(
    pool: Pool, log: EventLog, notifier: Notifier
) -> None:
    await log.append(*opened("acct-1"), used("acct-1", 15), reversed_("acct-1", 15), used("acct-1", 1))
    await fold_all(pool)
    await notifier.read_all()
    assert await pool.execute(f"DELETE FROM {NOTICES}") == "DELETE 1"
    for rules in (RULES, SETTLED):
        assert [kind_of(difference) for difference in await find_differences(pool, rules)] == [MISSING]


async def test_after_a_repaired_balance_wrong_and_missing_notices_stay_told(
    pool: Pool, log: EventLog, notifier: Notifier, pair: tuple[str, str]
) -> None:
    """A rebuild publishes nothing, so the lines that a wrong balance hid or reached are still not as they must be."""
    first, second = pair
    await pool.execute(
        "UPDATE projections.balance_states SET consumed = 60000000 WHERE account_id = $1 AND resource = 1", first
    )
    await pool.execute(
        "UPDATE projections.balance_states SET consumed = -60000000 WHERE account_id = $1 AND resource = 1", second
    )
    await cross(pool, log, first, second)
    await notifier.read_all()
    await Rebuild(pool, list(Model), progress=lambda _events: None).run()
    differences = await find_differences(pool)
    found = {(d.model, d.account_id, kind_of(d)) for d in differences if d.model == "notices"}
    assert found == {("notices", first, UNEXPECTED), ("notices", first, WRONG), ("notices", second, MISSING)}
    reached = {d.account_id for d in differences if d.what == "model_credits line reached"}
    assert reached == {first}, "second is below the lowest line of emails by both"


async def test_the_command_compares_notices_as_support_and_says_so_where_it_may_not(
    pool: Pool,
    log: EventLog,
    notifier: Notifier,
    pair: tuple[str, str],
    processes: Processes,
    stack: Addresses,
    dsn: str,
) -> None:
    async with pool.acquire() as connection:
        await create_roles(connection)
    database = dsn.rpartition("/")[2]
    support = {"postgres_dsn": stack.dsn(database, "credit_support")}
    await cross(pool, log, *pair)
    done = processes.run("projections", "verify", **support)
    assert (done.returncode, done.stdout) == (0, "") and "2 notices still on the way" in done.stderr
    await notifier.read_all()
    await pool.execute("DELETE FROM notifier.notices WHERE account_id = $1", pair[0])
    done = processes.run("projections", "verify", "--settled", **support)
    assert done.returncode == 1 and "projections explain" in done.stderr
    assert done.stdout.split("\t")[1:4] == ["notices", pair[0], "model_credits epoch 1 banner 20 %"]
    same = processes.run("projections", "verify", banner_thresholds="50", email_thresholds="none", **support)
    assert same.stdout == done.stdout, "the thresholds that the notifier recorded are not taken"
    done = processes.run("projections", "verify", postgres_dsn=stack.dsn(database, "credit_projections"))
    assert done.returncode == 0 and done.stdout == ""
    assert "notices are NOT compared" in done.stderr and "credit_support" in done.stderr
    await pool.execute("DROP SCHEMA notifier CASCADE")
    done = processes.run("projections", "verify")
    assert done.returncode == 0 and "notices are NOT compared" in done.stderr and "meter setup" in done.stderr
