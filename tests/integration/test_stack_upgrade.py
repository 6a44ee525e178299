"""A database of the first release, with letters that wait, is upgraded as a whole: what people were told stays told,
what was owed is sent once, and `verify` of log, balances and letters agrees before anything new comes and after.
"""

import json
from collections.abc import AsyncIterator
from typing import NamedTuple

import asyncpg
import pytest

from meter.runtime.postgres import Pool, close_pool, create_pool, load_sql
from meter.runtime.postgres import migrations as migrating
from meter.runtime.postgres.migrations import migrate, read_migrations
from meter.store.events import PostgresEventStore
from meter.verify import choose_shards, verify_log
from notifier.decide import Channel
from notifier.ids import make_notice_id
from notifier.store.thresholds import record_thresholds
from projections.rebuild import Model, Rebuild
from schemas.amounts import MICRO
from schemas.parsing.parse import parse_all
from schemas.records import Accepted, Limits
from schemas.topics import BALANCES, USAGE, partition_for
from tests.contract.rows import MOMENT, opened, plan, record, usage
from tests.integration.projections_letters import Mail, compare_states
from tests.integration.projections_log import SHARDS, fold_all
from tests.integration.projections_notices import SETTLED, Notifier, find_differences
from tests.support import builders
from tests.support.old_chain import append_old

PACKAGES = ("meter", "projections", "notifier")
FIRST_RELEASE = {"meter": 2, "projections": 1, "notifier": 1}  # numbers of migrations
OWNER, OTHER = "owner@example.com", "other@example.com"
ALLOWANCE = 75 * MICRO
IN_TWO_CASES = "01947a3c-0000-7abc-8def-0123456789ab"


class History(NamedTuple):
    """`used`: credits, event by event; of each what became of the notices of emails and of their letters, by line."""

    used: tuple[tuple[float, dict[int, tuple[str, str]]], ...]
    contacts: tuple[str, ...]
    told: dict[str, int]  # after the upgrade, by contact
    sent: int  # letters that go out then
    ambiguous: int = 0


SENT, QUEUED, PASSED, NO_CONTACT = (
    ("delivered", "sent"),
    ("delivered", "queued"),
    ("superseded", ""),
    ("no_contact", ""),
)
HISTORIES = {
    "told": History(((40, {50: SENT}), (13, {70: SENT}), (7, {80: SENT})), (OWNER,), {OWNER: 80}, sent=0),
    "waiting": History(((40, {50: SENT}), (16.25, {70: QUEUED})), (OWNER,), {OWNER: 50}, sent=1),
    "jumped": History(
        ((69, {50: PASSED, 70: PASSED, 80: PASSED, 90: QUEUED}),), (OWNER, OTHER), {OWNER: 0, OTHER: 0}, sent=2
    ),
    "several": History(((40, {50: QUEUED}), (13, {70: QUEUED}), (7, {80: QUEUED})), (OTHER,), {OTHER: 0}, sent=1),
    "in-doubt": History(((40, {50: QUEUED}),), (OWNER,), {OWNER: 0}, sent=1, ambiguous=1),
    "nobody": History(((40, {50: NO_CONTACT}),), (), {}, sent=0),
    "quiet": History(((10, {}),), (OWNER,), {OWNER: 0}, sent=0),
}
BALANCES_OF_LOG = """
INSERT INTO projections.balance_states
    (account_id, resource, shard, granted, consumed, base, epoch, boundaries, position, as_of)
SELECT account_id, resource, shard, sum(amount) FILTER (WHERE type = 13),
       coalesce(sum(amount) FILTER (WHERE type < 5), 0), 0, 1,
       ARRAY[sum(amount) FILTER (WHERE type = 13)]::bigint[], max(position), max(recorded_at)
FROM meter.events WHERE resource IS NOT NULL GROUP BY 1, 2, 3
"""
ACCOUNTS_OF_LOG = """
INSERT INTO projections.account_states (account_id, shard, plan, display_name, contacts, opened_at, position, as_of)
SELECT account_id, shard, name, data ->> 'display_name', (data -> 'contacts')::text::jsonb, occurred_at,
       position, recorded_at
FROM meter.events WHERE type = 10
"""
DAYS_OF_LOG = """
INSERT INTO projections.usage_days (account_id, day, resource, type, name, shard, events, amount)
SELECT account_id, (occurred_at AT TIME ZONE 'UTC')::date, resource, type, name, shard, count(*), sum(amount)
FROM meter.events WHERE type < 5 GROUP BY 1, 2, 3, 4, 5, 6
"""
HEARD = """
INSERT INTO notifier.balances (account_id, resource, shard, position, epoch, allocation, consumed, changed_at)
SELECT account_id, CASE resource WHEN 1 THEN 'model_credits' ELSE 'tool_runs' END, shard, position, epoch,
       granted, consumed, as_of
FROM projections.balance_states
"""
HEARD_ACCOUNTS = """
INSERT INTO notifier.accounts (account_id, shard, position, plan, display_name, contacts)
SELECT account_id, shard, position, plan, display_name, contacts FROM projections.account_states
"""
NOTICE = """
INSERT INTO notifier.notices (notice_id, account_id, resource, epoch, channel, threshold, outcome, allocation, consumed,
                              shard, position, created_at)
SELECT $2, account_id, resource, epoch, $3, $4, $5, allocation, $6, shard, $7, changed_at
FROM notifier.balances WHERE account_id = $1 AND resource = 'model_credits'
"""
EMAIL = """
INSERT INTO notifier.emails (email_id, notice_id, recipient, message_id, message, state, ambiguous_attempts,
                             next_attempt_at, created_at, finished_at)
SELECT n, $1, $2, concat('<', n, '@example.com>'), 'bytes', $3::text, $4, $5::timestamptz, $5,
       CASE WHEN $3 = 'queued' THEN NULL ELSE $5 END
FROM gen_random_uuid() AS n
"""
BANNER = """
INSERT INTO notifier.banners (account_id, resource, threshold, kind, removable, text, epoch, shard, position, raised_at)
SELECT account_id, resource, $2, 'low', true, 'a text', epoch, shard, position, changed_at
FROM notifier.balances WHERE account_id = $1 AND resource = 'model_credits'
"""


@pytest.fixture
async def old(empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncpg.Connection]:
    """As the first release made and filled it."""
    connection = await asyncpg.connect(empty_dsn)
    with monkeypatch.context() as patch:
        patch.setattr(migrating, "read_migrations", lambda package: read_migrations(package)[: FIRST_RELEASE[package]])
        await migrate(connection, PACKAGES)
    await connection.execute(load_sql("meter", "insert_shards"), SHARDS)
    for shard in range(SHARDS):
        await append_histories(connection, shard)
    for statement in (BALANCES_OF_LOG, ACCOUNTS_OF_LOG, DAYS_OF_LOG, HEARD, HEARD_ACCOUNTS):
        await connection.execute(statement)
    await connection.execute(
        "INSERT INTO projections.cursors SELECT 'balance', shard, next_position - 1 FROM meter.shards"
    )
    for statement in ("insert_projection_outbox_shards", "insert_notifier_outbox_shards"):
        await connection.execute(load_sql("meter", statement), SHARDS)
    await connection.execute(load_sql("meter", "insert_notifier_cursors"), SHARDS, BALANCES)
    for name, history in HISTORIES.items():
        await tell(connection, name, history)
    yield connection
    await connection.close()


async def append_histories(connection: asyncpg.Connection, shard: int) -> None:
    """Of the shard's accounts: each opening with its usage is a batch."""
    spent = opening = 0
    for name, history in HISTORIES.items():
        if partition_for(name.encode(), SHARDS) != shard:
            continue
        said = {"plan": "free", "contacts": list(history.contacts), "display_name": f"Name of {name}"}
        rows = [use(spent + number, name, credits) for number, (credits, _) in enumerate(history.used)]
        made = plan(opened(opening, account_id=name, data=json.dumps(said)), *rows, shard=shard, start=(spent, opening))
        await append_old(connection, made)
        spent, opening = spent + len(rows), opening + 1


def use(offset: int, name: str, credits: float) -> Accepted:
    data = json.dumps({"credits": str(credits), "model": "large"})
    id = {"event_id": IN_TWO_CASES} if (name, credits) == ("told", 40) else {}
    return usage(offset, account_id=name, amount=round(credits * MICRO), data=data, **id)


async def tell(connection: asyncpg.Connection, name: str, history: History) -> None:
    """As the notifier of the first release did, event by event."""
    positions = await connection.fetch(
        "SELECT position FROM meter.events WHERE account_id = $1 AND type < 5 ORDER BY position", name
    )
    before = used = shown = 0
    for (credits, notices), row in zip(history.used, positions, strict=True):
        before, used = used, used + round(credits * MICRO)
        banners = [line for line in SETTLED.banner if before * 100 < line * ALLOWANCE <= used * 100]
        outcomes = dict.fromkeys(banners[:-1], ("superseded", "")) | dict.fromkeys(banners[-1:], ("delivered", ""))
        shown = max([shown, *banners])
        for channel, found in ((Channel.BANNER, outcomes), (Channel.EMAIL, notices)):
            for line, (outcome, state) in found.items():
                notice = make_notice_id(name, "model_credits", 1, channel, line)
                await connection.execute(NOTICE, name, notice, channel, line, outcome, used, row["position"])
                for contact in history.contacts if state else ():
                    await connection.execute(EMAIL, notice, contact, state, history.ambiguous, MOMENT)
    if shown:
        await connection.execute(BANNER, name, shown)


@pytest.fixture
async def pool(old: asyncpg.Connection, empty_dsn: str) -> AsyncIterator[Pool]:
    opened_pool = await create_pool(empty_dsn, application_name="tests")
    yield opened_pool
    await close_pool(opened_pool)


async def upgrade(old: asyncpg.Connection, pool: Pool) -> Notifier:
    """As `meter setup` does, and then the start of the notifier."""
    await migrate(old, PACKAGES)
    await old.execute(load_sql("meter", "insert_projection_cursors"), SHARDS)
    await old.execute(load_sql("meter", "insert_rebuild_shards"), SHARDS)
    notifier = Notifier(pool)
    await record_thresholds(pool, notifier.thresholds)
    return notifier


def repeat(offset: int) -> Accepted:
    """What `told` used first, sent again with the letters of its id in capitals, as the meter reads it."""
    attributes = {"id": IN_TWO_CASES.upper(), "source": "/example/gateway", "time": MOMENT.isoformat()}
    event = builders.event("usage.model_inference.v1", {"credits": "40", "model": "large"}, "told", **attributes)
    sent = record(USAGE, offset, key=b"told", value=builders.encode(event))
    [read] = parse_all([sent], MOMENT, Limits(partitions=1))
    assert isinstance(read, Accepted), read
    return read


async def settle(pool: Pool, notifier: Notifier) -> None:
    await fold_all(pool)
    await notifier.read_all()


async def find_faults(pool: Pool) -> list[object]:
    """Of the log, of balances and accounts, of crossings and letters, and of who is said to know of each line."""
    found: list[object] = [*(await verify_log(pool, await choose_shards(pool, None))).findings]
    found += [difference for difference in await find_differences(pool) if difference.model != "usage"]
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
        for shard in range(SHARDS):
            found += await compare_states(connection, shard, SETTLED)
    return found


async def levels(pool: Pool) -> dict[str, dict[str, int]]:
    rows = await pool.fetch(
        "SELECT c.account_id, c.contact, coalesce(t.level, 0) AS level "
        "FROM notifier.contacts c LEFT JOIN notifier.told t "
        "ON t.account_id = c.account_id AND t.contact = c.contact AND t.resource = 'model_credits' WHERE c.is_contact"
    )
    known: dict[str, dict[str, int]] = {name: {} for name in HISTORIES}
    for row in rows:
        known[row["account_id"]][row["contact"]] = row["level"]
    return known


async def sent_by_account(pool: Pool) -> dict[str, int]:
    rows = await pool.fetch(
        "SELECT account_id, count(*) AS sent FROM notifier.emails WHERE state = 'accepted' AND NOT in_start GROUP BY 1"
    )
    counts = {row["account_id"]: row["sent"] for row in rows}
    return {name: counts.get(name, 0) for name in HISTORIES}


async def test_an_upgraded_database_verifies_and_sends_what_was_owed_once(old: asyncpg.Connection, pool: Pool) -> None:
    notifier = await upgrade(old, pool)
    assert await levels(pool) == {name: dict(history.told) for name, history in HISTORIES.items()}
    assert await find_faults(pool) == []
    await settle(pool, notifier)
    assert await find_faults(pool) == []
    mail = Mail(pool)
    await mail.try_all()
    assert await sent_by_account(pool) == {name: history.sent for name, history in HISTORIES.items()}
    assert await mail.try_all() == 0
    assert await find_faults(pool) == []
    for models in ([Model.BALANCES], [Model.USAGE]):
        await Rebuild(pool, models, progress=lambda _events: None).run()
    assert await find_faults(pool) == []


async def test_usage_goes_on_behind_the_upgrade_and_a_uuid_of_before_is_one_id_in_any_case(
    old: asyncpg.Connection, pool: Pool
) -> None:
    notifier = await upgrade(old, pool)
    shard = partition_for(b"told", SHARDS)
    number = await pool.fetchval("SELECT usage_offset FROM meter.shards WHERE shard = $1", shard)
    accounts = await pool.fetchval("SELECT accounts_offset FROM meter.shards WHERE shard = $1", shard)
    again = repeat(number)
    assert again.event_id == IN_TWO_CASES
    results = again, usage(number + 1, account_id="told", amount=8 * MICRO)
    done = await PostgresEventStore(pool).append(plan(*results, shard=shard, start=(number, accounts)))
    assert (done.stored, done.duplicates, done.rejected) == (1, 1, 0)
    await settle(pool, notifier)
    await Mail(pool).try_all()
    assert (await levels(pool))["told"] == {OWNER: 90}
    assert await sent_by_account(pool) == {name: history.sent for name, history in HISTORIES.items()} | {"told": 1}
    assert await find_faults(pool) == []
