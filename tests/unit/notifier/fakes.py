"""Stores in memory, held to the same contract as the real ones (contract.py)."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from meter.runtime.errors import OwnershipLostError
from notifier.decide import BalanceKey, BalanceSnapshot, Channel
from notifier.mail.verdict import Judgement, Verdict
from notifier.model import EmailRow, Known, NoticeRow, NotifyPlan, OutboxEvent, Unreadable
from notifier.store.emails import FREE_OF_CHARGE, STATES, render_end
from notifier.store.port import ClaimedEmail
from tests.unit.notifier.builders import AT


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
    state: str = "queued"
    claim: int = 0
    attempts: int = 0
    ambiguous: int = 0
    handed_over: bool = False
    reason: str | None = None


class FakeStore:
    """Notices and mail queue in one, as in the database."""

    def __init__(self, clock: FakeClock, topic: str, shards: int = 3) -> None:
        self.clock = clock
        self.offsets = {(topic, shard): 0 for shard in range(shards)}
        self.known = Known()
        self.notices: dict[UUID, NoticeRow] = {}
        self.emails: dict[UUID, StoredEmail] = {}
        self.outbox: list[OutboxEvent] = []
        self.unreadable: list[Unreadable] = []

    async def fetch_offsets(self, topics: Sequence[str], shards: Sequence[int]) -> Mapping[tuple[str, int], int]:
        return {key: offset for key, offset in self.offsets.items() if key[0] in topics and key[1] in shards}

    async def fetch_known(self, account_ids: Collection[str]) -> Known:
        return Known(
            {key: value for key, value in self.known.accounts.items() if key in account_ids},
            {key: value for key, value in self.known.balances.items() if key[0] in account_ids},
            {key: value for key, value in self.known.noticed.items() if key[0] in account_ids},
            {key: value for key, value in self.known.banners.items() if key[0] in account_ids},
        )

    async def save(self, plan: NotifyPlan) -> None:
        if self.offsets.get((plan.topic, plan.shard)) != plan.start:
            raise OwnershipLostError("elsewhere")
        if any(row.notice_id in self.notices for row in plan.notices):
            raise ValueError("a notice is there already")
        self.offsets[plan.topic, plan.shard] = plan.end
        self.known = learn(self.known, plan)
        self.notices |= {row.notice_id: row for row in plan.notices}
        self.emails |= {email.email_id: StoredEmail(email, self.clock.now()) for email in plan.emails}
        self.outbox += plan.events
        self.unreadable += plan.unreadable

    async def save_together(self, plans: Sequence[NotifyPlan]) -> bool:
        if any(self.offsets.get((plan.topic, plan.shard)) != plan.start for plan in plans):
            return False
        for plan in plans:
            await self.save(plan)
        return True

    async def claim(self, claim_s: float) -> ClaimedEmail | None:
        await asyncio.sleep(0)
        due = [e for e in self.emails.values() if e.state == "queued" and e.due <= self.clock.now()]
        if not due:
            return None
        email = min(due, key=lambda found: found.due)
        email.claim += 1
        email.attempts += 1
        email.ambiguous += email.handed_over
        email.handed_over = False
        email.due = self.clock.now() + timedelta(seconds=claim_s)
        return self._claimed(email)

    def _claimed(self, email: StoredEmail) -> ClaimedEmail:
        notice = self.notices[email.row.notice_id].notice
        crossed = notice.balance
        now = self.known.balances.get((crossed.account_id, crossed.resource))
        account = self.known.accounts.get(crossed.account_id)
        return ClaimedEmail(
            email_id=email.row.email_id,
            notice_id=email.row.notice_id,
            recipient=email.row.recipient,
            message=email.row.message,
            claim=email.claim,
            attempts=email.attempts,
            crossed=crossed,
            threshold=notice.threshold,
            now=None if now is None else without_place(now, crossed),
            is_contact=account is not None and email.row.recipient in account.contacts,
            created_at=email.row.created_at,
        )

    async def hand_over(self, email: ClaimedEmail, claim_s: float) -> bool:
        stored = self.emails[email.email_id]
        if stored.claim != email.claim or stored.state != "queued":
            return False
        stored.handed_over = True
        stored.due = self.clock.now() + timedelta(seconds=claim_s)
        return True

    async def finish(self, email: ClaimedEmail, judgement: Judgement, pause_s: float, at: datetime) -> bool:
        stored = self.emails[email.email_id]
        latest = stored.claim == email.claim or judgement.verdict is Verdict.SENT
        if stored.state != "queued" or not latest:
            return False
        stored.reason = judgement.reason or None
        if judgement.verdict in STATES:
            stored.state = STATES[judgement.verdict]
            stored.ambiguous += judgement.ambiguous
            stored.handed_over = False
        else:
            stored.attempts -= judgement.verdict in FREE_OF_CHARGE
            stored.due = self.clock.now() + timedelta(seconds=pause_s)
            stored.handed_over = stored.handed_over and judgement.ambiguous
        event = render_end(email, judgement, at)
        self.outbox += [event] if event is not None else []
        return True

    async def count(self) -> Mapping[str, int]:
        queued = [email for email in self.emails.values() if email.state == "queued"]
        return {"waiting": len(queued), "due": sum(email.due <= self.clock.now() for email in queued)}


def without_place(now: BalanceSnapshot, crossed: BalanceSnapshot) -> BalanceSnapshot:
    return replace(now, shard=crossed.shard)
