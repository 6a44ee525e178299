"""Bugs of told levels: what contacts count as told and were not. `projections verify` works the levels out anew."""

from collections.abc import Sequence
from dataclasses import replace as changed
from uuid import UUID

from notifier import owed
from notifier.letters import NO_LINES, Ending, Letters, Lines, Told
from tests.faults.bugs.bug import Bug, current, replace
from tests.faults.oracle.verified import TOLD_WRONG
from tests.faults.schedule import Focus
from tests.faults.world import Shares


def cancelled_counts_as_told() -> None:
    """A letter that is cancelled, because its line is no longer reached, counts as if it had been sent."""
    end = current(owed, "end")

    def end_as_told(letters: Letters, address: str, ending: Ending, tried: Lines = NO_LINES) -> Letters:
        ended: Letters = end(letters, address, ending, tried)
        if ending is not Ending.CANCELLED:
            return ended
        contact = ended.contacts[address]
        told = {resource: known.tell(max(50, known.level)) for resource, known in contact.told.items()}
        return ended.put(address, changed(contact, told=told))

    replace(owed, "end", end_as_told)


def newcomer_is_told_nothing() -> None:
    """Whoever becomes a contact starts at the line that the account has reached, which nobody told them."""
    change_contacts = current(owed, "change_contacts")

    def change_silently(letters: Letters, listed: Sequence[tuple[str, UUID]], *, is_open: bool) -> Letters:
        after: Letters = change_contacts(letters, listed, is_open=is_open)
        for address in after.contacts.keys() - letters.contacts.keys():
            told = {resource: Told(reached.line) for resource, reached in after.reached.items()}
            after = after.put(address, changed(after.contacts[address], told=told))
        return after

    replace(owed, "change_contacts", change_silently)


def reopening_owes_nothing() -> None:
    """What was reached while an account was closed counts as told when it is opened again."""
    change_contacts = current(owed, "change_contacts")

    def change_knowing(letters: Letters, listed: Sequence[tuple[str, UUID]], *, is_open: bool) -> Letters:
        after: Letters = change_contacts(letters, listed, is_open=is_open)
        if letters.is_open or not is_open:
            return after
        for address, contact in after.contacts.items():
            for resource, reached in after.reached.items():
                contact = contact.put(resource, contact.of(resource).tell(reached.line))
            after = after.put(address, contact)
        return after

    replace(owed, "change_contacts", change_knowing)


BUGS = (
    Bug(
        name="cancelled_counts_as_told",
        service="notifier",
        says="the told level is raised by a letter that was cancelled",
        switch_on=cancelled_counts_as_told,
        signs=frozenset({TOLD_WRONG}),
        focus=Focus({"refuse": 2, "smtp": 2}, services=("notifier",), links=("smtp",), phases=("rcpt", "mail")),
        mean_pause_s=0.5,
        shares=Shares(grants=0.05, reversals=0.02),
    ),
    Bug(
        name="newcomer_is_told_nothing",
        service="notifier",
        says="a new contact of an account at 93 % is told nothing",
        switch_on=newcomer_is_told_nothing,
        signs=frozenset({TOLD_WRONG}),
        focus=Focus({"smtp": 3}, services=("notifier",), links=("smtp",), phases=("rcpt", "mail")),
        mean_pause_s=0.5,
        shares=Shares(changes=0.05),
    ),
    Bug(
        name="reopening_owes_nothing",
        service="notifier",
        says="what an account reached while it was closed is told to nobody when it is opened again",
        switch_on=reopening_owes_nothing,
        signs=frozenset({TOLD_WRONG, "line that counts as told and was in no letter"}),
        focus=Focus({"kill": 1}, services=("notifier",)),
        shares=Shares(closings=0.05),
    ),
)
