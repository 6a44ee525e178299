"""A contact's id in events: it follows from the event that first named them and their place there, and stays."""

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
