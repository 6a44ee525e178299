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
        """Carry out plans of different shards of one topic, with the same `at`, in one transaction.

        False when a shard does not stand at its plan's start, or another writer has locked it. Nothing is written then;
        the caller saves each plan on its own. Raises transient errors as `save` does.
        """
        ...


@dataclass(frozen=True, slots=True)
class ClaimedEmail:
    """An email that only this mailer may send until its claim runs out. `claim` is the number of the claim."""

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
        """Take the email that is due first; None when nothing is due, or other mailers hold all that is due.

        An email whose claim has run out can be claimed again. If the earlier claim had handed it over, that attempt is
        counted as ambiguous.
        """
        ...

    async def hand_over(self, email: ClaimedEmail, claim_s: float) -> bool:
        """Before the final dot: record that the server may accept the mail from now on, and prolong the claim.

        False when the claim is no longer the latest one: the mail must not be sent.
        """
        ...

    async def finish(self, email: ClaimedEmail, judgement: Judgement, pause_s: float, at: datetime) -> bool:
        """Record how the attempt ended, and its event. An email that stays queued is due again after `pause_s`.

        False when a later claim holds the email: nothing is recorded. The verdict "sent" is the exception: it is
        recorded whoever holds the claim, and the later claim is then the one that records nothing.
        """
        ...

    async def count(self) -> Mapping[str, int]:
        """Queued emails: `waiting` in all, `due` now."""
        ...
