"""Ask right before sending whether a letter is still owed, and what is to be done with it. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from notifier.letters import Contact, Letters, Lines, Reached, is_due, owed_lines
from notifier.mail.limits import Cap


class Action(StrEnum):
    RENDER = "render"  # from the newest balance
    REPEAT = "repeat"  # the same bytes: the server may have them already
    PRESUME = "presume"
    CAP = "cap"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Step:
    action: Action
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Replies to the final dot that were `lost`, of the `most` that are put up with."""

    lost: int
    most: int


def choose_step(letters: Letters, address: str, doubt: Doubt, *, cap: Cap | None) -> Step:
    contact = letters.contacts.get(address)
    if doubt.lost > 0 and contact is not None and contact.lines:
        return choose_repeat(letters, contact, doubt)
    if contact is None or not is_due(letters, contact):
        return Step(Action.CANCEL, explain_nothing_owed(letters, contact))
    if cap is not None:
        return Step(Action.CAP, cap.reason)
    return Step(Action.RENDER)


def choose_repeat(letters: Letters, contact: Contact, doubt: Doubt) -> Step:
    """After a lost reply the mail may have arrived: say it again only while it is the best that can be said."""
    if doubt.lost >= doubt.most:
        return Step(Action.PRESUME, f"the reply was lost {doubt.lost} times")
    if not owed_lines(letters, contact):
        return Step(Action.PRESUME, f"the reply was lost, and {explain_nothing_owed(letters, contact)}")
    if any(reached_of(letters, resource).epoch != shown.epoch for resource, shown in contact.lines.items()):
        return Step(Action.RENDER)
    if is_other(letters, contact.lines):
        return Step(Action.PRESUME, "the reply was lost, and another line is reached now")
    # No line tells of the end, so no letter would follow one that is presumed.
    return Step(Action.RENDER if refuses_otherwise(letters, contact.lines) else Action.REPEAT)


def is_other(letters: Letters, lines: Lines) -> bool:
    """Whether bytes show other lines than are reached now: a repeat would not be true, or not all that is true."""
    return any(
        reached.line != (lines[resource].line if resource in lines else 0)
        for resource, reached in letters.reached.items()
    )


def refuses_otherwise(letters: Letters, lines: Lines) -> bool:
    """Whether bytes say that calls are refused that are not, or the other way round."""
    return any(
        shown.exhausted is not None and shown.exhausted != reached_of(letters, resource).exhausted
        for resource, shown in lines.items()
    )


def reached_of(letters: Letters, resource: str) -> Reached:
    return letters.reached.get(resource, Reached(0, 0))


def explain_nothing_owed(letters: Letters, contact: Contact | None) -> str:
    if contact is None or not contact.is_contact:
        return "the recipient is no longer a contact of the account"
    if not letters.is_open:
        return "the account is closed"
    if contact.refused:
        return "the address was refused"
    if not any(reached.line for reached in letters.reached.values()):
        return "no line is reached any more"
    if owed_lines(letters, contact):
        return "its lines were given up"
    return "no line is reached that the recipient was not told of"


def still_says(letters: Letters, address: str, lines: Lines) -> bool:
    """Whether bytes that show `lines` are what is to be said at this moment: asked once more before the final dot."""
    contact = letters.contacts.get(address)
    if contact is None or not owed_lines(letters, contact):
        return False
    if is_other(letters, lines) or refuses_otherwise(letters, lines):
        return False
    return all(reached_of(letters, resource).epoch == shown.epoch for resource, shown in lines.items())
