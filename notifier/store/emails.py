"""The mail queue in Postgres. Due times are the database's: mailers on several machines need not agree on the time."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from meter.runtime.postgres import Executor, Pool, load_sql, note_failure
from notifier import events
from notifier.mail.verdict import Judgement, Verdict
from notifier.model import OutboxEvent
from notifier.store.port import ClaimedEmail
from notifier.store.rows import read_balance

PACKAGE = "notifier"
STATES = {Verdict.SENT: "sent", Verdict.FAILED: "failed", Verdict.DROPPED: "dropped"}
# The email did not cause these, so they do not count as one of its attempts.
FREE_OF_CHARGE = frozenset({Verdict.TROUBLE, Verdict.STOPPED})


class PostgresMailQueue:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def claim(self, claim_s: float) -> ClaimedEmail | None:
        row = await self._fetchrow("claim_email", claim_s)
        return None if row is None else read_claimed(row)

    async def hand_over(self, email: ClaimedEmail, claim_s: float) -> bool:
        return await self._fetchrow("hand_over_email", email.email_id, email.claim, claim_s) is not None

    async def finish(self, email: ClaimedEmail, judgement: Judgement, pause_s: float, at: datetime) -> bool:
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                held = await self._settle(connection, email, judgement, pause_s, at)
                await end_attempt(connection, email, judgement)
                event = render_end(email, judgement, at) if held else None
                if event is not None:
                    sql = load_sql(PACKAGE, "append_outbox")
                    await connection.execute(sql, [email.crossed.shard], [event.key], [event.value])
        except Exception as error:
            await note_failure(self._pool, error)
            raise
        return held

    async def _settle(
        self, connection: Executor, email: ClaimedEmail, judgement: Judgement, pause_s: float, at: datetime
    ) -> bool:
        """Move the email by the verdict. False when it is no longer queued or a later claim holds it."""
        reason = events.one_line(judgement.reason) or None
        state = STATES.get(judgement.verdict)
        if state is not None:
            sql, ambiguous = load_sql(PACKAGE, "finish_email"), int(judgement.ambiguous)
            found = await connection.fetchval(sql, email.email_id, email.claim, state, reason, ambiguous, at)
        else:
            sql, back = load_sql(PACKAGE, "postpone_email"), int(judgement.verdict in FREE_OF_CHARGE)
            found = await connection.fetchval(
                sql, email.email_id, email.claim, pause_s, reason, back, judgement.ambiguous
            )
        return found is not None

    async def count(self) -> Mapping[str, int]:
        row = await self._fetchrow("count_emails")
        return dict(row.items())

    async def _fetchrow(self, name: str, *parameters: Any) -> Any:
        try:
            return await self._pool.fetchrow(load_sql(PACKAGE, name), *parameters)
        except Exception as error:
            await note_failure(self._pool, error)
            raise


async def end_attempt(connection: Executor, email: ClaimedEmail, judgement: Judgement) -> None:
    result = judgement.result
    await connection.execute(
        load_sql(PACKAGE, "end_attempt"),
        email.email_id,
        email.claim,
        judgement.verdict.value,
        result.phase.value if result is not None else None,
        result.code if result is not None else None,
        events.one_line(result.detail if result is not None else judgement.reason),
    )


def render_end(email: ClaimedEmail, judgement: Judgement, at: datetime) -> OutboxEvent | None:
    """The event about an email that ended; None while it is still queued."""
    if judgement.verdict is Verdict.SENT:
        return events.email_sent(email.email_id, email.notice_id, email.crossed, email.threshold, at)
    if judgement.verdict in STATES:
        reason = f"{judgement.verdict.value}: {judgement.reason}"
        return events.email_failed(email.email_id, email.notice_id, email.crossed, email.threshold, reason, at)
    return None


def read_claimed(row: Any) -> ClaimedEmail:
    return ClaimedEmail(
        email_id=row["email_id"],
        notice_id=row["notice_id"],
        recipient=row["recipient"],
        message=row["message"],
        claim=row["claim"],
        attempts=row["attempts"],
        crossed=read_balance(row),
        threshold=row["threshold"],
        now=None if row["now_epoch"] is None else read_balance(row, prefix="now_"),
        is_contact=row["is_contact"],
        created_at=row["created_at"],
    )
