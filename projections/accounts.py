"""The account fold: plan, name, contacts and whether it is closed, by the events that set them. Pure."""

from datetime import datetime
from typing import NamedTuple

from projections.contact_ids import Named, Naming, add_contacts
from schemas.inputs import (
    AccountClosed,
    AccountForgotten,
    AccountOpened,
    AccountRenamed,
    AccountReopened,
    ContactsChanged,
    EventData,
    PlanChanged,
)
from schemas.upcast import read_stored


class AccountState(NamedTuple):
    """Before the opening (`opened_at` is None): what came so far of plan, name, time zone and contacts, None where
    nothing did. Kept, until the opening applies it."""

    account_id: str
    shard: int
    plan: str | None
    display_name: str | None
    contacts: tuple[str, ...] | None
    opened_at: datetime | None
    position: int
    as_of: datetime
    time_zone: str | None
    closed: bool
    contact_ids: tuple[Named, ...] = ()  # of everybody who is or was a contact
    forgotten: bool = False

    @property
    def opened(self) -> bool:
        return self.opened_at is not None


class AccountEvent(NamedTuple):
    account_id: str
    shard: int
    position: int
    type: int  # code of meter.event_types
    data: str  # JSON text, as stored
    occurred_at: datetime
    recorded_at: datetime
    source: str = ""
    event_id: str = ""


def apply(state: AccountState | None, event: AccountEvent) -> AccountState | None:
    """The state after one event; None while nothing is known of the account. The first opening wins. An event that
    changes nothing leaves position and time as they were."""
    if state is not None and event.position <= state.position:
        return state
    before = state or nothing_known(event)
    after = change(before, event, read_stored(event.type, event.data))
    return state if after is before else after._replace(position=event.position, as_of=event.recorded_at)


def nothing_known(event: AccountEvent) -> AccountState:
    return AccountState(
        account_id=event.account_id,
        shard=event.shard,
        plan=None,
        display_name=None,
        contacts=None,
        opened_at=None,
        position=event.position,
        as_of=event.recorded_at,
        time_zone=None,
        closed=False,
    )


def change(state: AccountState, event: AccountEvent, data: EventData) -> AccountState:
    match data:
        case AccountOpened() if not state.opened:
            return name_contacts(open_account(state, event.occurred_at, data), event, data.contacts)
        case PlanChanged(plan=plan):
            return state._replace(plan=plan)
        case ContactsChanged(contacts=contacts):
            return name_contacts(state._replace(contacts=contacts), event, contacts)
        case AccountRenamed(display_name=name, time_zone=zone) if name or zone:
            return state._replace(display_name=name or state.display_name, time_zone=zone or state.time_zone)
        case AccountForgotten():
            return forget(state)
        case AccountClosed() if state.opened and not state.closed:
            return state._replace(closed=True)
        case AccountReopened() if state.closed:
            return state._replace(closed=False)
    return state


def open_account(kept: AccountState, opened_at: datetime, data: AccountOpened) -> AccountState:
    """What came before the opening wins over its own: somebody has put it right since the opening was written."""
    return kept._replace(
        plan=kept.plan or data.plan,
        display_name=kept.display_name or data.display_name,
        contacts=data.contacts if kept.contacts is None else kept.contacts,
        time_zone=kept.time_zone or data.time_zone,
        opened_at=opened_at,
    )


def forget(state: AccountState) -> AccountState:
    """No address and no name is left, of those who were contacts before as well. Later events bring none: the store
    opens what is sealed with a key, and there is none any more."""
    contacts = None if state.contacts is None else ()
    return state._replace(contacts=contacts, display_name=None, contact_ids=(), forgotten=True)


def name_contacts(state: AccountState, event: AccountEvent, addresses: tuple[str, ...]) -> AccountState:
    """Also those of an opening that others win over: whoever was named once has an id."""
    naming = Naming(event.account_id, event.source, event.event_id)
    return state._replace(contact_ids=add_contacts(state.contact_ids, addresses, naming))
