"""Stores in memory, held to the same contract as the real ones (contract.py)."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from meter.runtime.errors import OwnershipLostError
from notifier import events
from notifier.decide import BalanceKey, Channel
from notifier.letters import Contact, Letters, Lines
from notifier.mail.limits import DayLimits, find_cap
from notifier.mail.recheck import still_says
from notifier.mail.verdict import ENDINGS, Judgement, Verdict
from notifier.model import Draft, EmailRow, Known, NoticeRow, NotifyPlan, OutboxEvent, People, Saved, Unreadable
from notifier.owed import Outcome, apply_steps, end_letter, space_out
from notifier.store.emails import DAY_S, FREE_OF_CHARGE, HELD_S
from notifier.store.port import ClaimedEmail, Outlook
from schemas.topics import BALANCES
from tests.unit.notifier.builders import AT

# What the letters of each limit of a day have in common.
LIMITED: Final[Mapping[str, Callable[[EmailRow], object]]] = {
    "contact": lambda row: (row.account_id, row.recipient),
    "address": lambda row: row.recipient.casefold(),
    "account": lambda row: row.account_id,
}


class FakeClock:
    """Stands still until it is told otherwise."""

    def __init__(self, at: datetime = AT) -> None:
        self._now = at

    def now(self) -> datetime:
        return self._now

    def pass_s(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


def learn(known: Known, plan: NotifyPlan) -> Known:
    """What is known after a plan was carried out."""
    balances = {**known.balances, **{(b.account_id, b.resource): b for b in plan.balances}}
    noticed: dict[BalanceKey, frozenset[tuple[Channel, int]]] = {
        key: lines for key, lines in known.noticed.items() if known.balances[key].epoch == balances[key].epoch
    }
    for row in plan.notices:
        balance = row.notice.balance
        key = (balance.account_id, balance.resource)
        if balances[key].epoch == balance.epoch:
            noticed[key] = noticed.get(key, frozenset()) | {(row.notice.channel, row.notice.threshold)}
    banners = {key: banner for key, banner in known.banners.items() if key not in plan.cleared}
    banners |= {(banner.account_id, banner.resource): banner for banner in plan.banners}
    accounts = {**known.accounts, **{account.account_id: account for account in plan.accounts}}
    return Known(accounts, balances, noticed, banners)


@dataclass
class StoredEmail:
    row: EmailRow
    due: datetime
    order: datetime
    state: str = "queued"
    claim: int = 0
    attempts: int = 0
    ambiguous: int = 0
    handed_over: bool = False
    reason: str | None = None
    draft: Draft | None = None
    finished: datetime | None = None


class FakeStore:
    """Notices and mail queue in one, as in the database."""

    def __init__(self, clock: FakeClock, topic: str, shards: int = 3, pause_s: float = 0.0) -> None:
        self.clock = clock
        self.pause_s = pause_s
        self.offsets = {(topic, shard): 0 for shard in range(shards)}
        self.known = Known()
        self.people: dict[str, People] = {}
        self.letters: dict[str, Letters] = {}
        self.notices: dict[UUID, NoticeRow] = {}
        self.emails: dict[UUID, StoredEmail] = {}
        self.outbox: list[OutboxEvent] = []
        self.unreadable: list[Unreadable] = []
        self.claims = 0

    async def fetch_offsets(self, topics: Sequence[str], shards: Sequence[int]) -> Mapping[tuple[str, int], int]:
        return {key: offset for key, offset in self.offsets.items() if key[0] in topics and key[1] in shards}

    async def fetch_known(self, account_ids: Collection[str], shards: Collection[int] | None = None) -> Known:
        return Known(
            {key: value for key, value in self.known.accounts.items() if key in account_ids},
            {key: value for key, value in self.known.balances.items() if key[0] in account_ids},
            {key: value for key, value in self.known.noticed.items() if key[0] in account_ids},
            {key: value for key, value in self.known.banners.items() if key[0] in account_ids},
        )

    async def fetch_people(
        self, account_ids: Collection[str], shards: Collection[int] | None = None
    ) -> Mapping[str, People]:
        return {key: value for key, value in self.people.items() if key in account_ids}

    async def save(self, plan: NotifyPlan) -> Saved:
        if self.offsets.get((plan.topic, plan.shard)) != plan.start:
            raise OwnershipLostError("elsewhere")
        if any(row.notice_id in self.notices for row in plan.notices):
            raise ValueError("a notice is there already")
        self.offsets[plan.topic, plan.shard] = plan.end
        self.known = learn(self.known, plan)
        self.notices |= {row.notice_id: row for row in plan.notices}
        self.outbox += plan.events
        self.unreadable += plan.unreadable
        return Saved(sum(self._follow(name, plan) for name in dict.fromkeys(step.account_id for step in plan.letters)))

    def _follow(self, account_id: str, plan: NotifyPlan) -> int:
        steps = [step for step in plan.letters if step.account_id == account_id]
        outcome = apply_steps(account_id, self.letters_of(account_id), steps, plan.at)
        self._take(account_id, outcome, self.pause_s, plan.at)
        return len(outcome.queued)

    def letters_of(self, account_id: str) -> Letters:
        """Whether calls are refused is asked of the balances: it changes without a line, and without a step."""
        letters = self.letters.get(account_id, Letters())
        known = self.known.balances
        reached = {
            resource: replace(found, exhausted=known[account_id, resource].is_exhausted)
            for resource, found in letters.reached.items()
            if (account_id, resource) in known
        }
        return replace(letters, reached={**letters.reached, **reached})

    def _take(self, account_id: str, outcome: Outcome, pause_s: float, at: datetime) -> None:
        self.letters[account_id] = outcome.letters
        due = self.clock.now() + timedelta(seconds=pause_s)
        for row, later_s in space_out(outcome):
            if row.notice_id not in self.notices or row.email_id in self.emails:
                raise ValueError("a letter without its notice, or a second time")
            self.emails[row.email_id] = StoredEmail(row, due, due + timedelta(seconds=later_s))
            self.outbox.append(events.email_queued(row, at))

    async def save_together(self, plans: Sequence[NotifyPlan]) -> list[Saved] | None:
        if any(self.offsets.get((plan.topic, plan.shard)) != plan.start for plan in plans):
            return None
        return [await self.save(plan) for plan in plans]

    async def claim(self, claim_s: float) -> ClaimedEmail | None:
        await asyncio.sleep(0)
        self.claims += 1
        due = [e for e in self.emails.values() if e.state == "queued" and e.due <= self.clock.now()]
        if not due:
            return None
        email = min(due, key=lambda found: found.order)
        overdue_s = (self.clock.now() - email.due).total_seconds()
        email.claim += 1
        email.attempts += 1
        email.ambiguous += email.handed_over
        email.handed_over = False
        email.due = self.clock.now() + timedelta(seconds=claim_s)
        lines = self._contact(email.row).lines
        draft = replace(email.draft, lines=lines) if email.draft is not None and lines else None
        return ClaimedEmail(email.row, email.claim, email.attempts, email.ambiguous, draft, overdue_s)

    def _contact(self, row: EmailRow) -> Contact:
        return self.letters_of(row.account_id).contacts[row.recipient]

    async def look(self, email: ClaimedEmail, limits: DayLimits) -> Outlook:
        row = email.row
        return Outlook(
            offset=self.offsets[BALANCES, row.shard],
            account=self.known.accounts.get(row.account_id),
            balances=[balance for key, balance in self.known.balances.items() if key[0] == row.account_id],
            letters=self.letters_of(row.account_id),
            cap=find_cap((name, self._wait(row, name, limit)) for name, limit in limits._asdict().items()),
        )

    def _wait(self, row: EmailRow, name: str, limit: int) -> float | None:
        """How long one limit of a day holds the next letter back."""
        now = self.clock.now()
        since = sorted(
            other.finished
            for other in self.emails.values()
            if LIMITED[name](other.row) == LIMITED[name](row)
            and other.state in ("accepted", "presumed")
            and other.finished is not None
            and other.finished > now - timedelta(seconds=DAY_S)
        )
        return None if len(since) < limit else DAY_S - (now - since[-limit]).total_seconds()

    async def hand_over(self, email: ClaimedEmail, claim_s: float) -> bool:
        stored, draft = self.emails[email.row.email_id], email.draft
        if draft is None:
            raise ValueError("no bytes")
        if stored.claim != email.claim or stored.state != "queued":
            return False
        letters = self.letters_of(email.row.account_id)
        if not still_says(letters, email.row.recipient, draft.lines):
            stored.due, stored.attempts = self.clock.now(), stored.attempts - 1
            return False
        stored.handed_over, stored.draft = True, draft
        stored.due = self.clock.now() + timedelta(seconds=claim_s)
        self._show(email.row, draft.lines)
        return True

    def _show(self, row: EmailRow, lines: Lines) -> None:
        contact = replace(self._contact(row), lines=lines)
        self.letters[row.account_id] = self.letters_of(row.account_id).put(row.recipient, contact)

    async def finish(self, email: ClaimedEmail, judgement: Judgement, pause_s: float, at: datetime) -> bool:
        stored = self.emails[email.row.email_id]
        latest = stored.claim == email.claim or judgement.verdict is Verdict.ACCEPTED
        if stored.state != "queued" or not latest:
            return False
        stored.reason = judgement.reason or None
        if judgement.verdict in ENDINGS:
            self._end(stored, email, judgement, pause_s, at)
            return True
        stored.attempts -= judgement.verdict in FREE_OF_CHARGE
        stored.due = stored.order = self.clock.now() + timedelta(seconds=pause_s)
        in_doubt = judgement.ambiguous or (stored.ambiguous > 0 and not (email.rendered and stored.handed_over))
        stored.handed_over = stored.handed_over and judgement.ambiguous
        if not in_doubt:
            self._show(email.row, {})
        return True

    def _end(
        self, stored: StoredEmail, email: ClaimedEmail, judgement: Judgement, pause_s: float, at: datetime
    ) -> None:
        ending, pause_s = ENDINGS[judgement.verdict], max(pause_s, self.pause_s)
        stored.state, stored.handed_over, stored.finished = ending.value, False, self.clock.now()
        stored.ambiguous += judgement.ambiguous
        shown = self._contact(email.row).lines
        self.outbox.append(events.email_ended(email.row, ending.value, shown, judgement.reason, at))
        outcome = end_letter(email.row, self.letters_of(email.row.account_id), ending, email.lines, at)
        stored.due = self.clock.now() + timedelta(seconds=pause_s)
        self._take(email.row.account_id, outcome, pause_s, at)

    async def has_accepted(self, within_s: float) -> bool:
        since = self.clock.now() - timedelta(seconds=within_s)
        return any(
            email.state == "accepted" and email.finished is not None and email.finished > since
            for email in self.emails.values()
        )

    async def count(self) -> Mapping[str, float]:
        queued = [email for email in self.emails.values() if email.state == "queued"]
        overdue = [late_s for email in queued if (late_s := (self.clock.now() - email.due).total_seconds()) >= 0]
        now = self.clock.now()
        ages = [(now - self._since(email.row)).total_seconds() for email in queued if email.claim or email.due <= now]
        return {
            "waiting": len(queued),
            "due": len(overdue),
            "overdue_s": max(overdue, default=0.0),
            "oldest_s": max(ages, default=0.0),
            "held": sum(age > HELD_S for age in ages),
        }

    def _since(self, row: EmailRow) -> datetime:
        """When a letter became owed, or a limit of a day that put it off was over."""
        of_contact = LIMITED["contact"]
        capped = [email for email in self.emails.values() if email.state == "capped"]
        return max([row.created_at, *(email.due for email in capped if of_contact(email.row) == of_contact(row))])
