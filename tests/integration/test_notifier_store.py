"""The Postgres stores keep the contract; and several processes at once keep out of each other's way."""

import asyncio

import pytest

from meter.runtime.postgres import Pool
from notifier.letters import Letters
from notifier.store.emails import PostgresMailQueue
from notifier.store.letters import fetch_letters
from notifier.store.notices import PostgresNoticeStore
from notifier.store.port import ClaimedEmail
from schemas.build import Decoded, decode_event
from schemas.topics import BALANCES
from tests.support.waiting import GIVEN_UP_S
from tests.support.working_time import within
from tests.unit.notifier.builders import ACCOUNT, AT, account, percent
from tests.unit.notifier.contract import ACCEPTED, CLAIM_S, others, plan_for, queue_one, save
from tests.unit.notifier.day_limits_contract import DayLimitsContract
from tests.unit.notifier.doubt_contract import DoubtContract
from tests.unit.notifier.queue_contract import QueueContract
from tests.unit.notifier.store_contract import StoreContract


class PostgresStores:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.store = PostgresNoticeStore(pool)
        self.queue = PostgresMailQueue(pool)

    async def pass_s(self, seconds: float) -> None:
        """Time passes for the queue: everything was due earlier by so much."""
        await self.pool.execute(
            "UPDATE notifier.emails SET next_attempt_at"
            " = (next_attempt_at AT TIME ZONE 'UTC' - make_interval(secs => $1)) AT TIME ZONE 'UTC'",
            seconds,
        )

    async def published(self) -> list[Decoded]:
        rows = await self.pool.fetch("SELECT value FROM notifier.outbox ORDER BY id")
        return [decode_event(row["value"]) for row in rows]

    async def letters(self, account_id: str) -> Letters:
        async with self.pool.acquire() as connection:
            shard = await connection.fetchval("SELECT shard FROM notifier.accounts WHERE account_id = $1", account_id)
            return (await fetch_letters(connection, {account_id: shard}))[account_id]

    async def email(self, email: ClaimedEmail) -> tuple[str, int, int]:
        row = await self.pool.fetchrow(
            "SELECT state, attempts, ambiguous_attempts FROM notifier.emails WHERE email_id = $1", email.row.email_id
        )
        assert row is not None
        return row["state"], row["attempts"], row["ambiguous_attempts"]


@pytest.fixture
async def stores(pool: Pool) -> PostgresStores:
    await pool.execute("INSERT INTO notifier.cursors (topic, shard) SELECT $1, generate_series(0, 2)", BALANCES)
    return PostgresStores(pool)


class TestPostgresStore(StoreContract): ...


class TestPostgresQueue(QueueContract): ...


class TestPostgresDayLimits(DayLimitsContract): ...


class TestPostgresDoubt(DoubtContract): ...


async def test_of_two_writers_of_a_shard_one_wins_and_the_other_writes_nothing(stores: PostgresStores) -> None:
    plan = await plan_for(stores, [account(1), percent(0, 2), percent(50, 3)])
    endings = await asyncio.gather(stores.store.save(plan), stores.store.save(plan), return_exceptions=True)
    assert sorted(type(ending).__name__ for ending in endings) == ["OwnershipLostError", "Saved"]
    assert await stores.pool.fetchval("SELECT count(*) FROM notifier.emails") == 1


@pytest.mark.not_on_citus("a transaction takes one shard there: nothing is saved together")
async def test_a_shard_that_is_locked_is_not_waited_for(stores: PostgresStores) -> None:
    first = await plan_for(stores, [account(1)])
    second = await plan_for(stores, others(), shard=1)
    async with stores.pool.acquire() as other, other.transaction():
        await other.execute("SELECT FROM notifier.cursors WHERE shard = 1 FOR UPDATE")
        with within(5):
            async with asyncio.timeout(GIVEN_UP_S):
                assert await stores.store.save_together([first, second]) is None
    assert await stores.store.save_together([first, second])


async def test_many_mailers_claim_every_email_once(stores: PostgresStores) -> None:
    contacts = tuple(f"c{number}@example.com" for number in range(20))
    await queue_one(stores, contacts)
    found = await asyncio.gather(*(stores.queue.claim(CLAIM_S) for _ in range(20)))
    found += [await stores.queue.claim(CLAIM_S) for _ in range(20)]
    assert sorted(email.row.recipient for email in found if email is not None) == sorted(contacts)


async def test_attempts_are_kept_with_what_became_of_them(stores: PostgresStores) -> None:
    await queue_one(stores)
    email = await stores.queue.claim(CLAIM_S)
    assert email is not None
    await stores.queue.finish(email, ACCEPTED, 0, AT)
    row = await stores.pool.fetchrow("SELECT claim, outcome, phase, reply_code FROM notifier.email_attempts")
    assert row is not None and tuple(row) == (1, "accepted", "dot", 250)


async def test_a_notice_cannot_be_written_twice_whatever_happens_to_the_cursor(stores: PostgresStores) -> None:
    await save(stores, [account(1), percent(0, 2), percent(50, 3)])
    await stores.pool.execute("UPDATE notifier.cursors SET next_offset = 0")
    plan = await save(stores, [account(1), percent(0, 2), percent(50, 3)])
    assert not plan.notices and not plan.letters and not plan.events
    assert await stores.pool.fetchval("SELECT count(*) FROM notifier.notices WHERE account_id = $1", ACCOUNT) == 3
