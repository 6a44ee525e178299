"""Contacts as they are taken: good addresses, each once, at most 20. A bad address never costs the others. Pure."""

from typing import Any, Final, NamedTuple

from schemas.fields import ENCODED_WORD, MAX_ADDRESS_CHARS, MAX_CONTACTS, is_address
from schemas.records import Remark

FIELD: Final = "contacts"
MAX_REMARKS: Final = 50  # of one list; a record has room for thousands of bad addresses


class Taken(NamedTuple):
    contacts: tuple[str, ...]
    remarks: tuple[Remark, ...]


def take_contacts(value: Any) -> Taken:
    """The good addresses of a list, in its order, and a remark for each entry that is left out.

    Two spellings of one address are one contact: mail servers that tell capitals apart in the local part are none that
    people use. The first spelling is kept.
    """
    if not isinstance(value, list):
        return Taken((), (Remark(FIELD, "is missing or no list"),))
    taken: dict[str, str] = {}
    remarks: list[Remark] = []
    for number, entry in enumerate(value):
        address = read_address(entry)
        if address is None:
            remarks.append(Remark(f"{FIELD}[{number}]", "is not one plain email address"))
        elif address.lower() in taken:
            remarks.append(Remark(f"{FIELD}[{number}]", "is an address that stands before it"))
        elif len(taken) == MAX_CONTACTS:
            remarks.append(Remark(f"{FIELD}[{number}]", f"comes after {MAX_CONTACTS} good addresses"))
        else:
            taken[address.lower()] = address
    return Taken(tuple(taken.values()), bound(remarks))


def bound(remarks: list[Remark]) -> tuple[Remark, ...]:
    rest = len(remarks) - MAX_REMARKS
    return tuple(remarks) if rest <= 0 else (*remarks[:MAX_REMARKS], Remark(FIELD, f"{rest} more are left out"))


def read_address(entry: Any) -> str | None:
    """An address with its domain in lower case and ASCII form (IDNA 2008); None for what is not one plain address."""
    if not isinstance(entry, str) or len(entry) > MAX_ADDRESS_CHARS:  # bounds the work on the domain
        return None
    local, at, domain = entry.rpartition("@")
    try:
        ascii_domain = domain.lower() if domain.isascii() else encode_domain(domain)
    except UnicodeError:
        return None
    address = f"{local}{at}{ascii_domain}"
    # What a header would decode (RFC 2047) is nobody's address. Models still read it: logs from before may hold one.
    return address if is_address(address) and ENCODED_WORD not in address else None


def encode_domain(domain: str) -> str:
    """Raises UnicodeError. The tables are loaded for the first such domain: a list does not wait for them.

    The producers' client does without them. It refuses no event for a contact, and sends each as it was given: the
    meter judges it.
    """
    try:
        import idna
    except ImportError:
        raise UnicodeError("no tables of international domains are installed") from None

    return idna.encode(domain, uts46=True).decode("ascii")
