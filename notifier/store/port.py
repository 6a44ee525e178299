"""What the notifier needs of a store. One contract suite holds the fake and the Postgres one to it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from notifier.decide import BalanceSnapshot
from notifier.letters import NO_LINES, Letters, Lines
from notifier.mail.limits import Cap, DayLimits
from notifier.mail.verdict import Judgement
from notifier.model import AccountSnapshot, Draft, EmailRow, Known, NotifyPlan, People, Saved


class NoticeStore(Protocol):
    async def fetch_offsets(self, topics: Sequence[str], shards: Sequence[int]) -> Mapping[tuple[str, int], int]:
        """The next offset to read per (topic, shard). A shard that was never set up is missing."""
        ...

    async def fetch_known(self, account_ids: Collection[str], shards: Collection[int] | None = None) -> Known:
        """What is stored about these accounts. `shards`: those they are in, so that no other is asked."""
        ...

    async def fetch_people(
        self, account_ids: Collection[str], shards: Collection[int] | None = None
    ) -> Mapping[str, People]:
        """Who stands behind these accounts, by account. One that nobody opened, or that is gone, is missing. `shards`:
        those they are in."""
        ...

    async def save(self, plan: NotifyPlan) -> Saved:
        """Carry the plan out, wholly or not at all.

        Raises OwnershipLostError when the store does not stand at `plan.start` (nothing is written), and any transient
        error with the outcome unknown: read the offsets again, never repeat the same plan blindly.
        """
        ...

    async def save_together(self, plans: Sequence[NotifyPlan]) -> list[Saved] | None:
        """Carry out plans of different shards of one topic, with the same `at`, in one transaction.

        None when a shard does not stand at its plan's start, or another writer has locked it. Nothing is written then;
        the caller saves each plan on its own. Raises transient errors as `save` does.
        """
        ...


@dataclass(frozen=True, slots=True)
class ClaimedEmail:
    """A letter that only this mailer may send until its claim runs out. `claim` is the number of the claim.

    `draft` holds the bytes that were handed over last and may have arrived; then those of the try at hand.
    """

    row: EmailRow
    claim: int
    attempts: int  # this one included
    lost: int  # replies to the final dot that were lost
    draft: Draft | None = field(default=None, repr=False)
    overdue_s: float = 0.0  # for how long it had been due
    rendered: bool = False  # the draft was made for this try: not the bytes that may have arrived

    @property
    def lines(self) -> Lines:
        return self.draft.lines if self.draft is not None else NO_LINES


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a letter is to be rendered from. `offset` is the next one of metering.balances that is not read yet."""

    offset: int
    account: AccountSnapshot | None
    balances: Sequence[BalanceSnapshot]
    letters: Letters
    cap: Cap | None  # None while every limit of a day has room for one more
    # By resource: when nothing will be left, at the pace of the last 24 hours. Left out where that cannot be said.
    runways: Mapping[str, datetime] = field(default_factory=dict)


class MailQueue(Protocol):
    async def claim(self, claim_s: float) -> ClaimedEmail | None:
        """Take a letter that is due; None when nothing is due, or other mailers hold all that is due.

        Those of an account are taken SHARE_S apart, in between those of others (`owed.py`); else in order of time.
        A letter whose claim has run out can be claimed again. If the earlier claim had handed it over, that attempt is
        counted as ambiguous.
        """
        ...

    async def look(self, email: ClaimedEmail, limits: DayLimits) -> Outlook:
        """All that is known now of the letter's account, as one moment."""
        ...

    async def hand_over(self, email: ClaimedEmail, claim_s: float) -> bool:
        """Before the final dot: record the draft, which the server may accept from now on, and prolong the claim.

        False when the mail must not be sent: the claim is no longer the latest one; or the draft is no longer what is
        to be said, and then the letter is due again at once, with this try given back.
        """
        ...

    async def finish(self, email: ClaimedEmail, judgement: Judgement, pause_s: float, at: datetime) -> bool:
        """Record how the attempt ended, what it means for the told levels, and the events.

        What stays queued, or follows because something is owed still, is due after `pause_s`. False when a later claim
        holds the letter: nothing is recorded. The verdict "accepted" is the exception: it is recorded whoever holds the
        claim, and the later claim is then the one that records nothing.
        """
        ...

    async def has_accepted(self, within_s: float) -> bool:
        """Whether a letter was accepted in the last `within_s` seconds, whichever process sent it. One whose bytes are
        gone already does not count."""
        ...

    async def count(self) -> Mapping[str, float]:
        """Queued letters: `waiting` in all, `due` now; `overdue_s`: for how long the first of these has been due, which
        each claim and pause begin anew; `oldest_s`: for how long the oldest has been owed that no limit of a day puts
        off, not counting the time for which one did; `held`: how many have been owed so for more than HELD_S."""
        ...
