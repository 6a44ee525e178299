"""What an event says, compared with what is stored under its identity. Pure."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, TypeVar

from pydantic import ValidationError

from meter.sealing import without_people
from schemas.amounts import format_amount
from schemas.codes import PERSONAL_CODES, TYPES_BY_CODE, USAGE_CODES
from schemas.contacts import FIELD, take_contacts
from schemas.identity import normalize_id
from schemas.records import Accepted
from schemas.resources import RESOURCE_CODES
from schemas.stored_json import read_stored_json
from schemas.upcast import read_data

MAX_DIFFERENCES: Final = 3  # fields that are shown
MAX_VALUE_CHARS: Final = 60  # of a value that is shown
IN_COLUMNS: Final = frozenset({"resource", "amount"})  # of corrections and grants; said in front of the fields
# What names nobody. Of all other fields it is said that they differ, and no more.
PUBLIC: Final = frozenset(
    {"plan", "reason", "reference", "reverses", "reverses_source", "revokes", "kind", "id", "name", "status", "type",
     "language", "version", "deployed_at"}
)  # fmt: skip
PERSONAL: Final = frozenset({"display_name", "time_zone", "owner"})  # a text that is no time zone may be anything
RESOURCES = {code: resource.value for resource, code in RESOURCE_CODES.items()}
NAMED_EVENTS: Final = ("reverses", "revokes")  # fields of data that hold the id of another event


class Content(NamedTuple):
    """What counts of an event when another comes with the same identity; `place` says where it stands."""

    type: int
    resource: int | None
    amount: int
    name: str
    data: str
    place: str


Said = TypeVar("Said", Accepted, Content)


def content_of(row: Accepted) -> Content:
    """Of a row that stands earlier in the same batch."""
    return Content(row.type, row.resource, row.amount, row.name, row.data, f"at offset {row.offset} of {row.topic}")


def forget_people(event: Said) -> Said:
    """An event of an account that is forgotten: what is left of it to be compared and stored."""
    if event.type not in PERSONAL_CODES:
        return event
    return event._replace(data=without_people(event.type, event.data))


def is_same(event: Accepted, stored: Content) -> bool:
    """Whether the event says what the stored one says: of usage the columns, of the others all their data as well."""
    if (event.type, event.resource, event.amount, event.name) != stored[:4]:
        return False
    if event.type in USAGE_CODES or event.data == stored.data:
        return True
    return bool(read(event.type, event.data) == read(event.type, stored.data))


def read(type: int, data: str) -> Any:
    """What data says, whatever its spelling: fields that the contract has as they are read, others as they were sent.

    So amounts are micro-units, a plan has small letters, a zone IANA's spelling, and contacts are who they are.
    """
    value = read_stored_json(data)
    if isinstance(value, dict) and isinstance(value.get(FIELD), list):
        value[FIELD] = [address.lower() for address in take_contacts(value[FIELD]).contacts]
    try:
        known = dict(read_data(type, value))
    except ValidationError:  # stored before a rule that the contract has now: as it was sent
        return value
    # Of a type that has no such field it may be anything.
    return known | {name: normalize_id(known[name]) for name in NAMED_EVENTS if isinstance(known.get(name), str)}


def describe_reuse(event: Accepted, stored: Content) -> str:
    """Both events in one sentence, with the first fields that differ. Nothing of an address or a name of a person is
    shown: the original bytes are kept, encrypted or until they are forgotten."""
    new, old = describe(event.type, *event[5:8]), describe(*stored[:4])
    fields = list(find_differences(event, stored))
    left_out = len(fields) - MAX_DIFFERENCES
    more = [f"{left_out} more"] if left_out > 0 else []
    difference = f" with {' and '.join(fields[:MAX_DIFFERENCES] + more)}" if fields else ""
    return (
        f"id {event.event_id!a} of source {event.source!a} belongs to {old}, {stored.place}; "
        f"this record, {new}{difference}, is not counted"
    )


def describe(type: int, resource: int | None, amount: int, name: str) -> str:
    moved = "" if resource is None else f", {format_amount(amount)} {RESOURCES[resource]}"
    named = f", {name!a}" if name else ""
    return f"{TYPES_BY_CODE[type]}{moved}{named}"


def find_differences(event: Accepted, stored: Content) -> Iterator[str]:
    """Fields in which two events of one type differ, but for what `describe` says of both."""
    if event.type != stored.type or event.type in USAGE_CODES:
        return
    new, old = read(event.type, event.data), read(stored.type, stored.data)
    if not isinstance(new, dict) or not isinstance(old, dict):
        return
    said = [event.name, stored.name]
    for field in sorted(new.keys() | old.keys()):
        pair = [new.get(field), old.get(field)]
        if pair[0] != pair[1] and field not in IN_COLUMNS and pair != said:
            yield describe_difference(field, *pair)


def describe_difference(field: str, new: object, old: object) -> str:
    if field in PUBLIC:
        return f"{field} {show(new)}, not {show(old)}"
    if field == FIELD:
        return "other contacts"
    return f"another {field.replace('_', ' ')}" if field in PERSONAL else f"another {show(field)}"


def show(value: object) -> str:
    return "none" if value is None else cut(ascii(value) if isinstance(value, str) else ascii(str(value)))


def cut(text: str) -> str:
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[:MAX_VALUE_CHARS]}..."
