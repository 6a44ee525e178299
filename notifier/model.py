"""What the notifier knows and what it will write: frozen values, shared by the plan, the renderer and the stores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from meter.runtime.tracing import TraceParent
from notifier.decide import BalanceKey, BalanceSnapshot, Notice, Noticed, NoticeState
from notifier.letters import Lines, Reached
from schemas.records import Record


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """An account as of a position of its shard. `contacts` are personal data: never logged, never in events.

    `contact_ids`: of the contacts, in their order; None where the event named addresses, as those of version 1 do.
    """

    account_id: str
    shard: int
    position: int
    plan: str
    display_name: str | None
    contacts: tuple[str, ...] = field(repr=False)
    is_open: bool = True
    time_zone: str | None = None
    generation: int = 1
    contact_ids: tuple[UUID, ...] | None = None
    forgotten: bool = False  # its addresses and names are to be blanked here as well

    @property
    def age(self) -> tuple[int, int]:
        """Of two snapshots the one with the higher is newer."""
        return self.generation, self.position


@dataclass(frozen=True, slots=True)
class People:
    """Who stands behind an account, as the projections keep it: its name, and the address of each id."""

    display_name: str | None = field(default=None, repr=False)
    addresses: Mapping[UUID, str] = field(default_factory=dict, repr=False)


class BannerKind(StrEnum):
    LOW = "low"
    FREE_EXPIRED = "free_expired"
    PAID_EXPIRED = "paid_expired"


@dataclass(frozen=True, slots=True)
class Banner:
    """What an account sees now for a resource."""

    account_id: str
    resource: str
    threshold: int
    kind: BannerKind
    removable: bool
    text: str
    epoch: int
    shard: int
    position: int
    raised_at: datetime  # when the state was recorded that brought the account to this line
    generation: int = 1

    @property
    def key(self) -> BalanceKey:
        return self.account_id, self.resource

    def follow(self, before: "Banner | None") -> "Banner":
        """In place of `before`. Other words for the same line do not raise it anew."""
        return replace(self, raised_at=before.raised_at) if before and before._line() == self._line() else self

    def _line(self) -> tuple[int, bool, int]:
        return self.threshold, self.removable, self.epoch

    def shows_same(self, other: "Banner | None") -> bool:
        """Whether people see no difference. A new epoch is one: who dismissed the old banner must see the new one."""
        return other is not None and self._seen() == other._seen()

    def _seen(self) -> tuple[int, str, bool, str, int]:
        return self.threshold, self.kind, self.removable, self.text, self.epoch


# By shard: the number of each later generation, and the position at which it begins.
Generations = Mapping[int, Sequence[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class Known:
    """What is stored about the accounts of a batch. `noticed` holds the notices of each balance's current epoch."""

    accounts: Mapping[str, AccountSnapshot] = field(default_factory=dict)
    balances: Mapping[BalanceKey, BalanceSnapshot] = field(default_factory=dict)
    noticed: Mapping[BalanceKey, Noticed] = field(default_factory=dict)
    banners: Mapping[BalanceKey, Banner] = field(default_factory=dict)
    generations: Generations = field(default_factory=dict)

    def states(self) -> dict[BalanceKey, NoticeState]:
        return {key: NoticeState(balance, self.noticed.get(key, frozenset())) for key, balance in self.balances.items()}


@dataclass(frozen=True, slots=True)
class NoticeRow:
    notice_id: UUID
    notice: Notice


@dataclass(frozen=True, slots=True)
class EmailRow:
    """A letter that is to be sent; what it says is settled when it is sent. `notice_id`: what it is filed under."""

    email_id: UUID
    contact_id: UUID
    notice_id: UUID
    account_id: str
    shard: int
    recipient: str = field(repr=False)
    created_at: datetime
    generation: int = 1


@dataclass(frozen=True, slots=True)
class Draft:
    """The bytes of a letter, and what they show."""

    message_id: str
    message: bytes = field(repr=False)
    lines: Lines
    notice_id: UUID


@dataclass(frozen=True, slots=True)
class LineMoved:
    """A balance reaches another line than before, or begins an epoch."""

    account_id: str
    resource: str
    reached: Reached
    shard: int
    position: int
    generation: int = 1


@dataclass(frozen=True, slots=True)
class ContactsChanged:
    account: AccountSnapshot

    @property
    def account_id(self) -> str:
        return self.account.account_id


# What a batch changes about letters, in order; notifier/owed.py says what follows from it.
LetterStep = LineMoved | ContactsChanged


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """An event for metering.notifications, encoded."""

    key: str
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class BannerShown:
    banner: Banner
    raised: bool  # False: it took the place of another banner


@dataclass(frozen=True, slots=True)
class BannerCleared:
    """`position` and `generation` are those of the change that cleared it."""

    balance: BalanceSnapshot
    position: int
    generation: int = 1


# What a plan did that is to be published, in order; notifier/events.py renders the events.
Occurrence = BannerShown | BannerCleared


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record of metering.balances that breaks its contract."""

    record: Record = field(repr=False)
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class LineTrace:
    """The span of the producer whose event brought a balance to its line; `line` is 0 for none."""

    shard: int
    account_id: str
    resource: str
    epoch: int
    line: int
    parent: TraceParent


@dataclass(frozen=True, slots=True)
class NotifyPlan:
    """All that one batch of one shard changes, in one transaction; `start` is the offset the store must stand at."""

    shard: int
    topic: str
    start: int
    end: int
    at: datetime
    accounts: tuple[AccountSnapshot, ...] = ()
    balances: tuple[BalanceSnapshot, ...] = ()
    notices: tuple[NoticeRow, ...] = ()
    banners: tuple[Banner, ...] = ()
    cleared: tuple[BalanceKey, ...] = ()
    letters: tuple[LetterStep, ...] = ()
    events: tuple[OutboxEvent, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    traces: tuple[LineTrace, ...] = ()  # while traces are on


class Saved(NamedTuple):
    """What a batch meant for letters: how many became owed, and how many ended with it."""

    queued: int = 0
    cancelled: int = 0  # their accounts were forgotten
