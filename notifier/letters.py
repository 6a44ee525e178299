"""Who is owed a letter, and what the end of one means: pure, no IO, no clock.

A crossing is a fact of the log (decide.py); whether people know of it is another matter. Each contact has a *told
level* per resource: the highest line they were told. A letter is owed exactly while the account is open and the highest
line at or below its present exhaustion is above that level. These are the rules by which levels rise and fall.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID


class Ending(StrEnum):
    """How a letter ended; see README.md for what each means for the told level."""

    ACCEPTED = "accepted"
    PRESUMED = "presumed"
    REFUSED = "refused"
    GIVEN_UP = "given_up"
    CAPPED = "capped"
    CANCELLED = "cancelled"


TOLD_BY: frozenset[Ending] = frozenset({Ending.ACCEPTED, Ending.PRESUMED})


@dataclass(frozen=True, slots=True)
class Reached:
    """Of one balance: its epoch, the highest line at or below its present exhaustion, 0 for none, and whether calls are
    refused."""

    epoch: int
    line: int
    exhausted: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """`given_up` is the line of the present epoch at which telling was given up, 0 for none."""

    level: int = 0
    given_up: int = 0

    def begin_epoch(self, line: int) -> "Told":
        """A top-up that stays above a line repeats nothing; one that goes below it arms it again."""
        return Told(min(self.level, line))

    def tell(self, line: int) -> "Told":
        """Within an epoch a level never falls: a reversal that is used up again tells nobody twice."""
        return replace(self, level=max(self.level, line))


NOTHING_TOLD = Told()


@dataclass(frozen=True, slots=True)
class Shown:
    """What the bytes of a letter say of one resource.

    `counts` is `line`, lowered by each epoch begun since: an acceptance counts in the epoch for which the bytes were
    rendered, and the start of an epoch lowers what was told before. `exhausted`: None for older bytes.
    """

    epoch: int
    line: int
    counts: int
    position: int = 0  # of the balance that the figures are of
    exhausted: bool | None = None  # whether they say that calls are refused

    @classmethod
    def of(cls, reached: Reached, position: int = 0) -> "Shown":
        return cls(reached.epoch, reached.line, reached.line, position, reached.exhausted)


Lines = Mapping[str, Shown]  # by resource
NO_LINES: Lines = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody who is or was a contact. `unsent` is their letter that has not ended, `lines` what its bytes show."""

    contact_id: UUID
    is_contact: bool = True
    refused: bool = False
    told: Mapping[str, Told] = field(default_factory=dict)
    unsent: UUID | None = None
    lines: Lines = field(default_factory=dict)

    def of(self, resource: str) -> Told:
        return self.told.get(resource, NOTHING_TOLD)

    def put(self, resource: str, told: Told) -> "Contact":
        return replace(self, told={**self.told, resource: told})


@dataclass(frozen=True, slots=True)
class Recalled:
    """What letters told a contact in a history that a restore cut off: the highest line by resource and epoch."""

    contact_id: UUID
    lines: Mapping[tuple[str, int], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Letters:
    """One account: whether it is open, the line reached per resource, and its contacts of now and before by address."""

    is_open: bool = True
    reached: Mapping[str, Reached] = field(default_factory=dict)
    contacts: Mapping[str, Contact] = field(default_factory=dict, repr=False)
    recalled: Mapping[str, Recalled] = field(default_factory=dict, repr=False)  # by address, or by id as text

    def find_recalled(self, address: str, contact_id: UUID) -> Recalled | None:
        return self.recalled.get(address) or self.recalled.get(str(contact_id))

    def put(self, address: str, contact: Contact) -> "Letters":
        return replace(self, contacts={**self.contacts, address: contact})


# --- what changes an account ------------------------------------------------------------------------------------------


def move_line(letters: Letters, resource: str, reached: Reached) -> Letters:
    """Take over the line that a changed balance reaches; where an epoch begins, every level follows."""
    before = letters.reached.get(resource)
    contacts = letters.contacts
    if before is None or reached.epoch > before.epoch:
        begun = {address: begin_epoch(contact, resource, reached.line) for address, contact in contacts.items()}
        contacts = {name: tell_recalled(letters, name, contact, resource, reached) for name, contact in begun.items()}
    return replace(letters, reached={**letters.reached, resource: reached}, contacts=contacts)


def begin_epoch(contact: Contact, resource: str, line: int) -> Contact:
    contact = contact.put(resource, contact.of(resource).begin_epoch(line))
    shown = contact.lines.get(resource)
    if shown is None:
        return contact
    lowered = replace(shown, counts=min(shown.counts, line))
    return replace(contact, lines={**contact.lines, resource: lowered})


def tell_recalled(letters: Letters, address: str, contact: Contact, resource: str, reached: Reached) -> Contact:
    """Who was told a line in this epoch, before a restore, is not told it again when the epoch begins once more."""
    recalled = letters.find_recalled(address, contact.contact_id)
    line = recalled.lines.get((resource, reached.epoch), 0) if recalled is not None else 0
    return contact.put(resource, contact.of(resource).tell(line)) if line else contact


def change_contacts(letters: Letters, listed: Sequence[tuple[str, UUID]], *, is_open: bool) -> Letters:
    """Take over who is a contact now. `listed`: addresses with the ids that newcomers get."""
    addresses = [address for address, _ in listed]
    staying = [c for address, c in letters.contacts.items() if c.is_contact and address in addresses]
    contacts = {
        address: contact if address in addresses else leave(contact) for address, contact in letters.contacts.items()
    }
    for address, contact_id in listed:
        known = contacts.get(address)
        joined = join_again(letters, address, contact_id, staying) if known is None else known
        contacts[address] = replace(joined, is_contact=True)
    return replace(letters, is_open=is_open, contacts=contacts)


def join_again(letters: Letters, address: str, contact_id: UUID, staying: Sequence[Contact]) -> Contact:
    """A newcomer, or one whom a restore made the database forget: they have their id again, and what they were told."""
    recalled = letters.find_recalled(address, contact_id)
    contact = join(contact_id if recalled is None else recalled.contact_id, staying)
    for resource, reached in letters.reached.items():
        contact = tell_recalled(letters, address, contact, resource, reached)
    return contact


def join(contact_id: UUID, staying: Iterable[Contact]) -> Contact:
    """A newcomer knows what the best informed of the contacts who stay knows; nothing, if none stays."""
    levels: dict[str, int] = {}
    for contact in staying:
        for resource, told in contact.told.items():
            levels[resource] = max(levels.get(resource, 0), told.level)
    return Contact(contact_id, told={resource: Told(level) for resource, level in levels.items()})


def leave(contact: Contact) -> Contact:
    """Who leaves keeps their levels for a return; that an address was refused is forgotten."""
    return replace(contact, is_contact=False, refused=False)


# --- who is owed ------------------------------------------------------------------------------------------------------


def owed_lines(letters: Letters, contact: Contact) -> dict[str, int]:
    """The lines a contact should know of and was not told, by resource."""
    if not letters.is_open or not contact.is_contact:
        return {}
    return {
        resource: reached.line
        for resource, reached in letters.reached.items()
        if reached.line > contact.of(resource).level
    }


def is_due(letters: Letters, contact: Contact) -> bool:
    """Whether a letter is to be sent: what is owed, unless the address is bad or its lines were given up."""
    owed = owed_lines(letters, contact)
    return not contact.refused and any(line > contact.of(resource).given_up for resource, line in owed.items())


def find_due(letters: Letters) -> list[str]:
    """The addresses that need a letter and have none on its way."""
    return [
        address for address, contact in letters.contacts.items() if contact.unsent is None and is_due(letters, contact)
    ]


# --- what the end of a letter means -----------------------------------------------------------------------------------


def end(letters: Letters, address: str, ending: Ending, tried: Lines = NO_LINES) -> Letters:
    """Record the end of a contact's unsent letter. `tried` is what it would have said, where it was given up."""
    contact = letters.contacts[address]
    ended = replace(contact, unsent=None, lines=NO_LINES)
    if ending in TOLD_BY:
        for resource, shown in contact.lines.items():
            ended = ended.put(resource, ended.of(resource).tell(shown.counts))
    elif ending is Ending.REFUSED:
        ended = replace(ended, refused=ended.is_contact)
    elif ending is Ending.GIVEN_UP:
        for resource, shown in tried.items():
            ended = give_up(letters, ended, resource, shown)
    return letters.put(address, ended)


def give_up(letters: Letters, contact: Contact, resource: str, shown: Shown) -> Contact:
    """No new letter until the next line or the next epoch; an epoch that began meanwhile is the next one."""
    reached, told = letters.reached.get(resource), contact.of(resource)
    if reached is None or reached.epoch != shown.epoch:
        return contact
    return contact.put(resource, replace(told, given_up=max(told.given_up, shown.line)))


def retry(letters: Letters, address: str) -> Letters:
    """A person says that the cause is gone: what was refused or given up is owed as before."""
    contact = letters.contacts[address]
    told = {resource: replace(known, given_up=0) for resource, known in contact.told.items()}
    return letters.put(address, replace(contact, refused=False, told=told))
