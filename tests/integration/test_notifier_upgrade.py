"""A database of before letters: what was stored keeps its meaning, and the upgrade itself sends nothing."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import pytest

from meter.runtime.postgres.migrations import read_migrations

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
OWNER, OTHER = "owner@example.com", "other@example.com"
NOTICE = """
INSERT INTO notifier.notices (notice_id, account_id, resource, epoch, channel, threshold, outcome, allocation, consumed,
                              shard, position, created_at)
VALUES ($1, $2, 'model_credits', $3, 'email', $4, $5, 100, 0, 0, $6, $7)
"""
EMAIL = """
INSERT INTO notifier.emails (email_id, notice_id, recipient, message_id, message, state, ambiguous_attempts,
                             next_attempt_at, created_at)
VALUES ($1, $2, $3, $4, 'bytes', $5, $6, $7, $7)
"""
BANNER = """
INSERT INTO notifier.banners (account_id, resource, threshold, kind, removable, text, epoch, shard, position, raised_at)
VALUES ($1, 'model_credits', 100, $2, false, 'a text', $3, 0, 9, $4)
"""


class Before:
    """The notifier's schema as its first migration makes it."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection

    async def account(self, name: str, used: int, epoch: int = 1, contacts: str = f'["{OWNER}"]') -> None:
        await self.connection.execute(
            "INSERT INTO notifier.accounts VALUES ($1, 0, 1, 'free', NULL, $2::text::jsonb)", name, contacts
        )
        await self.connection.execute(
            "INSERT INTO notifier.balances VALUES ($1, 'model_credits', 0, 99, $2, 100, $3, $4)",
            name,
            epoch,
            used,
            NOON,
        )

    async def notice(self, name: str, threshold: int, outcome: str, position: int, epoch: int = 1) -> UUID:
        number = uuid4()
        await self.connection.execute(NOTICE, number, name, epoch, threshold, outcome, position, NOON)
        return number

    async def email(self, notice: UUID, state: str, recipient: str = OWNER, ambiguous: int = 0) -> UUID:
        number = uuid4()
        await self.connection.execute(EMAIL, number, notice, recipient, f"<{number}@x>", state, ambiguous, NOON)
        return number

    async def upgrade(self) -> None:
        await self.connection.execute(read_migrations("notifier")[1].sql)

    async def level(self, name: str, contact: str = OWNER) -> int:
        level = await self.connection.fetchval(
            "SELECT level FROM notifier.told WHERE account_id = $1 AND contact = $2", name, contact
        )
        return int(level)

    async def states(self) -> dict[UUID, str]:
        rows = await self.connection.fetch("SELECT email_id, state FROM notifier.emails")
        return {row["email_id"]: row["state"] for row in rows}


@pytest.fixture
async def before(empty_dsn: str) -> AsyncIterator[Before]:
    connection = await asyncpg.connect(empty_dsn)
    await connection.execute(read_migrations("notifier")[0].sql)
    yield Before(connection)
    await connection.close()


async def test_lines_reached_before_count_as_told_and_nothing_is_queued(before: Before) -> None:
    await before.account("told", 75, contacts=f'["{OWNER}", "{OTHER}"]')
    sent = await before.email(await before.notice("told", 50, "delivered", 5), "sent")
    failed = await before.email(await before.notice("told", 70, "delivered", 7), "failed")
    await before.account("silent", 80)
    await before.notice("silent", 80, "seeded", 3)
    await before.account("lowered", 40)
    dropped = await before.email(await before.notice("lowered", 50, "delivered", 3), "dropped")
    await before.upgrade()
    assert [await before.level(name) for name in ("told", "silent", "lowered")] == [70, 80, 50]
    assert await before.level("told", OTHER) == 70
    assert await before.states() == {sent: "accepted", failed: "given_up", dropped: "cancelled"}
    lines = await before.connection.fetch("SELECT account_id, line FROM notifier.balances ORDER BY 1")
    assert [tuple(row) for row in lines] == [("lowered", 0), ("silent", 80), ("told", 70)]


async def test_a_letter_that_is_still_queued_is_owed(before: Before) -> None:
    """Two letters wait: one stays, is rendered anew, and tells both; a jump's lower lines were told by nobody."""
    await before.account("waiting", 92)
    await before.email(await before.notice("waiting", 50, "delivered", 5), "sent")
    await before.notice("waiting", 70, "superseded", 7)
    first = await before.email(await before.notice("waiting", 80, "delivered", 7), "queued")
    second = await before.email(await before.notice("waiting", 90, "delivered", 9), "queued")
    await before.upgrade()
    assert await before.level("waiting") == 50
    states = await before.states()
    assert sorted(states[number] for number in (first, second)) == ["cancelled", "queued"]
    kept = await before.connection.fetchrow("SELECT message, lines FROM notifier.emails WHERE state = 'queued'")
    assert kept is not None and kept["message"] is None and kept["lines"] == "[]"


async def test_a_letter_in_doubt_keeps_its_bytes(before: Before) -> None:
    await before.account("doubt", 55)
    await before.email(await before.notice("doubt", 50, "delivered", 5), "queued", ambiguous=1)
    await before.upgrade()
    kept = await before.connection.fetchrow(
        "SELECT message, lines->0->>'line' AS line FROM notifier.emails WHERE state = 'queued'"
    )
    assert kept is not None and (kept["message"], kept["line"]) == (b"bytes", "50") and await before.level("doubt") == 0


async def test_what_waits_from_an_earlier_epoch_is_owed_in_this_one(before: Before) -> None:
    await before.account("topped", 75, epoch=2, contacts=f'["{OTHER}"]')
    await before.email(await before.notice("topped", 50, "delivered", 3), "sent", OTHER)
    ninety = await before.notice("topped", 90, "delivered", 5)
    await before.email(ninety, "queued", OTHER)
    await before.email(ninety, "queued", OWNER)  # who has left since
    for line in (50, 70):
        await before.notice("topped", line, "seeded", 8, epoch=2)
    await before.upgrade()
    assert await before.level("topped", OTHER) == 50
    gone = await before.connection.fetchrow("SELECT is_contact FROM notifier.contacts WHERE contact = $1", OWNER)
    assert gone is not None and not gone["is_contact"]


async def test_a_banner_about_free_credits_stays_until_the_next_event_says_more(before: Before) -> None:
    """What was ever granted is not known of balances of before; in a second epoch it was more than the allowance."""
    for name, epoch, kind in (("free", 1, "free_expired"), ("bought", 2, "free_expired"), ("low", 1, "low")):
        await before.account(name, 100, epoch=epoch)
        await before.connection.execute(BANNER, name, kind, epoch, NOON)
    await before.upgrade()
    [later] = [migration for migration in read_migrations("notifier") if "ADD COLUMN free_only" in migration.sql]
    await before.connection.execute(later.sql)
    rows = await before.connection.fetch("SELECT account_id, free_only FROM notifier.balances")
    assert {row["account_id"]: row["free_only"] for row in rows} == {"free": True, "bought": None, "low": None}
