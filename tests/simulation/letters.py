"""What readers must have been told in the end, worked out apart from told levels.

It follows from what reached them, and from where epochs began.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from tests.faults.oracle.books import EMAILS, Book, reaches
from tests.faults.truth import RESOURCES
from tests.simulation.mail import Arrival
from tests.simulation.oracle import Ledger

if TYPE_CHECKING:
    from tests.simulation.play import World

TOLD = ("accepted", "presumed")
Person = tuple[str, str]  # account and address


class Heard(NamedTuple):
    resource: str
    epoch: int
    line: int


def line_at(used: int, allocation: int) -> int:
    return max((line for line in EMAILS if reaches(used, allocation, line)), default=0)


def worth(book: Book, heard: Heard, epoch: int) -> int:
    """What was heard in an earlier epoch counts as far as no epoch since began below it."""
    starts = [line_at(begun.start, begun.allocation) for begun in book.epochs[heard.epoch : epoch]]
    return min([heard.line, *starts])


def told_before(ledger: Ledger, name: str, resource: str, epoch: int, all_heard: list[Heard]) -> int:
    book = ledger.books[name, resource]
    return max((worth(book, heard, epoch) for heard in all_heard if heard.resource == resource), default=0)


def lines_heard(arrival: Arrival) -> list[Heard]:
    return [Heard(resource, shown.epoch, shown.line) for resource, shown in arrival.lines.items()]


def check_arrivals(world: "World") -> Iterator[str]:
    """A letter arrives once, and once more for each lost reply that was counted."""
    emails = world.database.notices.emails
    arrived = Counter(arrival.email_id for arrival in world.mail.arrived)
    for number, stored in emails.items():
        if stored.state == "accepted" and not arrived[number]:
            yield f"letter accepted that never arrived: {number}"
        if world.restores == 0 and arrived[number] - (stored.state == "accepted") > stored.ambiguous:
            yield f"letter arrived too often: {number}, {arrived[number]} times, {stored.ambiguous} lost replies"
    if world.restores == 0:
        for number in arrived.keys() - emails.keys():
            yield f"letter that nobody queued: {number}"


def check_news(world: "World", ledger: Ledger) -> Iterator[str]:
    """Nobody gets a letter that says nothing they were not told before."""
    if world.restores:
        yield from check_after_restore(world)
        return
    heard: defaultdict[Person, list[Heard]] = defaultdict(list)
    seen: set[UUID] = set()
    for arrival in world.mail.arrived:
        person = arrival.account_id, arrival.recipient
        if arrival.email_id in seen:
            continue
        seen.add(arrival.email_id)
        before = heard[person]
        lines = lines_heard(arrival)
        if not any(line > told_before(ledger, person[0], name, epoch, before) for name, epoch, line in lines):
            yield f"letter that says nothing new: {person} {lines}, heard {before}"
        if world.database.notices.emails[arrival.email_id].state in TOLD:
            before += lines


def check_after_restore(world: "World") -> Iterator[str]:
    """What is on metering.notifications when the database goes back is not told again in the same epoch."""
    known = world.told_outside
    heard: defaultdict[Person, set[Heard]] = defaultdict(set)
    for arrival in world.mail.arrived[: world.arrived_at_restore]:
        if arrival.email_id in known:
            heard[arrival.account_id, arrival.recipient] |= set(lines_heard(arrival))
    for arrival in world.mail.arrived[world.arrived_at_restore :]:
        before = heard[arrival.account_id, arrival.recipient]
        if arrival.lost == 0 and all(is_covered(each, before) for each in lines_heard(arrival)):
            yield f"told again after a restore: {arrival.account_id} {arrival.recipient} {lines_heard(arrival)}"


def is_covered(heard: Heard, before: set[Heard]) -> bool:
    return any(
        (known.resource, known.epoch) == (heard.resource, heard.epoch) and known.line >= heard.line for known in before
    )


def check_told(world: "World", ledger: Ledger) -> Iterator[str]:
    """Whoever is a contact of an open account knows the line it is at, unless the mail server refused their letters."""
    heard: defaultdict[Person, list[Heard]] = defaultdict(list)
    for arrival in world.mail.arrived:
        heard[arrival.account_id, arrival.recipient] += lines_heard(arrival)
    for email in world.database.notices.emails.values():
        if email.state == "presumed" and email.draft is not None:
            lines = [Heard(name, shown.epoch, shown.line) for name, shown in email.draft.lines.items()]
            heard[email.row.account_id, email.row.recipient] += lines
    for name in ledger.opened - ledger.closed:
        everybody = [each for person, lines in heard.items() if person[0] == name for each in lines]
        for contact in set(ledger.contacts[name]) - world.mail.refused:
            own = heard[name, contact] if contact in ledger.always[name] and not world.restores else everybody
            for resource in RESOURCES.values():
                book = ledger.books[name, resource]
                line = line_at(book.used, book.allocation) if book.epochs else 0
                if world.restores:
                    known = max((each.line for each in own if each.resource == resource), default=0)
                else:
                    known = told_before(ledger, name, resource, book.epoch, own)
                if line > known:
                    yield f"contact who was not told: {name} {contact} {resource} at {line} %, told {known} %"
