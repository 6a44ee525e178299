"""What the contracts of notice stores and mail queues share: a `Fixture` brings the stores, and a way to let time pass
and to look inside. The fake here and Postgres in the integration tests keep them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from notifier.decide import Thresholds
from notifier.letters import Letters
from notifier.mail.drafting import make_draft
from notifier.mail.limits import DayLimits
from notifier.mail.verdict import Judgement, Phase, Result, Verdict
from notifier.model import NotifyPlan, Unreadable
from notifier.plan import Change, plan_notices
from notifier.store.port import ClaimedEmail, MailQueue, NoticeStore, Outlook
from schemas.build import Decoded
from schemas.outputs import EmailEnded
from schemas.topics import BALANCES
from tests.unit.notifier.builders import AT, RENDERER, account, percent

CLAIM_S = 300.0
LIMITS = DayLimits(50, 50, 50)
ACCEPTED = Judgement(Verdict.ACCEPTED, Result(Phase.DOT, 250, "ok"))
REFUSED = Judgement(Verdict.REFUSED, Result(Phase.RCPT, 550, "5.1.1 no such user"), "reply 550")
GIVEN_UP = Judgement(Verdict.GIVEN_UP, Result(Phase.DOT, 554, "5.6.0 bad content"), "reply 554")
CANCELLED = Judgement(Verdict.CANCELLED, None, "no line is reached any more")
LATER = Judgement(Verdict.RETRY, Result(Phase.RCPT, 451, "later"), "reply 451")
IN_DOUBT = Judgement(Verdict.RETRY, Result(Phase.DOT, None, "lost"), "no reply")
TROUBLE = Judgement(Verdict.TROUBLE, Result(Phase.AUTH, 535, "no"), "reply 535", fault=True)


class HasStore(Protocol):
    @property
    def store(self) -> NoticeStore: ...


class Fixture(HasStore, Protocol):
    @property
    def queue(self) -> MailQueue: ...
    async def pass_s(self, seconds: float) -> None: ...
    async def published(self) -> list[Decoded]: ...
    async def letters(self, account_id: str) -> Letters: ...
    async def email(self, email: ClaimedEmail) -> tuple[str, int, int]:
        """State, attempts, ambiguous attempts."""
        ...


async def plan_for(
    stores: HasStore, changes: Sequence[Change | Unreadable], *, shard: int = 0, start: int = 0
) -> NotifyPlan:
    ids = {change.account_id for change in changes if not isinstance(change, Unreadable)}
    known = await stores.store.fetch_known(ids, [shard])
    return plan_notices(
        changes,
        known,
        Thresholds(),
        RENDERER,
        topic=BALANCES,
        shard=shard,
        start=start,
        end=start + len(changes),
        at=AT,
    )


async def save(
    stores: HasStore, changes: Sequence[Change | Unreadable], *, shard: int = 0, start: int = 0
) -> NotifyPlan:
    plan = await plan_for(stores, changes, shard=shard, start=start)
    await stores.store.save(plan)
    return plan


async def queue_one(stores: HasStore, contacts: tuple[str, ...] = ("owner@example.com",)) -> NotifyPlan:
    return await save(stores, [account(1, contacts=contacts), percent(0, 2), percent(50, 3)])


def others() -> list[Change]:
    """What `queue_one` saves, of an account of another shard."""
    mine: list[Change] = [account(1, contacts=("other@example.com",)), percent(0, 2), percent(50, 3)]
    return [replace(change, account_id="other", shard=1) for change in mine]


async def claim(stores: Fixture) -> ClaimedEmail:
    """With the bytes that its mailer would send."""
    email = await stores.queue.claim(CLAIM_S)
    assert email is not None
    outlook = await stores.queue.look(email, LIMITS)
    return email if email.draft is not None else render(email, outlook)


def render(email: ClaimedEmail, outlook: Outlook) -> ClaimedEmail:
    return replace(email, draft=make_draft(email, outlook, RENDERER, AT), rendered=True)


async def hand_over(stores: Fixture, email: ClaimedEmail, claim_s: float = CLAIM_S) -> bool:
    return await stores.queue.hand_over(email, claim_s)


async def ended(stores: Fixture) -> list[EmailEnded]:
    return [event.data for event in await stores.published() if isinstance(event.data, EmailEnded)]
