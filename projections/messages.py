"""What goes to `metering.balances`. The same position of a generation always gives the same bytes, its id included."""

from typing import Final, NamedTuple
from uuid import UUID, uuid5

from meter.runtime.tracing import ATTRIBUTE, TraceParent
from projections.accounts import AccountState
from projections.contact_ids import list_ids
from projections.fold import BalanceState
from schemas.amounts import Micro
from schemas.build import encode_event
from schemas.outputs import AccountChanged, BalanceChanged
from schemas.resources import RESOURCES_BY_CODE

SOURCE: Final = "/credit-meter/projections"
# Namespace of the ids; never changes, or receivers would take a repeat for something new.
NAMESPACE: Final = UUID("97a0850d-61ff-500f-b854-3256997594ea")
BALANCE_CHANGED: Final = "balance.changed.v1"
ACCOUNT_CHANGED: Final = "account.changed.v2"


class OutboxMessage(NamedTuple):
    shard: int
    position: int
    key: str
    value: bytes


def render_balance(state: BalanceState, generation: int = 1, parent: TraceParent | None = None) -> OutboxMessage:
    data = BalanceChanged(
        account_id=state.account_id,
        resource=RESOURCES_BY_CODE[state.resource],
        epoch=state.epoch,
        allocation=Micro(state.allocation),
        consumed=Micro(state.used),
        remaining=Micro(state.remaining),
        percent=state.percent,
        exhaustion=f"{state.exhaustion:f}",
        status=state.status,
        allowed=state.allowed,
        shard=state.shard,
        position=state.position,
        as_of=state.as_of,
        free_only=state.free_only,
        generation=generation,
    )
    return encode(BALANCE_CHANGED, state, data, f"{state.position}/{state.resource}", parent)


def render_account(state: AccountState, generation: int = 1, parent: TraceParent | None = None) -> OutboxMessage:
    """Of an account that is open or closed. Raises ValueError for one that nobody opened: nobody hears of it."""
    if state.plan is None or state.contacts is None:
        raise ValueError(f"{state.account_id} was never opened")
    data = AccountChanged(
        account_id=state.account_id,
        plan=state.plan,
        contact_ids=tuple(map(UUID, list_ids(state.contact_ids, state.contacts))),
        state="closed" if state.closed else "open",
        time_zone=state.time_zone,
        shard=state.shard,
        position=state.position,
        generation=generation,
        forgotten=state.forgotten,
    )
    return encode(ACCOUNT_CHANGED, state, data, str(state.position), parent)


def encode(
    type_: str,
    state: BalanceState | AccountState,
    data: BalanceChanged | AccountChanged,
    cause: str,
    parent: TraceParent | None,
) -> OutboxMessage:
    """`cause` tells the messages of a type and shard apart: one event may change both balances of an account. `parent`
    is the span of a producer who wants to see what follows.

    A position means another event in each generation, so the id tells these apart too.
    """
    place = str(state.shard) if data.generation == 1 else f"{state.shard}/generation {data.generation}"
    value = encode_event(
        type_,
        state.account_id,
        data,
        event_id=str(uuid5(NAMESPACE, f"{type_}/{place}/{cause}")),
        time=state.as_of,
        source=SOURCE,
        extensions=None if parent is None else {ATTRIBUTE: str(parent)},
    )
    return OutboxMessage(state.shard, state.position, state.account_id, value)
