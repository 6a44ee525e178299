"""Evidence goes after its retention, by a role that can do nothing else; the log stays whole, and events stay."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from deploy.local.stack import Addresses
from meter import roles
from meter.roles import create_roles
from meter.runtime.errors import RefusalError
from meter.runtime.postgres import Pool, load_sql
from meter.store.events import PostgresEventStore
from meter.store.prune import prune_shard
from schemas.topics import ACCOUNTS, USAGE
from tests.contract.rows import opened, plan, rejected, rerouted, usage
from tests.support.damaging import pass_triggers
from tests.support.processes import Processes

refuses = pytest.mark.not_on_citus("`meter prune` refuses there")
TODAY = datetime.now(UTC)
OLD, NEW = TODAY - timedelta(days=100), TODAY - timedelta(hours=1)
PRUNED = "meter.pruned (shard, batch, usage_offset, accounts_offset, pruned_by)"
EVIDENCE = ("duplicates", "rejections", "rerouted")


@pytest.fixture
async def store(pool: Pool) -> PostgresEventStore:
    """Two old batches, one of them with packed evidence, and a new one."""
    async with pool.acquire() as connection:
        await create_roles(connection)
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    made = PostgresEventStore(pool)
    for number, (at, room) in enumerate([(OLD, None), (OLD, 0), (NEW, None)]):
        await made.append(make_batch(number * 10, at, room))
    return made


def make_batch(first: int, at: datetime, room: int | None) -> Any:
    event = usage(first)
    return plan(
        event, event._replace(offset=first + 1), rejected(USAGE, first + 2), rerouted(USAGE, first + 4),
        event._replace(offset=first + 5), rejected(USAGE, first + 6), opened(first // 10, account_id=f"acc-{first}"),
        start=(first, first // 10), end=(first + 10, first // 10 + 1), at=at, room=room,
    )  # fmt: skip


async def count(pool: Pool, table: str) -> int:
    rows: int = await pool.fetchval(f"SELECT count(*) FROM meter.{table}")
    return rows


async def is_refused(connection: asyncpg.Connection, statement: str, topic: str | None) -> bool:
    """By the trigger; else nothing was taken."""
    try:
        taken = await connection.fetchrow(statement, topic)
    except asyncpg.InsufficientPrivilegeError as error:
        return "append-only" in str(error)
    return taken is not None and not any(taken)


def as_pruner(stack: Addresses, dsn: str) -> str:
    return stack.dsn(dsn.rpartition("/")[2], "credit_pruner")


@refuses
async def test_old_evidence_goes_and_verify_still_finds_the_log_whole(
    store: PostgresEventStore, pool: Pool, processes: Processes, stack: Addresses, dsn: str
) -> None:
    events = await count(pool, "events")
    done = processes.run("meter", "prune", postgres_dsn=as_pruner(stack, dsn))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("removed 8 rows of 10 records")
    assert [await count(pool, table) for table in EVIDENCE] == [2, 2, 1]
    assert await count(pool, "events") == events
    counts = await pool.fetch(
        "SELECT outcome, reason, sum(records)::int FROM meter.pruned_counts GROUP BY 1, 2 ORDER BY 1"
    )
    assert [tuple(row) for row in counts] == [("duplicate", "", 4), ("rejected", "not_json", 4), ("rerouted", "", 2)]
    verified = processes.run("meter", "verify", "--no-anchors")
    assert verified.returncode == 0, verified.stdout
    again = processes.run("meter", "prune", postgres_dsn=as_pruner(stack, dsn))
    assert again.stdout.startswith("removed 0 rows")


@refuses
async def test_what_is_newer_than_the_retention_the_triggers_keep(
    store: PostgresEventStore, pool: Pool, stack: Addresses, dsn: str
) -> None:
    """Whoever has the role's password can remove nothing that was not said to be removed, and no event at all."""
    connection = await asyncpg.connect(as_pruner(stack, dsn))
    try:
        for table in EVIDENCE:
            for topic in (USAGE, ACCOUNTS, "x", None):
                statement = f"SELECT * FROM meter.prune_{table}(0, $1, 0, 1000000)"
                assert await is_refused(connection, statement, topic), (table, topic)
        for table in (*EVIDENCE, "events", "batches", "gaps", "replays", "dismissals"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
                await connection.execute(f"DELETE FROM meter.{table}")
    finally:
        await connection.close()


@refuses
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO {} SELECT 0, 3, usage_to, accounts_to, 'me' FROM meter.batches WHERE batch = 3",
        "INSERT INTO {} VALUES (0, 1000000, 1000000, 1000000, 'me')",
        "INSERT INTO {} VALUES (0, 2, 1000000, 0, 'me')",
        "INSERT INTO {} VALUES (0, 0, 0, 0, 'me')",
        "INSERT INTO {} VALUES (7, 1, 0, 0, 'me')",
    ],
)
async def test_who_prunes_cannot_say_that_fresh_evidence_is_old(
    store: PostgresEventStore, stack: Addresses, dsn: str, statement: str
) -> None:
    connection = await asyncpg.connect(as_pruner(stack, dsn))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="batch"):
            await connection.execute(statement.format(PRUNED))
    finally:
        await connection.close()


@refuses
async def test_what_was_pruned_only_goes_forward_and_the_deletion_counts_it(
    store: PostgresEventStore, pool: Pool, processes: Processes, stack: Addresses, dsn: str
) -> None:
    """With statements of one's own as well: the counts follow from the rows that go."""
    connection = await asyncpg.connect(as_pruner(stack, dsn))
    try:
        await connection.execute(
            f"INSERT INTO {PRUNED} SELECT 0, 1, usage_to, accounts_to, 'me' FROM meter.batches WHERE batch = 1"
        )
        await connection.execute("SELECT meter.prune_rejections(0, $1, 0, 10)", USAGE)
        for statement in ("batch = 0", "batch = 1, usage_offset = 1000"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only goes forward"):
                await connection.execute(f"UPDATE meter.pruned SET {statement}")
        for statement in (
            "pruned_counts SET records = 1",
            "pruned SET shard = 1, batch = 2",
            "pruned SET pruned_at = now()",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
                await connection.execute(f"UPDATE meter.{statement}")
    finally:
        await connection.close()
    assert await pool.fetchval("SELECT sum(records) FROM meter.pruned_counts WHERE outcome = 'rejected'") == 2
    done = processes.run("meter", "prune", postgres_dsn=as_pruner(stack, dsn))
    assert done.returncode == 0, done.stderr


@refuses
async def test_a_role_that_may_not_prune_is_told_so(
    store: PostgresEventStore, processes: Processes, stack: Addresses, dsn: str
) -> None:
    refused = processes.run("meter", "prune", postgres_dsn=stack.dsn(dsn.rpartition("/")[2], "credit_support"))
    assert refused.returncode == 1 and "credit_support may not remove old evidence" in refused.stderr


@refuses
@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM meter.rejections",
        "UPDATE meter.batches SET evidence = set_byte(evidence, 70, get_byte(evidence, 70) # 1) WHERE batch = 1",
        "UPDATE meter.gaps SET recorded_at = now() WHERE from_offset < 10",  # of a batch that was pruned
        "ALTER TABLE meter.moved DROP CONSTRAINT moved_check; INSERT INTO meter.moved VALUES (0, 1, 0, 1)",
        "DELETE FROM meter.events WHERE position = 1",
    ],
)
async def test_pruning_hides_no_other_damage(
    store: PostgresEventStore, pool: Pool, processes: Processes, damage: str
) -> None:
    async for _ in prune_shard(pool, 0, TODAY - timedelta(days=90), "somebody"):
        pass
    assert processes.run("meter", "verify", "--no-anchors").returncode == 0
    async with pool.acquire() as connection, connection.transaction():
        await pass_triggers(connection)
        await connection.execute(damage)
    assert processes.run("meter", "verify", "--no-anchors").returncode == 1


async def test_a_role_of_a_later_version_that_is_missing_is_named(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setup as the owner, who can make no roles, after an upgrade that brought one."""
    monkeypatch.setattr(roles, "ROLES", (*roles.ROLES, "of_tomorrow"))
    async with pool.acquire() as connection:
        with pytest.raises(RefusalError, match=r"no role .*credit_of_tomorrow.* once as a superuser"):
            await roles.grant(connection)
