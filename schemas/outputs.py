"""What the services publish: the `data` of each output event.

`shard`, `generation` and `position` let receivers drop what is not newer: the generation counts first. Events from
before there were generations have none, and are of the first.
"""

from typing import Annotated, Literal

from pydantic import Field

from schemas.fields import (
    MAX_CONTACTS,
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
    TimeZone,
    Total,
)
from schemas.inputs import EventData
from schemas.statuses import AccountStanding as AccountStanding
from schemas.statuses import Status as Status

Epoch = Annotated[
    int, Field(strict=True, ge=1, description="Number of the current allocation; every grant starts a new one."), AsSent
]
Generation = Annotated[
    int,
    Field(
        strict=True,
        ge=1,
        description="Number of the log's history. A database that was restored to an earlier moment begins a new one: "
        "what comes with a higher one is newer, whatever its position.",
    ),
    AsSent,
]
Threshold = Annotated[int, Field(strict=True, ge=1, le=100, description="Percent of exhaustion."), AsSent]
Percent = Annotated[
    int,
    Field(
        strict=True,
        ge=0,
        description="floor(100 * consumed / allocation), not capped at 100. Deprecated: `exhaustion` says it with two "
        "decimals, under the name that it has in SQL and Python.",
        json_schema_extra={"deprecated": True},
    ),
    AsSent,
]
Exhaustion = Annotated[
    str,
    Field(
        strict=True,
        pattern=r"^[0-9]+\.[0-9]{2}$",
        description="consumed / allocation in percent, two decimals, rounded down, not capped at 100; absent in older "
        "events.",
        examples=["93.75"],
    ),
]
Batch = Annotated[int, Field(strict=True, ge=1, description="Number of the shard's last batch."), AsSent]
LastPosition = Annotated[
    int, Field(strict=True, ge=0, description="Position of the shard's last event; 0 where there is none."), AsSent
]
BannerKind = Literal["low", "free_expired", "paid_expired"]
EmailOutcome = Annotated[
    Literal["accepted", "presumed", "refused", "given_up", "capped", "cancelled"],
    Field(
        description="accepted: the mail server took it. presumed: replies were lost, so it may have arrived, more than "
        "once. refused: the address is bad for good. given_up: not delivered, owed until the next line or epoch. "
        "capped: put off to the next day. cancelled: nothing was owed any more."
    ),
]


class BalanceChanged(EventData):
    """A balance: its whole percent, its epoch or `allowed` changed, or what remains changed to or from zero."""

    account_id: AccountId
    resource: ResourceName
    epoch: Epoch
    allocation: Total = Field(description="Credits or runs of this epoch.")
    consumed: Total = Field(description="Used of the allocation; negative only in events from before it could not be.")
    remaining: Total = Field(description="allocation - consumed; negative when overdrawn.")
    percent: Percent
    exhaustion: Exhaustion | None = None
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
    generation: Generation = 1


State = Annotated[AccountStanding, Field(description="Closed: nothing is allowed, and nobody is to be told anything.")]
ZoneOfDays = Annotated[TimeZone | None, Field(description="IANA time zone of its days.", examples=["Europe/Berlin"])]


class AccountChanged(EventData):
    """Plan, contacts, name or state of an account changed. Addresses and the name stay where rights guard them."""

    account_id: AccountId
    plan: Plan
    contact_ids: tuple[Identifier, ...] = Field(
        max_length=MAX_CONTACTS,
        description="Each stands for a contact of the account, in their order. It follows from the event that first "
        "named the contact, and stays when the contact leaves and returns.",
    )
    state: State = "open"
    time_zone: ZoneOfDays = None
    shard: Shard
    position: Position
    generation: Generation = 1
    forgotten: bool = Field(
        False, description="Addresses and names of the account are forgotten: whoever holds some deletes them."
    )


class AccountChangedV1(EventData):
    """The version before, with addresses and the name. It is read, and no longer published."""

    account_id: AccountId
    plan: Plan
    display_name: Name | None = None
    contacts: Contacts
    state: State = "open"
    time_zone: ZoneOfDays = None
    shard: Shard
    position: Position
    generation: Generation = 1


class BannerCleared(EventData):
    """The account sees no banner for the resource any more."""

    account_id: AccountId
    resource: ResourceName
    epoch: Epoch
    shard: Shard
    position: Position
    generation: Generation = 1


class BannerRaised(BannerCleared):
    """The account sees a banner from now on."""

    threshold: Threshold
    kind: BannerKind
    removable: bool = Field(strict=True, description="False at 100 %: the banner is fixed.")
    text: Text = Field(description="What the banner says: plain text, to be escaped where it is shown.")


class BannerChanged(BannerRaised):
    """The banner shows another threshold from now on."""


class EmailQueued(EventData):
    """A letter to one contact is owed; the address itself is personal data and stays out of events."""

    email_id: Identifier
    account_id: AccountId
    contact_id: Identifier = Field(description="Stands for the contact; it follows from the event that named them.")
    shard: Shard
    generation: Generation = 1


class LineTold(EventData):
    """What a letter says of one resource: the highest line that its balance had reached."""

    resource: ResourceName
    epoch: Epoch
    threshold: Threshold
    position: Position = Field(description="Position of the balance that the figures are of.")


class EmailEnded(EmailQueued):
    """A letter came to its end; `outcome` says which, and `reason` says why where it was not accepted."""

    outcome: EmailOutcome
    lines: tuple[LineTold, ...] = Field(description="What its bytes show; empty where nothing was handed over.")
    reason: Text | None = None


class ForgottenListed(EventData):
    """An account was forgotten: kept outside the database, so that a restored backup forgets it again."""

    account_id: AccountId
    shard: Shard
    forgotten_at: Moment = Field(description="When its addresses and names were forgotten.")


class LogAnchored(EventData):
    """The head of a shard's event log, kept outside the database so that nobody can cut or rewrite the log unseen."""

    shard: Shard
    batch: Batch
    position: LastPosition
    hash: str = Field(strict=True, pattern=r"^[0-9a-f]{64}$", description="SHA-256 that chains all batches up to this.")
    recorded_at: Moment = Field(description="When the batch was recorded.")
    generation: Generation = 1
