"""Letters that a batch or the end of another letter makes owed: pure. Both stores do as is worked out here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from notifier.ids import contact_id, email_id, line_notice_id, next_email_id, retry_email_id
from notifier.letters import (
    Contact,
    Ending,
    Letters,
    Lines,
    change_contacts,
    end,
    find_due,
    move_line,
    owed_lines,
    retry,
)
from notifier.model import AccountSnapshot, ContactsChanged, EmailRow, LetterStep, LineMoved

SHARE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known after the change, and the letters that became owed by it."""

    letters: Letters
    queued: tuple[EmailRow, ...] = ()


def space_out(outcome: Outcome) -> list[tuple[EmailRow, float]]:
    """The queued letters, and how many seconds later each is taken than one of another account that is due as early.

    So while a mail server is slow somebody of every account is told before everybody of one.
    """
    unsent = sum(contact.unsent is not None for contact in outcome.letters.contacts.values())
    before = unsent - len(outcome.queued)
    return [(row, SHARE_S * place) for place, row in enumerate(outcome.queued, before)]


def follow(letters: Letters, steps: Iterable[LetterStep]) -> Letters:
    for step in steps:
        letters = follow_one(letters, step)
    return letters


def follow_one(letters: Letters, step: LetterStep) -> Letters:
    if isinstance(step, LineMoved):
        return move_line(letters, step.resource, step.reached)
    account = step.account
    listed = list_contacts(account, spell_as_before(letters, account.contacts))
    return change_contacts(letters, listed, is_open=account.is_open)


def spell_as_before(letters: Letters, addresses: Iterable[str]) -> list[str]:
    """Two spellings of one address are one contact: the first one stays, and with it what they were told."""
    known = {address.casefold(): address for address in letters.contacts}
    return [known.get(address.casefold(), address) for address in addresses]


def list_contacts(account: AccountSnapshot, addresses: Sequence[str]) -> list[tuple[str, UUID]]:
    """Each address once, with the id that a newcomer gets: the event's, or what follows from its position."""
    if account.contact_ids is None:
        event = (account.account_id, account.shard, account.position)
        return [(address, contact_id(*event, place)) for place, address in enumerate(dict.fromkeys(addresses))]
    listed: dict[str, UUID] = {}
    for address, given in zip(addresses, account.contact_ids, strict=True):
        listed.setdefault(address, given)
    return list(listed.items())


def apply_steps(account_id: str, letters: Letters, steps: Sequence[LetterStep], at: datetime) -> Outcome:
    """All steps of one account in a batch, then a letter to everybody who is owed one and has none on its way."""
    letters = follow(letters, steps)
    shard, position, generation = place_of(steps[-1])
    queued = []
    for address in find_due(letters):
        contact = letters.contacts[address]
        notice = choose_notice(account_id, letters, contact)
        number = email_id(notice, address, position, generation)
        queued.append(EmailRow(number, contact.contact_id, notice, account_id, shard, address, at, generation))
        letters = letters.put(address, replace(contact, unsent=number))
    return Outcome(letters, tuple(queued))


def place_of(step: LetterStep) -> tuple[int, int, int]:
    """Shard, position and generation."""
    of = step.account if isinstance(step, ContactsChanged) else step
    return of.shard, of.position, of.generation


def end_letter(email: EmailRow, letters: Letters, ending: Ending, tried: Lines, at: datetime) -> Outcome:
    """The end of a letter, and the one that follows it where its reader is owed something still."""
    return queue_following(email, end(letters, email.recipient, ending, tried), next_email_id(email.email_id), at)


def retry_letter(email: EmailRow, letters: Letters, at: datetime) -> Outcome:
    """A person says that the cause is gone: another letter, where something is owed and none is on its way."""
    return queue_following(email, retry(letters, email.recipient), retry_email_id(email.email_id, at), at)


def queue_following(email: EmailRow, letters: Letters, number: UUID, at: datetime) -> Outcome:
    if email.recipient not in find_due(letters):
        return Outcome(letters)
    contact = letters.contacts[email.recipient]
    notice = choose_notice(email.account_id, letters, contact)
    following = replace(email, email_id=number, notice_id=notice, created_at=at)
    letters = letters.put(email.recipient, replace(contact, unsent=number))
    return Outcome(letters, (following,))


def choose_notice(account_id: str, letters: Letters, contact: Contact) -> UUID:
    """The notice that a letter is filed under: that of the highest line owed."""
    owed = owed_lines(letters, contact)
    resource = max(owed, key=lambda name: (owed[name], name))
    return line_notice_id(account_id, resource, letters.reached[resource].epoch, owed[resource])
