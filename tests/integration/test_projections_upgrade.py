"""Read models that the version before folded: the migration brings their newest state in line, a rebuild the rest."""

import json
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import asyncpg
import pytest

from meter.runtime.postgres import Pool, close_pool, create_pool
from meter.runtime.postgres import migrations as migrating
from meter.runtime.postgres.migrations import migrate, read_migrations
from projections.rebuild import Model, Rebuild
from projections.store_usage import UsageStore
from projections.verify import Difference, verify
from tests.integration.projections_books import assert_balances
from tests.integration.projections_log import (
    MICRO,
    NOON,
    OPENED,
    Event,
    EventLog,
    contacts_changed,
    fold_all,
    granted,
    opened,
    plan_changed,
    renamed,
    reversed_,
    used,
)
from tests.integration.usage_log import assert_usage

OLD = 5  # migrations of the projections that the old read models were made with
OLD_BALANCE = """
INSERT INTO projections.balance_states
    (account_id, resource, shard, granted, consumed, base, epoch, boundaries, position, as_of)
VALUES ($1, 1, $2, $3, $4, $5, $6, $7::bigint[], $8, $9)
"""
OLD_DAYS = """
INSERT INTO projections.usage_days (account_id, day, resource, type, name, shard, events, amount)
SELECT account_id, (occurred_at AT TIME ZONE 'UTC')::date, resource, type, name, shard, count(*), sum(amount)
FROM meter.events WHERE type IN (1, 2, 3, 4, 14) GROUP BY 1, 2, 3, 4, 5, 6
"""
OLD_ACCOUNT = """
INSERT INTO projections.account_states
    (account_id, shard, plan, display_name, contacts, opened_at, position, as_of)
VALUES ($1, $2, 'free', $3, '["owner@example.com"]', $4, $5, $6)
"""


@pytest.fixture
async def old(empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(empty_dsn)
    with monkeypatch.context() as patch:
        patch.setattr(
            migrating,
            "read_migrations",
            lambda package: read_migrations(package)[: OLD if package == "projections" else None],
        )
        await migrate(connection, ["meter", "projections"])
    yield connection
    await connection.close()


@pytest.fixture
async def pool(old: asyncpg.Connection, empty_dsn: str) -> AsyncIterator[Pool]:
    opened_pool = await create_pool(empty_dsn, application_name="tests")
    yield opened_pool
    await close_pool(opened_pool)


@pytest.fixture
async def log(pool: Pool) -> EventLog:
    made = EventLog(pool)
    await made.set_up(projections=["balance"])
    return made


class OldFold:
    """The rules of before: every grant began an epoch and made the account allowed, no reversal did."""

    def __init__(self, pool: Pool, log: EventLog) -> None:
        self._pool = pool
        self._log = log

    async def run(self, *accounts: str) -> None:
        """Store what the model credits of these accounts came to, and move the cursors to the end of the log."""
        places = await self._pool.fetch("SELECT account_id, position, recorded_at, type FROM meter.events")
        for account_id in accounts:
            own = [place for place in places if place["account_id"] == account_id]
            events = [event for event in self._log.events if event.account_id == account_id]
            await self._store(account_id, events, max(own, key=lambda place: int(place["position"])))
        await self._pool.execute(
            "UPDATE projections.cursors c SET position = s.next_position - 1 "
            "FROM meter.shards s WHERE s.shard = c.shard"
        )

    async def _store(self, account_id: str, events: Sequence[Event], last: asyncpg.Record) -> None:
        total = consumed = base = 0
        boundaries: list[int] = []
        for event in events:
            if event.type == OPENED:
                await self._pool.execute(
                    OLD_ACCOUNT, account_id, event.shard, event.data["display_name"], NOON, 1, NOON
                )
            elif event.resource is None:
                continue
            elif event.type == granted("x", 1).type:
                total += event.amount
                boundaries.append(total)
                base = max((boundary for boundary in boundaries if boundary <= consumed), default=0)
            else:
                consumed += -event.amount if event.type == reversed_("x", 1).type else event.amount
        await self._pool.execute(
            OLD_BALANCE, account_id, events[0].shard, total, consumed, base, len(boundaries), boundaries,
            last["position"], last["recorded_at"],
        )  # fmt: skip


def open_with_credits(account_id: str) -> list[Event]:
    """Tool runs are left out: each account here has one balance."""
    return opened(account_id)[:2]


USUAL = [*open_with_credits("acct-1"), used("acct-1", 80), granted("acct-1", 100), used("acct-1", 5)]
FREE = [*open_with_credits("acct-2"), used("acct-2", 20)]
NEVER_OPENED = [granted("acct-3", 100), used("acct-3", 30)]
BEHIND_THE_START = [
    *open_with_credits("acct-4"), used("acct-4", 80), granted("acct-4", 100), reversed_("acct-4", 20),
    used("acct-4", 1),
]  # fmt: skip
TOO_MUCH = [*open_with_credits("acct-5"), used("acct-5", 10), reversed_("acct-5", 30)]
GRANTED_EARLY = [granted("acct-6", 100), *open_with_credits("acct-6"), used("acct-6", 50)]
ACCOUNTS = ("acct-1", "acct-2", "acct-3", "acct-4", "acct-5", "acct-6")


async def find_differences(pool: Pool) -> list[Difference]:
    found = [difference async for report in verify(pool) for difference in report.differences]
    return [difference for difference in found if difference.model == "balances"]


async def test_the_newest_state_is_brought_in_line_and_a_rebuild_brings_the_rest(
    old: asyncpg.Connection, pool: Pool, log: EventLog
) -> None:
    await log.append(*USUAL, *FREE, *NEVER_OPENED, *BEHIND_THE_START, *TOO_MUCH, *GRANTED_EARLY)
    await OldFold(pool, log).run(*ACCOUNTS)
    assert await pool.fetchval("SELECT allowed FROM projections.balances WHERE account_id = 'acct-3'")
    await migrate(old, ["projections"])
    rows = await pool.fetch(
        "SELECT account_id, consumed, allocation, allowed, free_only, account_state "
        "FROM projections.all_balances ORDER BY account_id"
    )
    assert [tuple(row)[1:] for row in rows] == [
        (10, 100, True, False, "open"),
        (20, 75, True, True, "open"),
        (30, 0, False, False, "not_opened"),
        (61, 175, True, False, "open"),
        (0, 95, True, True, "open"),
        (50, 175, True, False, "open"),
    ]
    # Only the number of an epoch that began otherwise on the way: the grant before the opening of acct-6 began one.
    [difference] = await find_differences(pool)
    assert difference.account_id == "acct-6" and difference.stored is not None and difference.log is not None
    stored, right = json.loads(difference.stored), json.loads(difference.log)
    assert (stored["epoch"], right["epoch"]) == (2, 1)
    await Rebuild(pool, [Model.BALANCES], progress=lambda _events: None).run()
    assert await find_differences(pool) == []
    await assert_balances(pool, log.events)


async def test_the_fold_goes_on_from_what_was_migrated(old: asyncpg.Connection, pool: Pool, log: EventLog) -> None:
    await log.append(*USUAL, *FREE, *NEVER_OPENED, *BEHIND_THE_START, *TOO_MUCH)
    await OldFold(pool, log).run(*ACCOUNTS[:5])
    await migrate(old, ["projections"])
    await log.append(*(used(account_id, 1) for account_id in ACCOUNTS[:5]), *open_with_credits("acct-3"))
    await log.append(granted("acct-4", 1), granted("acct-5", 1), reversed_("acct-1", 20))
    await fold_all(pool, 3)
    assert await find_differences(pool) == []
    await assert_balances(pool, log.events)


async def test_what_came_before_an_opening_is_applied_and_kept(
    old: asyncpg.Connection, pool: Pool, log: EventLog
) -> None:
    """The version before left it out, and its cursor has passed it."""
    await log.append(
        plan_changed("acct-1", "Team"), contacts_changed("acct-1", "c@example.com"), *open_with_credits("acct-1"),
        renamed("acct-1", display_name="Later"), plan_changed("acct-7", "pro"), renamed("acct-7", display_name=" "),
    )  # fmt: skip
    await OldFold(pool, log).run("acct-1")
    await pool.execute(
        "UPDATE projections.account_states s SET position = 5, display_name = 'Later', as_of = e.recorded_at "
        "FROM meter.events e WHERE e.shard = s.shard AND e.position = 5"
    )
    await migrate(old, ["projections"])
    accounts = await pool.fetch(
        "SELECT account_id, plan, display_name, contacts::text, opened_at IS NULL FROM projections.account_states "
        "ORDER BY account_id"
    )
    assert [tuple(account) for account in accounts] == [
        ("acct-1", "team", "Later", '["c@example.com"]', False),
        ("acct-7", "pro", None, None, True),
    ]
    found = [difference async for report in verify(pool) for difference in report.differences]
    assert [difference for difference in found if difference.model == "accounts"] == []


async def test_a_fold_of_the_version_before_fails(old: asyncpg.Connection, pool: Pool) -> None:
    """It would leave out whether the account is open, and take a grant for a permission."""
    await migrate(old, ["projections"])
    with pytest.raises(asyncpg.NotNullViolationError, match="opened"):
        await pool.execute(OLD_BALANCE, "acct-1", 0, MICRO, 0, 0, 1, [MICRO], 1, NOON)
    with pytest.raises(asyncpg.NotNullViolationError, match="closed"):
        await pool.execute(OLD_ACCOUNT, "acct-1", 0, None, NOON, 1, NOON)


async def test_usage_by_day_goes_back_at_no_time_while_usage_is_folded_anew(
    old: asyncpg.Connection, pool: Pool, log: EventLog
) -> None:
    """Readers see the lines of before, shard by shard, until the new fold has come as far. Of open accounts."""
    await log.append(*USUAL, *FREE, *NEVER_OPENED, *GRANTED_EARLY)
    await OldFold(pool, log).run("acct-1", "acct-2", "acct-3", "acct-6")
    await pool.execute(OLD_DAYS)
    seen = [await read_days(pool)]
    await migrate(old, ["projections"])
    seen.append(await read_days(pool))
    await log.append(used("acct-1", 7), used("acct-2", 7))
    await fold_all(pool, 100)
    store = UsageStore(pool, most_events=1)
    while (await store.fold()).events:
        seen.append(await read_days(pool))
    seen[0] = {line: events for line, events in seen[0].items() if line[0] != "acct-3"}
    assert seen[0] == seen[1] and len(seen) > 10
    for before, after in pairwise(seen):
        assert set(before) <= set(after)
        assert all(before[line] <= after[line] for line in before)
    assert sum(seen[-1].values()) == sum(seen[0].values()) + 2
    await assert_usage(pool, log.events)


async def test_a_fold_of_the_version_before_adds_to_no_usage(old: asyncpg.Connection, pool: Pool) -> None:
    await migrate(old, ["projections"])
    with pytest.raises(asyncpg.UndefinedTableError, match="usage_days"):
        await pool.execute(OLD_DAYS)


async def read_days(pool: Pool) -> dict[tuple[object, ...], int]:
    rows = await pool.fetch("SELECT account_id, day, resource, kind, name, events FROM projections.usage_by_day")
    return {tuple(row)[:5]: row["events"] for row in rows}
