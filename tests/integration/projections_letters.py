"""A mailer for tests of letters beside the log: the real queue, what is owed asked as the mailer asks, and any end."""

import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

from meter.runtime.postgres import Executor, Pool
from notifier.letters import Ending
from notifier.mail.drafting import make_draft
from notifier.mail.limits import DayLimits
from notifier.mail.recheck import Action, Doubt, choose_step
from notifier.mail.verdict import ENDINGS, Judgement, Phase, Result, Verdict
from notifier.store.emails import PostgresMailQueue
from notifier.store.port import ClaimedEmail
from projections.sealed import Opened
from projections.store import PROJECTION, fetch_position
from projections.told import Story, find_levels
from projections.verify import NoticeRules, fetch, fetch_periods
from projections.verify_letters import AccountSides, fetch_sides, make_people, spell_as_stored
from projections.walk import EpochStep, walk
from tests.unit.notifier.builders import AT, RENDERER

CLAIM_S = 60.0
MOST_LOST = 3
LIMITS = DayLimits(1000, 1000, 1000)
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
        outlook = await self._queue.look(email, LIMITS)
        step = choose_step(outlook.letters, email.row.recipient, Doubt(email.lost, MOST_LOST), cap=None)
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


async def compare_states(connection: Executor, shard: int, rules: NoticeRules) -> list[str]:
    """Who knows of each line, as `notifier notices` and `projections explain` show it, against what `verify` works out
    of the log and of what letters said: two ways that share nothing."""
    position = await fetch_position(connection, PROJECTION, shard)
    steps = await fetch(connection, "list_epoch_steps", shard, position)
    _ends, epochs = walk(EpochStep(*row)._replace(consumed=int(row["consumed"])) for row in steps)
    periods = await fetch_periods(connection, shard, rules)
    sides = await fetch_sides(connection, shard, position, epochs, periods, Opened([], [], frozenset()))
    levels = {account: find_sides_levels(side, periods[0].position) for account, side in sides.items()}
    rows = await connection.fetch("SELECT * FROM notifier.line_states WHERE shard = $1", shard)
    wrong = [
        f"{row['account_id']} {row['resource']} {row['line']} {row['contact']}: {row['says']}, must be {wanted}"
        for row in rows
        if (wanted := name_state(sides[row["account_id"]], levels[row["account_id"]], row)) != state_of(row)
    ]
    places = Counter((row["account_id"], row["resource"], row["line"], row["contact"]) for row in rows)
    return wrong + [f"{place}: {count} states" for place, count in places.items() if count > 1]


def find_sides_levels(side: AccountSides, since: int) -> dict[tuple[str, str], int]:
    spell_as_stored(side)
    return find_levels(Story(side.begun, side.listings, make_people(side), side.sayings, since))


def state_of(row: Any) -> str:
    if row["reason"] == "no letter":
        return "owed, and no letter is on its way"
    return "known" if row["state"] in ("told", "covered", "known") else str(row["state"])


def name_state(side: AccountSides, levels: Mapping[tuple[str, str], int], row: Any) -> str:
    resource, who = row["resource"], row["contact"]
    if who is None:
        return "nobody"
    if levels[who, resource] >= row["line"]:
        return "known"
    is_contact = bool(side.listings) and who in side.listings[-1].addresses
    return "owed" if side.is_open and is_contact and side.due[resource][1] >= row["line"] else "lapsed"
