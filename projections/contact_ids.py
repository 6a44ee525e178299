"""Ids of contacts: they stand for addresses in events, and tell nothing of them. Pure.

An id follows from the event that first named the contact, and its place there: from the event's identity and not from
its position, which may be another one when the log is read again after a restore.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID


class Named(NamedTuple):
    """Somebody who is or was a contact, by the address as it was first spelled."""

    address: str
    contact_id: str


class Naming(NamedTuple):
    """The event that names contacts."""

    account_id: str
    source: str
    event_id: str


def make_contact_id(naming: Naming, place: int) -> str:
    """`projections.contact_id` in SQL makes the same one; a UUID of version 8, whose bits the maker chooses."""
    made = bytearray(sha256("\n".join(("contact", *naming, str(place))).encode()).digest()[:16])
    made[6] = made[6] & 0x0F | 0x80
    made[8] = made[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(made)))


def add_contacts(known: tuple[Named, ...], addresses: Sequence[str], naming: Naming) -> tuple[Named, ...]:
    """All who were ever named. Two spellings of one address are one contact."""
    found = {named.address.lower() for named in known}
    new = [
        Named(address, make_contact_id(naming, place))
        for place, address in enumerate(addresses)
        if address.lower() not in found
    ]
    return (*known, *new)


def list_ids(known: Sequence[Named], addresses: Sequence[str]) -> list[str]:
    """Of the contacts with these addresses, in their order."""
    by_address = {named.address.lower(): named.contact_id for named in known}
    return [by_address[address.lower()] for address in addresses]
