"""`meter setup`: repeatable, telling what has changed, and refusing what would damage the store."""

from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from meter.roles import set_password
from meter.runtime.clock import SystemClock
from meter.runtime.errors import DependencyUnreachableError, RefusalError, TopicIdentityError
from meter.runtime.kafka import TopicAdmin
from meter.runtime.postgres import Pool, load_sql
from meter.runtime.process.health import Health
from meter.service import build_meter
from meter.settings import MeterSettings, SetupSettings
from meter.setup import check_setup
from meter.store.events import PostgresEventStore
from meter.topics import explain_risk
from schemas.topics import TOPICS, USAGE
from tests.contract.rows import plan, usage
from tests.support import until
from tests.support.meter import running_meter, set_up_meter


async def test_setup_makes_everything_in_an_empty_database(empty_dsn: str, values: dict[str, Any]) -> None:
    values = values | {"postgres_dsn": empty_dsn}
    steps = await set_up_meter(values)
    assert "migration meter/0001_event_store.sql: applied" in steps
    assert "shards: 3 made" in steps
    connection = await asyncpg.connect(empty_dsn)
    try:
        for table, rows in {
            "meter.shards": 3, "meter.topics": 2, "projections.cursors": 6, "projections.outbox_shards": 3,
            "projections.rebuild_shards": 3,
            "notifier.cursors": 3, "notifier.outbox_shards": 3,
        }.items():  # fmt: skip
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == rows, table
    finally:
        await connection.close()
    async with TopicAdmin(MeterSettings(**values)) as admin:
        for spec in TOPICS:
            info = await admin.describe(spec.name)
            assert info is not None and info.partitions == (1 if spec.name == "metering.anchors" else 3)


async def test_setup_again_changes_nothing(values: dict[str, Any], pool: Pool) -> None:
    await set_up_meter(values)
    await PostgresEventStore(pool).append(plan(usage(0)))
    tables = ("meter.shards", "meter.topics", "projections.cursors", "notifier.cursors")
    before = [await pool.fetch(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]
    steps = await set_up_meter(values)
    assert [await pool.fetch(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables] == before
    assert not any("applied" in step or "made" in step or "created" in step for step in steps)


@pytest.mark.not_on_citus("changes the catalogue of one server")
async def test_a_collation_that_has_changed_since_is_told(values: dict[str, Any], pool: Pool) -> None:
    """Else the indexes of keys may miss what is stored, and nobody but Postgres' own log says it."""
    if await pool.fetchval("SELECT pg_database_collation_actual_version(oid) FROM pg_database LIMIT 1") is None:
        pytest.skip("the collation C.UTF-8 has no version on this Postgres, so it cannot change")
    assert not any("collation" in step for step in await set_up_meter(values))
    await pool.execute("UPDATE pg_database SET datcollversion = '0' WHERE datname = current_database()")
    [told] = [step for step in await set_up_meter(values) if "collation" in step]
    assert "was made with version 0 of C.UTF-8" in told
    checked = {step.name: step async for step in check_setup(SetupSettings(**values))}
    assert checked["collation"].outcome == "differs"


async def test_another_number_of_partitions_is_refused(values: dict[str, Any], pool: Pool) -> None:
    await set_up_meter(values)
    with pytest.raises(RefusalError, match="METERING_PARTITIONS=3"):
        await set_up_meter(values | {"partitions": 4})
    assert await pool.fetchval("SELECT count(*) FROM meter.shards") == 3


async def test_running_with_another_number_of_partitions_is_refused(values: dict[str, Any], pool: Pool) -> None:
    await set_up_meter(values)
    refusal = await refusal_of(MeterSettings(**(values | {"partitions": 12})))
    assert "METERING_PARTITIONS says 12, and there are 3 shards" in refusal
    assert await pool.fetchval("SELECT count(*) FROM meter.batches") == 0


async def refusal_of(settings: MeterSettings) -> str:
    """Run until the loop refuses to go on; what it says."""
    with pytest.raises(BaseExceptionGroup) as caught:
        async with running_meter(settings):
            await until(lambda: False)
    refusals = caught.value.split(TopicIdentityError)[0]
    assert refusals is not None, caught.value.exceptions
    return str(refusals.exceptions[0])


async def test_a_recreated_topic_is_refused_and_nothing_is_written(values: dict[str, Any], pool: Pool) -> None:
    await set_up_meter(values)
    settings = MeterSettings(**values)
    async with TopicAdmin(settings) as admin:
        await admin.delete(USAGE)

        async def is_gone() -> bool:
            return await admin.describe(USAGE) is None

        _: bool = await until(is_gone, message="the topic is still there")
        before = await pool.fetch("SELECT * FROM meter.topics ORDER BY topic")
        with pytest.raises(RefusalError, match=r"is gone.*No topic was made.*original topic"):
            await set_up_meter(values)
        assert await is_gone(), "setup makes no second one, which would be refused for good"
        await admin.ensure([replace(spec, partitions=settings.partitions) for spec in TOPICS if spec.name == USAGE], 1)
    with pytest.raises(TopicIdentityError, match="re-created"):
        await set_up_meter(values)
    assert "re-created" in await refusal_of(settings)
    assert await pool.fetch("SELECT * FROM meter.topics ORDER BY topic") == before
    assert await pool.fetchval("SELECT count(*) FROM meter.batches") == 0


async def test_a_stored_offset_beyond_the_end_is_refused(values: dict[str, Any], pool: Pool) -> None:
    """A restored database in front of an emptied topic: reading on would skip or mix up records."""
    await set_up_meter(values)
    await pool.execute("UPDATE meter.shards SET usage_offset = 17 WHERE shard = 1")
    assert "stored offset is 17" in await refusal_of(MeterSettings(**values))
    assert await pool.fetchval("SELECT count(*) FROM meter.batches") == 0


async def test_a_password_reaches_the_server_only_as_a_verifier(pool: Pool) -> None:
    """Set on a role of its own: the roles belong to the whole server, and other tests use them.

    A server that gets the password itself stores a verifier as well, but its log of statements has the password.
    """
    await pool.execute("CREATE ROLE credit_password_test")
    sent: list[str] = []
    try:
        async with pool.acquire() as connection:
            with connection.query_logger(lambda logged: sent.append(f"{logged.query} {logged.args}")):
                await set_password(connection, "password_test", "s3cret 'quoted'")
        assert any("ALTER ROLE" in statement for statement in sent)
        assert not any("s3cret" in statement for statement in sent)
        stored = await pool.fetchval("SELECT rolpassword FROM pg_authid WHERE rolname = 'credit_password_test'")
        assert stored.startswith("SCRAM-SHA-256$4096:")
    finally:
        await pool.execute("DROP ROLE credit_password_test")


async def test_the_service_waits_for_topics(values: dict[str, Any], pool: Pool) -> None:
    await pool.execute(load_sql("meter", "insert_shards"), 3)
    with pytest.raises(DependencyUnreachableError, match="meter setup"):
        async with build_meter(MeterSettings(**values), SystemClock())(Health()):
            pass


async def test_topics_are_made_to_lose_nothing_with_one_broker(values: dict[str, Any]) -> None:
    await set_up_meter(values)
    settings = MeterSettings(**values)
    async with TopicAdmin(settings) as admin:
        for spec in TOPICS:
            info = await admin.describe(spec.name)
            assert info is not None
            assert info.config.get("unclean.leader.election.enable", "false") == "false"
            risk = explain_risk(info)
            assert risk is None or "one copy" in risk, "this broker is alone"


async def test_check_changes_nothing_and_says_what_is_missing(values: dict[str, Any], empty_dsn: str) -> None:
    values = values | {"postgres_dsn": empty_dsn}
    settings = SetupSettings(**values)
    steps = [step async for step in check_setup(settings)]
    assert all(step.outcome.startswith("missing") for step in steps)
    assert {step.name for step in steps} >= {"migrations of meter", f"topic {settings.topic(USAGE)}"}
    assert [step async for step in check_setup(settings)] == steps, "looking makes nothing"
    await set_up_meter(values)
    assert {step.outcome for step in [step async for step in check_setup(settings)]} == {"kept"}
    wanting = SetupSettings(**(values | {"replication_factor": 3}))
    differing = [step for step in [step async for step in check_setup(wanting)] if step.outcome != "kept"]
    assert differing and all("copies: 1, expected 3" in (step.detail or "") for step in differing)
