"""How long the oldest letter has been owed, counted in Postgres; letters that ended cost the count nothing."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from meter.runtime.postgres import load_sql
from tests.integration.plans import Plan, explain
from tests.integration.test_notifier_store import PostgresStores
from tests.integration.test_notifier_store import stores as stores
from tests.unit.notifier.builders import AT
from tests.unit.notifier.contract import CLAIM_S, TROUBLE, queue_one

OWED_S = 7200
HOUR_S = 3600.0
OWED = "UPDATE notifier.emails SET created_at = now() - make_interval(secs => $1)"
NOTICES = """
INSERT INTO notifier.notices (notice_id, account_id, resource, epoch, channel, threshold, outcome, allocation, consumed,
                              shard, position, created_at)
SELECT md5(i::text)::uuid, 'acct-' || i, 'model_credits', 1, 'email', 50, 'delivered', 100, 50, i % 12, i, now()
FROM generate_series(1, 20000) AS i
"""
# Every hundredth waits.
LETTERS = """
INSERT INTO notifier.emails (email_id, shard, account_id, recipient, notice_id, state, next_attempt_at, created_at,
                             finished_at, message)
SELECT md5('letter ' || i)::uuid, i % 12, 'acct-' || i, 'owner@example.com', md5(i::text)::uuid,
       CASE i % 100 WHEN 0 THEN 'queued' ELSE 'accepted' END, now(), now() - make_interval(secs => i),
       CASE i % 100 WHEN 0 THEN NULL ELSE now() END, CASE i % 100 WHEN 0 THEN NULL ELSE 'bytes'::bytea END
FROM generate_series(1, 20000) AS i
"""

# Of each that waits: what its contact got in former days.
FORMER = """
INSERT INTO notifier.emails (email_id, shard, account_id, recipient, notice_id, state, next_attempt_at, created_at,
                             finished_at)
SELECT md5('former ' || i || ' ' || n)::uuid, i % 12, 'acct-' || i, 'owner@example.com', md5(i::text)::uuid,
       'accepted', now(), now() - make_interval(days => n + 3), now() - make_interval(days => n + 3)
FROM generate_series(100, 20000, 100) AS i, generate_series(1, 50) AS n
"""


async def test_neither_a_claim_nor_trouble_makes_a_letter_younger(stores: PostgresStores) -> None:
    await queue_one(stores)
    await stores.pool.execute(OWED, OWED_S)
    for _ in range(3):
        email = await stores.queue.claim(CLAIM_S)
        assert email is not None
        assert OWED_S <= (await stores.queue.count())["oldest_s"] < OWED_S + 60
        await stores.queue.finish(email, TROUBLE, 0, AT)
        counts = await stores.queue.count()
        assert counts["overdue_s"] < 60 and OWED_S <= counts["oldest_s"] < OWED_S + 60 and counts["held"] == 1


async def test_one_that_is_not_due_yet_and_was_never_tried_does_not_count(stores: PostgresStores) -> None:
    """It waits for further lines, or until a limit of the day is over."""
    await queue_one(stores)
    await stores.pool.execute(OWED, OWED_S)
    await stores.pass_s(-60)
    assert await stores.queue.count() == {"waiting": 1, "due": 0, "overdue_s": 0, "oldest_s": 0, "held": 0}


async def test_a_clock_that_is_ahead_makes_no_negative_age(stores: PostgresStores) -> None:
    await queue_one(stores)
    await stores.pool.execute(OWED, -60)
    assert (await stores.queue.count())["oldest_s"] == 0


@pytest.fixture
async def filled(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(NOTICES)
        await connection.execute(LETTERS)
        await connection.execute("ANALYZE notifier.emails")
        yield connection
    finally:
        await connection.close()


def reads_by_index(nodes: list[Plan]) -> bool:
    read = [node["Node Type"] for node in nodes if node.get("Relation Name") == "emails"]
    return bool(read) and "Seq Scan" not in read


@pytest.mark.not_on_citus("reads the plan of one server: on Citus another one runs the statement")
async def test_letters_that_ended_are_not_read(filled: asyncpg.Connection) -> None:
    counted = await filled.fetchrow(load_sql("notifier", "count_emails"), HOUR_S)
    assert counted is not None and counted["waiting"] == 200 and counted["oldest_s"] >= 20_000
    assert 165 <= counted["held"] < 200, "those of 3,600 s ago and before"
    assert reads_by_index(await explain(filled, load_sql("notifier", "count_emails").replace("$1", str(HOUR_S))))


@pytest.mark.not_on_citus("counts what one server reads: on Citus another one runs the statement")
async def test_letters_that_a_contact_got_in_former_days_are_not_read(filled: asyncpg.Connection) -> None:
    await filled.execute(FORMER)
    await filled.execute("ANALYZE notifier.emails")
    async with filled.transaction():
        await filled.fetchrow(load_sql("notifier", "count_emails"), HOUR_S)
        read = await filled.fetchval(
            "SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = 'notifier.emails'::regclass"
        )
    assert read < 1000, "200 wait, and each has 50 of before"


@pytest.mark.not_on_citus("reads the plan of one server: on Citus another one runs the statement")
async def test_whether_a_letter_was_accepted_of_late_is_the_end_of_an_index(filled: asyncpg.Connection) -> None:
    """It is asked again and again while the mail server is in trouble, by the plan for any number of seconds."""
    await filled.execute("SET plan_cache_mode = force_generic_plan")
    await filled.execute(f"PREPARE accepted AS {load_sql('notifier', 'has_accepted')}")
    assert reads_by_index(await explain(filled, "EXECUTE accepted (5)"))
