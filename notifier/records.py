"""Read records of metering.balances: each becomes a change, is skipped, or is unreadable. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from notifier.decide import BalanceSnapshot
from notifier.model import AccountSnapshot, People, Unreadable
from notifier.plan import Change
from schemas.build import decode_event
from schemas.outputs import AccountChanged, AccountChangedV1, BalanceChanged
from schemas.reasons import InvalidEventError, Reason
from schemas.records import Record

MAX_DETAIL_CHARS = 500


def read_records(records: Iterable[Record]) -> list[Change | Unreadable]:
    return [change for record in records if (change := read_record(record)) is not None]


def read_record(record: Record) -> Change | Unreadable | None:
    """None for an event of a type that this version does not know: it cannot change a balance or an account here."""
    try:
        _envelope, data = decode_event(record.value or b"")
    except InvalidEventError as error:
        if error.reason is Reason.UNKNOWN_TYPE:
            return None
        return Unreadable(record, error.reason.value, error.detail[:MAX_DETAIL_CHARS])
    if isinstance(data, BalanceChanged):
        return read_balance(data)
    if isinstance(data, AccountChanged):
        return read_account(data)
    if isinstance(data, AccountChangedV1):
        return read_account_v1(data)
    return None


def name_people(change: Change | Unreadable, people: Mapping[str, People]) -> Change | Unreadable:
    """An account's contacts by their addresses. An id that nobody stands behind any more is left out."""
    if not isinstance(change, AccountSnapshot) or change.contact_ids is None:
        return change
    addresses = people.get(change.account_id, People()).addresses
    known = tuple(contact for contact in change.contact_ids if contact in addresses)
    return replace(change, contacts=tuple(addresses[contact] for contact in known), contact_ids=known)


def read_balance(data: BalanceChanged) -> BalanceSnapshot:
    return BalanceSnapshot(
        account_id=data.account_id,
        resource=data.resource.value,
        epoch=data.epoch,
        allocation=int(data.allocation),
        consumed=int(data.consumed),
        shard=data.shard,
        position=data.position,
        as_of=data.as_of,
        free_only=data.free_only,
        generation=data.generation,
    )


def read_account(data: AccountChanged) -> AccountSnapshot:
    """Without contacts, which `name_people` puts in."""
    return AccountSnapshot(
        account_id=data.account_id,
        shard=data.shard,
        position=data.position,
        plan=data.plan,
        display_name=None,
        contacts=(),
        is_open=data.state == "open",
        time_zone=data.time_zone,
        generation=data.generation,
        contact_ids=data.contact_ids,
        forgotten=data.forgotten,
    )


def read_account_v1(data: AccountChangedV1) -> AccountSnapshot:
    return AccountSnapshot(
        account_id=data.account_id,
        shard=data.shard,
        position=data.position,
        plan=data.plan,
        display_name=data.display_name,
        contacts=tuple(data.contacts),
        is_open=data.state == "open",
        time_zone=data.time_zone,
        generation=data.generation,
    )
