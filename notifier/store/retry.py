"""What a person asks for about letters that ended without reaching anybody."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from meter.runtime.postgres import Pool, load_sql
from notifier.owed import retry_letter
from notifier.store.letters import Change, fetch_letters, write_changes
from notifier.store.rows import read_email

PACKAGE = "notifier"


class Retried(StrEnum):
    """What came of it, in words for people."""

    UNKNOWN = "there is no such letter"
    WAITS = "a letter to this contact is on its way already"
    NOTHING = "nothing is owed to this contact"
    QUEUED = "queued"


async def retry_email(pool: Pool, email_id: UUID, at: datetime) -> Retried:
    """Forget that the address was refused and that lines were given up, and queue what is owed, due at once."""
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(load_sql(PACKAGE, "show_email"), email_id)
        if row is None:
            return Retried.UNKNOWN
        email = read_email(row)
        letters = (await fetch_letters(connection, {email.account_id: email.shard}))[email.account_id]
        if letters.contacts[email.recipient].unsent is not None:
            return Retried.WAITS
        change = Change(email.account_id, email.shard, letters, retry_letter(email, letters, at))
        queued = await write_changes(connection, [change], 0.0, at)
        return Retried.QUEUED if queued else Retried.NOTHING
