"""An account is forgotten while a letter is under way: the mailer ends it quietly, and keeps nothing of its reader."""

import asyncio

import pytest

from notifier.mail.verdict import Judgement, Phase, Result, Verdict
from notifier.store.letters import work_out, write_changes
from notifier.store.notices import forget_people, write_plan
from notifier.store.port import ClaimedEmail
from notifier.store.retry import Retried, RetryRequests, carry_out_next
from tests.integration.test_notifier_old_letters import hand_over_one
from tests.integration.test_notifier_store import PostgresStores
from tests.integration.test_notifier_store import stores as stores
from tests.support.searching import find
from tests.support.waiting import until
from tests.unit.notifier.builders import ACCOUNT, AT, account
from tests.unit.notifier.contract import ACCEPTED, CLAIM_S, LIMITS, plan_for, queue_one, save

READER = "owner@example.com"
ANSWER = Result(Phase.DOT, 550, f"<{READER}> is unknown here")
REFUSED = Judgement(Verdict.REFUSED, ANSWER, reason=f"<{READER}> is unknown here")
LATER = Judgement(Verdict.RETRY, Result(Phase.RCPT, 451, f"<{READER}> is busy"), reason=f"<{READER}> is busy")
FORGOTTEN = account(4, contacts=(), contact_ids=(), forgotten=True)
LOCKED = "SELECT count(*) = $1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
one_server = pytest.mark.not_on_citus("who waits for a lock is seen on the server that has it")


async def forget(stores: PostgresStores) -> None:
    await save(stores, [FORGOTTEN], start=3)


async def wait_for_locks(stores: PostgresStores, waiting: int) -> None:
    await until(lambda: stores.pool.fetchval(LOCKED, waiting))


async def read_all(stores: PostgresStores) -> list[bytes]:
    tables = ("accounts", "contacts", "told", "emails", "email_attempts")
    return [
        str(row[0]).encode() for t in tables for row in await stores.pool.fetch(f"SELECT x::text FROM notifier.{t} x")
    ]


@pytest.mark.parametrize("judgement", [ACCEPTED, REFUSED])
async def test_the_end_of_a_letter_under_way_names_nobody(stores: PostgresStores, judgement: Judgement) -> None:
    email = await hand_over_one(stores, None)
    assert find(await read_all(stores), READER) == [READER]
    await forget(stores)
    assert not await stores.queue.finish(email, judgement, 0, AT)
    assert (await stores.email(email))[0] == "cancelled"
    assert find(await read_all(stores), READER) == []


async def claim_one(stores: PostgresStores) -> ClaimedEmail:
    await queue_one(stores)
    email = await stores.queue.claim(CLAIM_S)
    assert email is not None
    return email


async def test_a_letter_that_is_claimed_is_not_sent_any_more(stores: PostgresStores) -> None:
    email = await claim_one(stores)
    await forget(stores)
    await stores.queue.look(email, LIMITS)
    assert await stores.queue.claim(CLAIM_S) is None
    assert (await stores.letters(ACCOUNT)).contacts[str(email.row.contact_id)].unsent is None


@one_server
async def test_a_retry_that_is_asked_for_while_its_account_is_forgotten_finds_nothing_owed(
    stores: PostgresStores,
) -> None:
    email = await hand_over_one(stores, REFUSED)
    requests = RetryRequests(stores.pool)
    request = await requests.ask(email.row.email_id, "support")
    assert request is not None
    plan = await plan_for(stores, [FORGOTTEN], start=3)
    async with stores.pool.acquire() as connection, connection.transaction():
        changes = await work_out(connection, plan)
        carrying = asyncio.create_task(carry_out_next(stores.pool, AT))
        await wait_for_locks(stores, 1)
        await write_plan(connection, plan)
        await write_changes(connection, changes, 0, AT)
        await forget_people(connection, plan)
    carried = await carrying
    assert carried is not None and carried.outcome is Retried.NOTHING
    assert await requests.fetch_answer(request) is Retried.NOTHING
    assert find(await read_all(stores), READER) == []


@one_server
async def test_an_answer_that_is_being_recorded_while_its_reader_is_forgotten_names_nobody(
    stores: PostgresStores,
) -> None:
    email = await hand_over_one(stores, None)
    async with stores.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM notifier.email_attempts FOR UPDATE")
        finishing = asyncio.create_task(stores.queue.finish(email, LATER, 0, AT))
        await wait_for_locks(stores, 1)
        forgetting = asyncio.create_task(forget(stores))
        await wait_for_locks(stores, 2)
    await asyncio.gather(finishing, forgetting)
    assert find(await read_all(stores), READER) == []
