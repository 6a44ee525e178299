"""The account fold: plan, name and contacts by the events that set them. Pure."""

from datetime import datetime
from typing import NamedTuple

from schemas.inputs import AccountOpened, ContactsChanged, PlanChanged
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


class AccountEvent(NamedTuple):
    account_id: str
    shard: int
    position: int
    type: int  # code of meter.event_types
    data: str  # JSON text, as stored
    occurred_at: datetime
    recorded_at: datetime


def apply(state: AccountState | None, event: AccountEvent) -> AccountState | None:
    """The state after one event. The first opening wins; what comes before it has nothing to change."""
    if state is not None and event.position <= state.position:
        return state
    data = read_stored(event.type, event.data)
    if state is None:
        return open_account(event, data) if isinstance(data, AccountOpened) else None
    if isinstance(data, PlanChanged):
        return state._replace(plan=data.plan, position=event.position, as_of=event.recorded_at)
    if isinstance(data, ContactsChanged):
        return state._replace(contacts=data.contacts, position=event.position, as_of=event.recorded_at)
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
    )
