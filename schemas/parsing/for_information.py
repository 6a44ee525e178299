"""What never costs an event: parts for information that cannot be read or stored are left out, and a remark says so."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from pydantic import WrapValidator

from schemas.contacts import FIELD, MAX_REMARKS, take_contacts
from schemas.events import AccountOpened, AccountRenamed, ContactsChanged, EventData, EventType
from schemas.fields import leave_out
from schemas.parsing.envelope import Attributes
from schemas.parsing.json_text import Member, is_storable, may_be_unstorable, texts_of
from schemas.reasons import InvalidEventError, Reason
from schemas.records import Remark, place_of

NOTHING_RENAMED: Final = (Remark("display_name", "is absent, and time_zone as well: nothing changes"),)
MAX_REMARK_CHARS: Final = 64  # of the name of a field that nobody knows


def leave_out_contacts(event: EventType, attributes: Attributes) -> tuple[Attributes, tuple[Remark, ...]]:
    """Bad contacts never cost an opening, and one bad address not a change of contacts: the good ones stay in the data.

    Raises InvalidEventError for a change that names no good address. An empty list names no bad one either: it takes
    all contacts away.
    """
    if event.model not in (AccountOpened, ContactsChanged) or attributes.data is None:
        return attributes, ()
    sent = attributes.data.get(FIELD, Member(None, "null"))
    contacts, remarks = take_contacts(sent.value)
    if event.model is ContactsChanged and not contacts and remarks:
        raise InvalidEventError(Reason.INVALID_CONTACTS, f"{place_of(remarks[0].field)} {remarks[0].reason}")
    if list(contacts) == sent.value:
        return attributes, ()
    return _replace_data(
        attributes, FIELD, Member(list(contacts), json.dumps(contacts, separators=(",", ":")))
    ), remarks


def _replace_data(attributes: Attributes, name: str, member: Member) -> Attributes:
    """The same with one member of the data replaced; the text of the others stays as sent."""
    data = {**(attributes.data or {}), name: member}
    return replace(attributes, data=data, data_text=join_members(data))


def leave_out_unstorable(event: EventType, attributes: Attributes) -> tuple[Attributes, tuple[Remark, ...]]:
    """The same without what Postgres cannot store, where that is for information: optional fields, and unknown ones.

    Raises InvalidEventError where it is more.
    """
    # By name, in their order: a list of thousands would be searched for each field.
    members = attributes.data.items() if attributes.data and may_be_unstorable(attributes.data_text) else ()
    bad = {name: None for name, member in members if not is_storable((name, *texts_of(member.value)))}
    if not bad:
        return attributes, ()
    if not all(is_for_information(event.model, name) for name in bad):
        raise InvalidEventError(Reason.INVALID_TEXT, "NUL or an unpaired surrogate in a JSON string")
    data = {name: member for name, member in (attributes.data or {}).items() if name not in bad}
    remarks = tuple(Remark(ascii(name)[1:-1][:MAX_REMARK_CHARS], "cannot be read") for name in bad)
    return replace(attributes, data=data, data_text=join_members(data)), remarks[:MAX_REMARKS]


def is_for_information(model: type[EventData], name: str) -> bool:
    """Whether a field never costs the event: one that nobody knows, or that is left out where it cannot be read."""
    field = model.model_fields.get(name)
    return field is None or any(isinstance(rule, WrapValidator) and rule.func is leave_out for rule in field.metadata)


def join_members(data: Mapping[str, Member]) -> str:
    """JSON text of an object; the text of each value as sent."""
    return "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{member.raw}" for name, member in data.items()) + "}"


def find_left_out(data: EventData, sent: Mapping[str, Any]) -> tuple[Remark, ...]:
    """Fields for information that were sent and could not be read; and a renaming that names nothing has no effect."""
    optional = [name for name, field in type(data).model_fields.items() if field.default is None]
    unread = tuple(
        Remark(name, "cannot be read")
        for name in optional
        if sent.get(name) is not None and getattr(data, name) is None
    )
    is_empty = isinstance(data, AccountRenamed) and data.display_name is None and data.time_zone is None
    return (*unread, *NOTHING_RENAMED) if is_empty else unread
