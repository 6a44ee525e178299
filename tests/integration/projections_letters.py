"""A mailer for tests of letters beside the log: the real queue, what is owed asked as the mailer asks, and any end."""

import random

from meter.runtime.postgres import Pool
from notifier.letters import Ending
from notifier.mail.drafting import make_draft
from notifier.mail.recheck import Action, Doubt, choose_step
from notifier.mail.verdict import ENDINGS, Judgement, Phase, Result, Verdict
from notifier.store.emails import PostgresMailQueue
from notifier.store.port import ClaimedEmail
from tests.unit.notifier.builders import AT, RENDERER

CLAIM_S = 60.0
MOST_LOST = 3
DAY_LIMIT = 1000
VERDICTS = {ending: verdict for verdict, ending in ENDINGS.items()}
ACCEPTED = Judgement(Verdict.ACCEPTED, Result(Phase.DOT, 250, "ok"))
REFUSED = Judgement(Verdict.REFUSED, Result(Phase.RCPT, 550, "5.1.1 no such user"), reason="refused")
GIVEN_UP = Judgement(Verdict.GIVEN_UP, Result(Phase.DOT, 554, "5.6.0 no"), reason="given up")
LOST = Judgement(Verdict.RETRY, Result(Phase.DOT, None, "lost"), reason="the reply was lost")
LATER = Judgement(Verdict.RETRY, Result(Phase.RCPT, 450, "later"), reason="later")


class Mail:
    """`try_all` tries every letter that waits once, whatever its due time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._queue = PostgresMailQueue(pool)

    async def try_all(self, judgement: Judgement = ACCEPTED, rng: random.Random | None = None) -> int:
        """With `rng` each letter ends in its own way."""
        await self._pool.execute("UPDATE notifier.emails SET next_attempt_at = now() WHERE state = 'queued'")
        tried = 0
        while (email := await self._queue.claim(CLAIM_S)) is not None:
            choices = (*[ACCEPTED] * 4, *[LOST] * 3, GIVEN_UP, GIVEN_UP, LATER, REFUSED)
            await self._try_one(email, rng.choice(choices) if rng is not None else judgement)
            tried += 1
        return tried

    async def _try_one(self, email: ClaimedEmail, judgement: Judgement) -> None:
        outlook = await self._queue.look(email, DAY_LIMIT)
        step = choose_step(outlook.letters, email.row.recipient, Doubt(email.lost, MOST_LOST), is_capped=False)
        if step.action in (Action.CANCEL, Action.PRESUME):
            ending = Ending.CANCELLED if step.action is Action.CANCEL else Ending.PRESUMED
            await self._queue.finish(email, Judgement(VERDICTS[ending], None, reason=step.reason), 60.0, AT)
            return
        if step.action is Action.RENDER:
            email = ClaimedEmail(
                email.row, email.claim, email.attempts, email.lost, make_draft(email, outlook, RENDERER, AT)
            )
        if judgement in (ACCEPTED, GIVEN_UP, LOST):
            assert await self._queue.hand_over(email, CLAIM_S)
        await self._queue.finish(email, judgement, 60.0, AT)
