"""The account fold: plan, name, contacts and whether it is closed, by the events that set them. Pure."""

from datetime import datetime
from typing import NamedTuple

from schemas.inputs import (
    AccountClosed,
    AccountOpened,
    AccountRenamed,
    AccountReopened,
    ContactsChanged,
    EventData,
    PlanChanged,
)
from schemas.upcast import read_stored


class AccountState(NamedTuple):
    account_id: str
    shard: int
    plan: str
    display_name: str | None
    contacts: tuple[str, ...]
    opened_at: datetime
    position: int
    as_of: datetime
    time_zone: str | None
    closed: bool


class AccountEvent(NamedTuple):
    account_id: str
    shard: int
    position: int
    type: int  # code of meter.event_types
    data: str  # JSON text, as stored
    occurred_at: datetime
    recorded_at: datetime


def apply(state: AccountState | None, event: AccountEvent) -> AccountState | None:
    """The state after one event. The first opening wins; what comes before it has nothing to change. An event that
    changes nothing leaves position and time as they were."""
    if state is not None and event.position <= state.position:
        return state
    data = read_stored(event.type, event.data)
    if state is None:
        return open_account(event, data) if isinstance(data, AccountOpened) else None
    after = change(state, data)
    return state if after is state else after._replace(position=event.position, as_of=event.recorded_at)


def change(state: AccountState, data: EventData) -> AccountState:
    match data:
        case PlanChanged(plan=plan):
            return state._replace(plan=plan)
        case ContactsChanged(contacts=contacts):
            return state._replace(contacts=contacts)
        case AccountRenamed(display_name=name, time_zone=zone) if name or zone:
            return state._replace(display_name=name or state.display_name, time_zone=zone or state.time_zone)
        case AccountClosed() if not state.closed:
            return state._replace(closed=True)
        case AccountReopened() if state.closed:
            return state._replace(closed=False)
    return state


def open_account(event: AccountEvent, data: AccountOpened) -> AccountState:
    return AccountState(
        account_id=event.account_id,
        shard=event.shard,
        plan=data.plan,
        display_name=data.display_name,
        contacts=data.contacts,
        opened_at=event.occurred_at,
        position=event.position,
        as_of=event.recorded_at,
        time_zone=data.time_zone,
        closed=False,
    )
