"""What the notifier needs of a store. One contract suite holds the fake and the Postgres one to it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from notifier.decide import BalanceSnapshot
from notifier.mail.verdict import Judgement
from notifier.model import Known, NotifyPlan


class NoticeStore(Protocol):
    async def fetch_offsets(self, topics: Sequence[str], shards: Sequence[int]) -> Mapping[tuple[str, int], int]:
        """The next offset to read per (topic, shard). A shard that was never set up is missing."""
        ...

    async def fetch_known(self, account_ids: Collection[str]) -> Known:
        """What is stored about these accounts."""
        ...

    async def save(self, plan: NotifyPlan) -> None:
        """Carry the plan out, wholly or not at all.

        Raises OwnershipLostError when the store does not stand at `plan.start` (nothing is written), and any transient
        error with the outcome unknown: read the offsets again, never repeat the same plan blindly.
        """
        ...

    async def save_together(self, plans: Sequence[NotifyPlan]) -> bool:
        """As `save`, for plans of different shards of a topic, planned at one time, in one transaction.

        False where one of them is not as expected, or another writer is at it: then nothing is written, and each is to
        be saved on its own. Raises transient errors as `save` does.
        """
        ...


@dataclass(frozen=True, slots=True)
class ClaimedEmail:
    """An email that is this mailer's to send until its claim runs out. `claim` is the number of the claim."""

    email_id: UUID
    notice_id: UUID
    recipient: str = field(repr=False)
    message: bytes = field(repr=False)
    claim: int
    attempts: int  # this one included
    crossed: BalanceSnapshot  # the balance that crossed the line
    threshold: int
    now: BalanceSnapshot | None  # the balance as it is known at the claim
    is_contact: bool  # whether the recipient still is a contact of the account
    created_at: datetime


class MailQueue(Protocol):
    async def claim(self, claim_s: float) -> ClaimedEmail | None:
        """Take the email that is due first; None when nothing is due, or others are at it.

        A claim that ran out is taken over. If its mail had been handed over, that attempt is counted as ambiguous.
        """
        ...

    async def hand_over(self, email: ClaimedEmail, claim_s: float) -> bool:
        """Before the final dot: note that the mail may be accepted from now on, and prolong the claim.

        False when the claim is no longer the latest one: the mail must not be sent.
        """
        ...

    async def finish(self, email: ClaimedEmail, judgement: Judgement, pause_s: float, at: datetime) -> bool:
        """Record what became of the attempt, and its event; `pause_s` until the next one, where there is one.

        False when another claim has taken over meanwhile, and nothing was recorded. That an email was sent is recorded
        all the same: then it is the other mailer that is too late.
        """
        ...

    async def count(self) -> Mapping[str, int]:
        """Queued emails: `waiting` in all, `due` now."""
        ...
