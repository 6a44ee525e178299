"""What the services publish: the `data` of each output event.

`shard` and `position` let receivers drop what is not newer.
"""

from typing import Annotated, Literal

from pydantic import Field

from schemas.fields import (
    AccountId,
    AsSent,
    Contacts,
    Identifier,
    Moment,
    Name,
    Plan,
    Position,
    ResourceName,
    Shard,
    Text,
    Total,
)
from schemas.inputs import EventData

Epoch = Annotated[
    int, Field(strict=True, ge=1, description="Number of the current allocation; every grant starts a new one."), AsSent
]
Threshold = Annotated[int, Field(strict=True, ge=1, le=100, description="Percent of exhaustion."), AsSent]
Percent = Annotated[
    int, Field(strict=True, ge=0, description="floor(100 * consumed / allocation), not capped at 100."), AsSent
]
Batch = Annotated[int, Field(strict=True, ge=1, description="Number of the shard's last batch."), AsSent]
LastPosition = Annotated[
    int, Field(strict=True, ge=0, description="Position of the shard's last event; 0 where there is none."), AsSent
]
Status = Literal["good", "moderate", "low", "exhausted"]
AccountStanding = Literal["open", "closed"]
BannerKind = Literal["low", "free_expired", "paid_expired"]


class BalanceChanged(EventData):
    """A balance: its whole percent, its epoch or `allowed` changed, or what remains changed to or from zero."""

    account_id: AccountId
    resource: ResourceName
    epoch: Epoch
    allocation: Total = Field(description="Credits or runs of this epoch.")
    consumed: Total = Field(description="Used of the allocation; negative only in events from before it could not be.")
    remaining: Total = Field(description="allocation - consumed; negative when overdrawn.")
    percent: Percent
    status: Status
    allowed: bool = Field(strict=True, description="Whether the platform may spend this resource.")
    shard: Shard
    position: Position
    as_of: Moment = Field(description="When the event it follows from was recorded.")
    free_only: bool | None = Field(
        None,
        strict=True,
        description="Whether nothing but the free allowance was ever granted; absent in older events.",
    )


class AccountChanged(EventData):
    """Plan, contacts, name or state of an account; personal data."""

    account_id: AccountId
    plan: Plan
    display_name: Name | None = None
    contacts: Contacts
    state: AccountStanding = Field("open", description="Closed: nothing is allowed, and nobody is to be told anything.")
    shard: Shard
    position: Position


class BannerCleared(EventData):
    """The account sees no banner for the resource any more."""

    account_id: AccountId
    resource: ResourceName
    epoch: Epoch
    shard: Shard
    position: Position


class BannerRaised(BannerCleared):
    """The account sees a banner from now on."""

    threshold: Threshold
    kind: BannerKind
    removable: bool = Field(strict=True, description="False at 100 %: the banner is fixed.")
    text: Text = Field(description="What the banner says.")


class BannerChanged(BannerRaised):
    """The banner shows another threshold from now on."""


class EmailQueued(EventData):
    """An email to one contact is on its way; the address itself is personal data and stays out of events."""

    email_id: Identifier
    notice_id: Identifier
    account_id: AccountId
    resource: ResourceName
    epoch: Epoch
    threshold: Threshold
    shard: Shard
    position: Position
    reason: Text | None = None


class EmailSent(EmailQueued):
    """The mail server took the email over."""


class EmailFailed(EmailQueued):
    """The email was given up or dropped; `reason` says why."""


class LogAnchored(EventData):
    """The head of a shard's event log, kept outside the database so that nobody can cut or rewrite the log unseen."""

    shard: Shard
    batch: Batch
    position: LastPosition
    hash: str = Field(strict=True, pattern=r"^[0-9a-f]{64}$", description="SHA-256 that chains all batches up to this.")
    recorded_at: Moment = Field(description="When the batch was recorded.")
