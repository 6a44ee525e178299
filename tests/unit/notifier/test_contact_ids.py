"""A contact's id in events: it follows from the event that first named them and their place there, and stays."""

from uuid import UUID

from notifier.ids import contact_id
from notifier.letters import Letters
from notifier.model import ContactsChanged
from notifier.owed import follow
from tests.unit.notifier.builders import ACCOUNT, account

FIRST, SECOND, THIRD = "first@example.com", "second@example.com", "third@example.com"


def contacts_after(*lists: tuple[str, ...]) -> Letters:
    """Each list by an event at the next position."""
    return follow(Letters(), [ContactsChanged(account(place, listed)) for place, listed in enumerate(lists, start=1)])


def test_an_id_follows_from_the_event_that_first_named_the_contact_and_the_place_there() -> None:
    letters = contacts_after((FIRST,), (THIRD, SECOND, FIRST), (SECOND,), (FIRST, THIRD, SECOND))
    assert {address: contact.contact_id for address, contact in letters.contacts.items()} == {
        FIRST: contact_id(ACCOUNT, 0, 1, 0),
        THIRD: contact_id(ACCOUNT, 0, 2, 0),
        SECOND: contact_id(ACCOUNT, 0, 2, 1),
    }


def test_another_spelling_of_an_address_is_the_same_contact() -> None:
    letters = contacts_after((FIRST,), ("First@Example.com", "FIRST@example.com", SECOND))
    assert list(letters.contacts) == [FIRST, SECOND]
    assert letters.contacts[FIRST].is_contact and letters.contacts[FIRST].contact_id == contact_id(ACCOUNT, 0, 1, 0)


X, Y = UUID(int=1), UUID(int=2)


def test_events_give_newcomers_their_ids() -> None:
    letters = follow(Letters(), [ContactsChanged(account(1, (FIRST, SECOND), contact_ids=(X, Y)))])
    assert {address: contact.contact_id for address, contact in letters.contacts.items()} == {FIRST: X, SECOND: Y}


def test_who_has_an_id_from_before_keeps_it() -> None:
    """Letters of before carry it, and receivers know it."""
    letters = follow(Letters(), [ContactsChanged(account(1, (FIRST,)))])
    letters = follow(letters, [ContactsChanged(account(2, (SECOND, FIRST.upper()), contact_ids=(Y, X)))])
    assert letters.contacts[FIRST].contact_id == contact_id(ACCOUNT, 0, 1, 0)
    assert letters.contacts[SECOND].contact_id == Y and len(letters.contacts) == 2


def test_two_ids_of_one_address_are_one_contact() -> None:
    letters = follow(Letters(), [ContactsChanged(account(1, (FIRST,)))])
    spelled = (FIRST, FIRST.upper())
    letters = follow(letters, [ContactsChanged(account(2, spelled, contact_ids=(X, Y)))])
    assert list(letters.contacts) == [FIRST]
