"""What was told before a restore counts when its epoch begins again."""

from uuid import UUID, uuid4

from notifier.ids import contact_id
from notifier.letters import Contact, Letters, Reached, Recalled, change_contacts, find_due, move_line
from notifier.recall import list_lines, name_contacts
from schemas.outputs import AccountChanged, EmailEnded
from tests.unit.notifier.builders import AT

CREDITS = "model_credits"
OWNER = "owner@example.com"
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


def test_contacts_are_found_by_the_ids_of_the_lost_history() -> None:
    data = AccountChanged(account_id="acct-1", plan="free", contacts=("a@example.com", OWNER), shard=1, position=7)
    ended = EmailEnded.model_validate(
        {
            "email_id": str(uuid4()), "account_id": "acct-1", "contact_id": str(contact_id("acct-1", 1, 7, 1)),
            "shard": 1, "outcome": "accepted",
            "lines": [{"resource": CREDITS, "epoch": 2, "threshold": 70, "position": 9}],
        }
    )  # fmt: skip
    [line] = list_lines({ended.email_id: (ended, AT)}, name_contacts(data))
    assert (line.contact, line.resource, line.epoch, line.line) == (OWNER, CREDITS, 2, 70)
    assert list(list_lines({ended.email_id: (ended, AT)}, {})) == []
