"""The mail queue in Postgres. Due times are the database's: mailers on several machines need not agree on the time."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from meter.runtime.postgres import (
    Executor,
    Pool,
    fetch_together,
    load_sql,
    note_failure,
    takes_one_shard,
    write_transaction,
)
from notifier import events
from notifier.letters import Contact, Letters
from notifier.mail.limits import DayLimits, find_cap
from notifier.mail.recheck import still_says
from notifier.mail.verdict import ENDINGS, Judgement, Phase, Result, Verdict
from notifier.model import AccountSnapshot, Draft, EmailRow, People
from notifier.owed import end_letter
from notifier.store.letters import (
    Change,
    append_events,
    asked_of_letters,
    fetch_letters,
    lock_accounts,
    read_letters,
    read_lines,
    write_changes,
    write_lines,
)
from notifier.store.port import ClaimedEmail, Outlook
from notifier.store.rows import read_account, read_balance, read_email, read_people
from schemas.topics import BALANCES

PACKAGE = "notifier"
DAY_S: Final = 86_400.0
HELD_S: Final = 3600.0  # a letter that is owed for longer is held up
# The letter did not cause these, so they do not count as one of its attempts.
FREE_OF_CHARGE = frozenset({Verdict.TROUBLE, Verdict.STOPPED, Verdict.BEHIND})
# Why a mail was not handed over when all but its dot was sent.
CHANGED: Final = "the balance changed while it was on its way"
OVERTAKEN: Final = "its claim had run out: another try has the letter, or has ended it"


class PostgresMailQueue:
    """`pause_s` is how long a letter waits that follows one that ended."""

    def __init__(self, pool: Pool, pause_s: float = 0.0) -> None:
        self._pool = pool
        self._pause_s = pause_s

    async def claim(self, claim_s: float) -> ClaimedEmail | None:
        try:
            row = await self._claim(claim_s)
        except Exception as error:
            await note_failure(self._pool, error)
            raise
        return None if row is None else read_claimed(row)

    async def _claim(self, claim_s: float) -> Any:
        sql = load_sql(PACKAGE, "claim_email")
        if not await takes_one_shard(self._pool):
            return await self._pool.fetchrow(sql, claim_s, None)
        for due in await self._pool.fetch(load_sql(PACKAGE, "find_due_shards")):
            if (row := await self._pool.fetchrow(sql, claim_s, due["shard"])) is not None:
                return row
        return None

    async def look(self, email: ClaimedEmail, limits: DayLimits) -> Outlook:
        try:
            async with self._pool.acquire() as connection:
                return await fetch_outlook(connection, email.row, limits)
        except Exception as error:
            await note_failure(self._pool, error)
            raise

    async def hand_over(self, email: ClaimedEmail, claim_s: float) -> bool:
        try:
            async with self._pool.acquire() as connection, write_transaction(connection):
                return await self._hand_over(connection, email, claim_s)
        except Exception as error:
            await note_failure(self._pool, error)
            raise

    async def _hand_over(self, connection: Executor, email: ClaimedEmail, claim_s: float) -> bool:
        draft, row = email.draft, email.row
        if draft is None:
            raise ValueError("a letter without bytes cannot be handed over")
        letters = await fetch_account_letters(connection, row)
        if not still_says(letters, row.recipient, draft.lines):
            again = (row.email_id, email.claim, 0.0, CHANGED, 1, False, row.shard)
            await connection.fetchval(load_sql(PACKAGE, "postpone_email"), *again, email.rendered)
            await end_attempt(connection, email, not_handed_over(CHANGED))
            return False
        said = (draft.message_id, draft.message, write_lines(draft.lines), draft.notice_id)
        parameters = (row.email_id, email.claim, claim_s, *said, row.shard)
        if await connection.fetchval(load_sql(PACKAGE, "hand_over_email"), *parameters) is None:
            await end_attempt(connection, email, not_handed_over(OVERTAKEN))
            return False
        return True

    async def finish(self, email: ClaimedEmail, judgement: Judgement, pause_s: float, at: datetime) -> bool:
        try:
            async with self._pool.acquire() as connection, write_transaction(connection):
                if judgement.verdict in ENDINGS:
                    held = await self._end(connection, email, judgement, pause_s, at)
                else:
                    held = await postpone(connection, email, judgement, pause_s)
                await end_attempt(connection, email, judgement)
        except Exception as error:
            await note_failure(self._pool, error)
            raise
        return held

    async def _end(
        self, connection: Executor, email: ClaimedEmail, judgement: Judgement, pause_s: float, at: datetime
    ) -> bool:
        """False when the letter has ended already, or a later claim holds it."""
        row, ending = email.row, ENDINGS[judgement.verdict]
        letters = await fetch_account_letters(connection, row)
        reason, ambiguous = events.one_line(judgement.reason) or None, int(judgement.ambiguous)
        pause_s = max(pause_s, self._pause_s)
        ended = (row.email_id, email.claim, ending.value, reason, ambiguous, row.shard, pause_s)
        if await connection.fetchval(load_sql(PACKAGE, "finish_email"), *ended) is None:
            return False
        outcome = end_letter(row, letters, ending, email.lines, at)
        shown = contact_of(letters, row).lines
        await append_events(
            connection, [(row.shard, events.email_ended(row, ending.value, shown, judgement.reason, at))]
        )
        change = Change(row.account_id, row.shard, letters, outcome)
        await write_changes(connection, [change], pause_s, at)
        return True

    async def has_accepted(self, within_s: float) -> bool:
        try:
            return bool(await self._pool.fetchval(load_sql(PACKAGE, "has_accepted"), within_s))
        except Exception as error:
            await note_failure(self._pool, error)
            raise

    async def count(self) -> Mapping[str, float]:
        try:
            row = await self._pool.fetchrow(load_sql(PACKAGE, "count_emails"), HELD_S)
        except Exception as error:
            await note_failure(self._pool, error)
            raise
        return dict(row.items()) if row is not None else {}


async def fetch_outlook(connection: Executor, row: EmailRow, limits: DayLimits) -> Outlook:
    """All as of one moment, so that the balances are those of the offset."""
    asked, shards = ([row.account_id], [row.shard]), {row.account_id: row.shard}
    rows = await fetch_together(
        connection,
        PACKAGE,
        {
            "fetch_outlook": (BALANCES, row.shard, row.account_id, row.recipient, *limits, DAY_S),
            "fetch_accounts": asked,
            "fetch_balances": asked,
            "fetch_people": asked,
            "fetch_runways": (row.account_id,),
            **asked_of_letters(shards),
        },
    )
    [found], accounts = rows["fetch_outlook"], rows["fetch_accounts"]
    return Outlook(
        offset=found["next_offset"] or 0,
        account=name_account(read_account(accounts[0]), map(read_people, rows["fetch_people"])) if accounts else None,
        balances=list(map(read_balance, rows["fetch_balances"])),
        letters=read_letters(shards, rows)[row.account_id],
        cap=find_cap((name, found[f"{name}_s"]) for name in DayLimits._fields),
        runways={runway["resource"]: datetime.fromisoformat(runway["empty_at"]) for runway in rows["fetch_runways"]},
    )


def name_account(account: AccountSnapshot, people: Iterable[People]) -> AccountSnapshot:
    """With the name that the projections keep; events have none."""
    return next((replace(account, display_name=found.display_name) for found in people), account)


async def fetch_account_letters(connection: Executor, row: EmailRow) -> Letters:
    return (await fetch_letters(connection, {row.account_id: row.shard}))[row.account_id]


async def postpone(connection: Executor, email: ClaimedEmail, judgement: Judgement, pause_s: float) -> bool:
    # The server's answer may name the reader: a forgetting either finds it stored, or is found where it is stored.
    await lock_accounts(connection, {email.row.account_id: email.row.shard})
    back, reason = int(judgement.verdict in FREE_OF_CHARGE), events.one_line(judgement.reason) or None
    parameters = (email.row.email_id, email.claim, pause_s, reason, back, judgement.ambiguous, email.row.shard)
    return await connection.fetchval(load_sql(PACKAGE, "postpone_email"), *parameters, email.rendered) is not None


def not_handed_over(why: str) -> Judgement:
    """The body was sent, and no dot: the letter is tried again, or is another try's by now."""
    return Judgement(Verdict.RETRY, Result(Phase.BODY, None, why))


async def end_attempt(connection: Executor, email: ClaimedEmail, judgement: Judgement) -> None:
    if judgement.verdict is Verdict.BEHIND:
        await connection.execute(load_sql(PACKAGE, "delete_attempt"), email.row.email_id, email.claim, email.row.shard)
        return
    result = judgement.result
    await connection.execute(
        load_sql(PACKAGE, "end_attempt"),
        email.row.email_id,
        email.claim,
        judgement.verdict.value,
        result.phase.value if result is not None else None,
        result.code if result is not None else None,
        events.one_line(result.detail if result is not None else judgement.reason),
        email.row.shard,
    )


def contact_of(letters: Letters, row: EmailRow) -> Contact:
    return letters.contacts.get(row.recipient, Contact(row.contact_id, is_contact=False))


def read_claimed(row: Any) -> ClaimedEmail:
    lines = read_lines(row["lines"])
    draft = Draft(row["message_id"], row["message"], lines, row["notice_id"]) if lines and row["message"] else None
    attempts, lost = row["attempts"], row["ambiguous_attempts"]
    return ClaimedEmail(read_email(row), row["claim"], attempts, lost, draft, row["overdue_s"])
