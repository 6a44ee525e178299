"""What was told before a restore counts when its epoch begins again."""

from uuid import UUID, uuid4

from notifier.ids import contact_id
from notifier.letters import Contact, Letters, Reached, Recalled, change_contacts, find_due, move_line
from notifier.recall import list_lines, name_contacts
from schemas.outputs import AccountChangedV1, EmailEnded
from tests.unit.notifier.builders import AT

CREDITS = "model_credits"
OWNER = "owner@example.com"
SHARDS = 3
OLD, NEW = UUID(int=1), UUID(int=2)


def told(**lines: int) -> dict[str, Recalled]:
    """By epoch: `e1=90`."""
    return {OWNER: Recalled(OLD, {(CREDITS, int(epoch[1:])): line for epoch, line in lines.items()})}


def test_an_epoch_that_begins_again_is_not_told_again() -> None:
    letters = Letters(contacts={OWNER: Contact(OLD)}, recalled=told(e2=90))
    letters = move_line(letters, CREDITS, Reached(1, 50))
    assert find_due(letters) == [OWNER]  # of epoch 1 nothing was told
    letters = move_line(letters, CREDITS, Reached(2, 0))
    letters = move_line(letters, CREDITS, Reached(2, 90))
    assert find_due(letters) == []
    letters = move_line(letters, CREDITS, Reached(3, 50))
    assert letters.contacts[OWNER].of(CREDITS).level == 50  # lowered, as by every epoch
    letters = move_line(letters, CREDITS, Reached(3, 70))
    assert find_due(letters) == [OWNER]


def test_a_line_above_what_was_told_is_owed() -> None:
    letters = Letters(contacts={OWNER: Contact(OLD)}, recalled=told(e1=70))
    letters = move_line(letters, CREDITS, Reached(1, 70))
    assert find_due(letters) == []
    assert find_due(move_line(letters, CREDITS, Reached(1, 80))) == [OWNER]


def test_a_forgotten_contact_has_their_id_and_level_again() -> None:
    letters = move_line(Letters(recalled=told(e1=80)), CREDITS, Reached(1, 80))
    letters = change_contacts(letters, [(OWNER, NEW), ("other@example.com", NEW)], is_open=True)
    assert letters.contacts[OWNER].contact_id == OLD
    assert letters.contacts["other@example.com"].contact_id == NEW
    assert find_due(letters) == ["other@example.com"]


def test_a_contact_whom_no_event_names_yet_is_known_again_by_the_id() -> None:
    """Events name ids; the address comes with the event that named the contact, when the log is read again."""
    recalled = {str(OLD): Recalled(OLD, {(CREDITS, 1): 80})}
    letters = move_line(Letters(recalled=recalled), CREDITS, Reached(1, 80))
    letters = change_contacts(letters, [(OWNER, OLD), ("other@example.com", NEW)], is_open=True)
    assert find_due(letters) == ["other@example.com"]
    letters = move_line(letters, CREDITS, Reached(1, 90))
    assert find_due(letters) == [OWNER, "other@example.com"]


def test_who_was_known_by_the_id_is_not_told_an_epoch_that_begins_again() -> None:
    recalled = {str(OLD): Recalled(OLD, {(CREDITS, 2): 90})}
    letters = move_line(Letters(recalled=recalled), CREDITS, Reached(1, 0))
    letters = change_contacts(letters, [(OWNER, OLD)], is_open=True)
    letters = move_line(move_line(letters, CREDITS, Reached(2, 0)), CREDITS, Reached(2, 90))
    assert find_due(letters) == []


def ended(who: UUID) -> EmailEnded:
    return EmailEnded.model_validate(
        {
            "email_id": str(uuid4()), "account_id": "acct-1", "contact_id": str(who), "shard": 1, "outcome": "accepted",
            "lines": [{"resource": CREDITS, "epoch": 2, "threshold": 70, "position": 9}],
        }
    )  # fmt: skip


def test_contacts_are_found_by_the_ids_that_events_of_version_1_gave_them() -> None:
    data = AccountChangedV1(account_id="acct-1", plan="free", contacts=("a@example.com", OWNER), shard=1, position=7)
    told_of = ended(contact_id("acct-1", 1, 7, 1))
    [line] = list_lines({told_of.email_id: (told_of, AT)}, name_contacts(data), SHARDS)
    assert (line.contact, line.resource, line.epoch, line.line) == (OWNER, CREDITS, 2, 70)


def test_a_contact_without_an_address_is_kept_by_the_id() -> None:
    told_of = ended(OLD)
    [line] = list_lines({told_of.email_id: (told_of, AT)}, {}, SHARDS)
    assert (line.contact, line.contact_id, line.epoch, line.line) == (str(OLD), OLD, 2, 70)
