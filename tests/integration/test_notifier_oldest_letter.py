"""How long the oldest letter has been owed, counted in Postgres; letters that ended cost the count nothing."""

import asyncpg
import pytest

from meter.runtime.postgres import load_sql
from tests.integration.plans import explain
from tests.integration.test_notifier_store import PostgresStores
from tests.integration.test_notifier_store import stores as stores
from tests.unit.notifier.builders import AT
from tests.unit.notifier.contract import CLAIM_S, TROUBLE, queue_one

OWED_S = 7200
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
                             finished_at)
SELECT md5('letter ' || i)::uuid, i % 12, 'acct-' || i, 'owner@example.com', md5(i::text)::uuid,
       CASE i % 100 WHEN 0 THEN 'queued' ELSE 'accepted' END, now(), now() - make_interval(secs => i),
       CASE i % 100 WHEN 0 THEN NULL ELSE now() END
FROM generate_series(1, 20000) AS i
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
        assert counts["overdue_s"] < 60 and OWED_S <= counts["oldest_s"] < OWED_S + 60


async def test_one_that_is_not_due_yet_and_was_never_tried_does_not_count(stores: PostgresStores) -> None:
    """It waits for further lines, or until a limit of the day is over."""
    await queue_one(stores)
    await stores.pool.execute(OWED, OWED_S)
    await stores.pass_s(-60)
    assert await stores.queue.count() == {"waiting": 1, "due": 0, "overdue_s": 0, "oldest_s": 0}


async def test_a_clock_that_is_ahead_makes_no_negative_age(stores: PostgresStores) -> None:
    await queue_one(stores)
    await stores.pool.execute(OWED, -60)
    assert (await stores.queue.count())["oldest_s"] == 0


@pytest.mark.not_on_citus("reads the plan of one server: on Citus another one runs the statement")
async def test_letters_that_ended_are_not_read(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(NOTICES)
        await connection.execute(LETTERS)
        await connection.execute("ANALYZE notifier.emails")
        counted = await connection.fetchrow(load_sql("notifier", "count_emails"))
        nodes = await explain(connection, load_sql("notifier", "count_emails"))
    finally:
        await connection.close()
    assert counted is not None and counted["waiting"] == 200 and counted["oldest_s"] >= 20_000
    read = [node for node in nodes if node.get("Relation Name") == "emails"]
    assert read and not [node for node in read if node["Node Type"] == "Seq Scan"]
