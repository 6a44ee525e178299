"""What a person asks for about letters that ended without reaching anybody: a request, and the notifier's answer.

Only the notifier changes letters. Whoever asks needs no more than the right to add a request.
"""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID, uuid4

from meter.runtime.postgres import Executor, Pool, load_sql, write_transaction
from notifier.owed import retry_letter
from notifier.store.letters import Change, fetch_letters, write_changes
from notifier.store.rows import read_email

PACKAGE = "notifier"


class Retried(StrEnum):
    """What came of it, as it is stored."""

    WAITS = "waits"
    NOTHING = "nothing"
    QUEUED = "queued"

    @property
    def words(self) -> str:
        return WORDS[self]


WORDS = {
    Retried.WAITS: "a letter to this contact is on its way already",
    Retried.NOTHING: "nothing is owed to this contact",
    Retried.QUEUED: "queued",
}
NO_SUCH_LETTER = "there is no such letter: see the ids in `notifier emails list`"


class Request(NamedTuple):
    shard: int
    request_id: UUID


class Carried(NamedTuple):
    """A request that was carried out."""

    email_id: UUID
    requested_by: str
    outcome: Retried


class RetryRequests:
    """For whoever asks."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def ask(self, email_id: UUID, requested_by: str) -> Request | None:
        """None when there is no such letter."""
        request_id = uuid4()
        shard = await self._pool.fetchval(load_sql(PACKAGE, "append_retry_request"), request_id, email_id, requested_by)
        return None if shard is None else Request(shard, request_id)

    async def fetch_answer(self, request: Request) -> Retried | None:
        """None until the notifier has carried it out."""
        outcome = await self._pool.fetchval(load_sql(PACKAGE, "fetch_retry_answer"), *request)
        return None if outcome is None else Retried(outcome)


async def carry_out_next(pool: Pool, at: datetime) -> Carried | None:
    """Carry out the request that waits longest, and answer it in the same transaction; None when none waits."""
    for asked in await pool.fetch(load_sql(PACKAGE, "find_asked_shards")):
        if (carried := await carry_out(pool, asked["shard"], at)) is not None:
            return carried
    return None


async def carry_out(pool: Pool, shard: int, at: datetime) -> Carried | None:
    """The longest of one shard."""
    async with pool.acquire() as connection, write_transaction(connection):
        row = await connection.fetchrow(load_sql(PACKAGE, "claim_retry_request"), shard)
        if row is None:
            return None
        outcome = await retry_email(connection, row["email_id"], shard, at)
        answer = (row["shard"], row["request_id"], outcome.value, at)
        await connection.execute(load_sql(PACKAGE, "answer_retry_request"), *answer)
        return Carried(row["email_id"], row["requested_by"], outcome)


async def retry_email(connection: Executor, email_id: UUID, shard: int, at: datetime) -> Retried:
    """Forget that the address was refused and that lines were given up, and queue what is owed, due at once."""
    row = await connection.fetchrow(load_sql(PACKAGE, "show_email"), email_id, shard)
    if row is None:
        return Retried.NOTHING  # from before contacts were kept, to somebody who had left by then
    email = read_email(row)
    letters = (await fetch_letters(connection, {email.account_id: email.shard}))[email.account_id]
    contact = letters.contacts.get(email.recipient)
    if contact is None:
        return Retried.NOTHING  # the account was forgotten between the letter's reading and the lock
    if contact.unsent is not None:
        return Retried.WAITS
    change = Change(email.account_id, email.shard, letters, retry_letter(email, letters, at))
    queued = await write_changes(connection, [change], 0.0, at)
    return Retried.QUEUED if queued else Retried.NOTHING
