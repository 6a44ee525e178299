"""Letters lose their bytes when they ended long ago, and keep everything else."""

import asyncio
from dataclasses import replace

from meter.runtime.postgres import Pool, is_on_citus
from notifier.letters import Shown
from notifier.mail.verdict import Judgement
from notifier.model import Draft
from notifier.old_letters import MOST, OldLetters, drop_bytes
from notifier.store.port import ClaimedEmail
from notifier.store.retry import Retried, RetryRequests, carry_out_next
from tests.integration.test_notifier_store import PostgresStores
from tests.integration.test_notifier_store import stores as stores
from tests.support.waiting import until
from tests.unit.notifier.builders import AT
from tests.unit.notifier.contract import ACCEPTED, CLAIM_S, queue_one

KEEP_DAYS = 30


async def hand_over_one(stores: PostgresStores, judgement: Judgement | None) -> ClaimedEmail:
    """A letter with bytes, which ends with `judgement` or is on its way."""
    await queue_one(stores)
    email = await stores.queue.claim(CLAIM_S)
    assert email is not None
    shown = {"model_credits": Shown(1, 50, 50, 2)}
    email = replace(email, draft=Draft("<1@example.com>", b"To: ann@example.com", shown, email.row.notice_id))
    assert await stores.queue.hand_over(email, CLAIM_S)
    if judgement is not None:
        assert await stores.queue.finish(email, judgement, 0, AT)
    return email


async def make_older(pool: Pool, days: float) -> None:
    columns = ("created_at", "finished_at", "handed_over_at")
    earlier = "({} AT TIME ZONE 'UTC' - make_interval(secs => $1)) AT TIME ZONE 'UTC'"
    changes = ", ".join(f"{column} = {earlier.format(column)}" for column in columns)
    await pool.execute(f"UPDATE notifier.emails SET {changes}", days * 86_400)


async def shards_to_name(pool: Pool) -> list[int]:
    """What the service names one by one: on Citus each shard, else none."""
    return [0, 1, 2] if await is_on_citus(pool) else []


async def drop_all(pool: Pool) -> int:
    return sum([await drop_bytes(pool, KEEP_DAYS, shard) for shard in await shards_to_name(pool) or (None,)])


async def read_bytes(pool: Pool) -> list[bytes | None]:
    return [row["message"] for row in await pool.fetch("SELECT message FROM notifier.emails")]


async def has_no_bytes(pool: Pool) -> bool:
    return not any(await read_bytes(pool))


async def test_an_old_letter_loses_its_bytes_and_keeps_what_it_told(stores: PostgresStores) -> None:
    email = await hand_over_one(stores, ACCEPTED)
    await make_older(stores.pool, KEEP_DAYS + 1)
    assert await drop_all(stores.pool) == 1
    row = await stores.pool.fetchrow("SELECT state, message, message_id, lines FROM notifier.emails")
    assert row is not None
    assert (row["state"], row["message"], row["message_id"]) == ("accepted", None, "<1@example.com>")
    assert '"line": 50' in row["lines"]
    letters = await stores.letters(email.row.account_id)
    assert letters.contacts[email.row.recipient].of("model_credits").level == 50
    assert await drop_all(stores.pool) == 0


async def test_a_letter_of_late_keeps_its_bytes(stores: PostgresStores) -> None:
    await hand_over_one(stores, ACCEPTED)
    await make_older(stores.pool, KEEP_DAYS - 1)
    assert await drop_all(stores.pool) == 0
    assert await read_bytes(stores.pool) == [b"To: ann@example.com"]


async def test_a_letter_that_has_not_ended_keeps_its_bytes_however_old(stores: PostgresStores) -> None:
    """A repeat after a lost reply must be the same mail."""
    await hand_over_one(stores, None)
    await make_older(stores.pool, 10 * KEEP_DAYS)
    assert await drop_all(stores.pool) == 0
    assert await read_bytes(stores.pool) == [b"To: ann@example.com"]


async def test_the_loop_takes_all_there_are_in_several_statements(stores: PostgresStores) -> None:
    letters = 2 * MOST + 1
    await hand_over_one(stores, ACCEPTED)
    await stores.pool.execute(
        "INSERT INTO notifier.emails (email_id, notice_id, recipient, message, state, next_attempt_at, created_at,"
        " finished_at, shard, account_id) SELECT gen_random_uuid(), notice_id, recipient, message, state,"
        " next_attempt_at, created_at, finished_at, shard, account_id"
        " FROM notifier.emails, generate_series(2, $1)",
        letters,
    )
    await make_older(stores.pool, KEEP_DAYS + 1)
    stop, shards = asyncio.Event(), await shards_to_name(stores.pool)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(OldLetters(stores.pool, KEEP_DAYS, shards=shards).run(stop))
        await until(lambda: has_no_bytes(stores.pool))
        stop.set()
    assert len(await read_bytes(stores.pool)) == letters


async def test_a_letter_from_before_contacts_were_kept_is_answered_like_any_other(stores: PostgresStores) -> None:
    """The first release kept none, and its upgrade made them for those who still were contacts."""
    email = await hand_over_one(stores, ACCEPTED)
    await stores.pool.execute("DELETE FROM notifier.told")
    await stores.pool.execute("DELETE FROM notifier.contacts")
    requests = RetryRequests(stores.pool)
    request = await requests.ask(email.row.email_id, "support")
    assert request is not None
    carried = await carry_out_next(stores.pool, AT)
    assert carried is not None and carried.outcome is Retried.NOTHING
    assert await requests.fetch_answer(request) is Retried.NOTHING
