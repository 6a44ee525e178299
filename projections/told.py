"""What each contact must have been told: the rules of told levels a second time, for `verify`. Pure.

Shares nothing with the notifier. It adds up what letters said, while the notifier moves a level step by step: a letter
that said a line in some epoch is worth that line, or the lowest line that a later epoch began at, and the level is the
most that any letter of the contact is worth. So the order in which letters ended does not matter, except to those who
became contacts in between: they start at what the contacts who stayed were told by then.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple


class Begun(NamedTuple):
    """An epoch of one balance: where it begins, and the highest line of emails reached there, 0 for none."""

    epoch: int
    position: int
    line: int


class Listing(NamedTuple):
    """Who is a contact from a position of the log on."""

    position: int
    addresses: Sequence[str]


class Saying(NamedTuple):
    """What an accepted or presumed letter said of one resource."""

    address: str
    ended_at: datetime
    resource: str
    epoch: int
    line: int


class Start(NamedTuple):
    """What somebody knew of a resource who was a contact before it was recorded when people became contacts."""

    epoch: int
    line: int


NOTHING = Start(0, 0)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is or was a contact. `joined_at` is None for those who have `starts` instead."""

    address: str
    joined_at: datetime | None
    starts: Mapping[str, Start] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Story:
    """What the log and the ends of letters say of one account. `begun` by resource, in order; `listings` in order.

    `since`: the position from which it was recorded when people became contacts.
    """

    begun: Mapping[str, Sequence[Begun]]
    listings: Sequence[Listing]
    people: Mapping[str, Person]
    sayings: Sequence[Saying]
    since: int = 0


def highest_line(consumed: int, allocation: int, thresholds: Iterable[int]) -> int:
    """0 for none. Both are micro-units of one epoch."""
    return max((line for line in thresholds if consumed * 100 >= line * allocation), default=0)


def find_levels(story: Story) -> dict[tuple[str, str], int]:
    """What each contact was told, all in all, by address and resource."""
    starts = find_starts(story)
    return {
        (address, resource): level_at(story, starts, address, resource)
        for address in story.people
        for resource in story.begun
    }


def find_starts(story: Story) -> dict[tuple[str, str], Start]:
    """What contacts knew when they became contacts, worked out in that order: each starts from those before."""
    places = {address: find_joining(story, person) for address, person in story.people.items()}
    starts: dict[tuple[str, str], Start] = {}
    for address in sorted(places, key=lambda name: (places[name], name)):
        person, place = story.people[address], places[address]
        if person.joined_at is None:
            starts |= {(address, resource): start for resource, start in person.starts.items()}
        elif place > 0:
            stayed = [name for name in find_stayed(story, place) if places.get(name, place) < place]
            starts |= {
                (address, resource): take_over(story, starts, stayed, resource, place, person.joined_at)
                for resource in story.begun
            }
    return starts


def take_over(
    story: Story,
    starts: Mapping[tuple[str, str], Start],
    stayed: Iterable[str],
    resource: str,
    place: int,
    joined_at: datetime,
) -> Start:
    """The best informed of the contacts who stay passes on what was told until then."""
    position = story.listings[place].position
    known = (level_at(story, starts, name, resource, upto=position, before=joined_at) for name in stayed)
    begun = begun_by(story, resource, position)
    return Start(begun[-1].epoch, max(known, default=0)) if begun else NOTHING


def level_at(
    story: Story,
    starts: Mapping[tuple[str, str], Start],
    address: str,
    resource: str,
    *,
    upto: int | None = None,
    before: datetime | None = None,
) -> int:
    """As of a position and a time; None: as of now."""
    begun = begun_by(story, resource, upto)
    start = starts.get((address, resource), NOTHING)
    worth = [lower(start.line, start.epoch, begun)]
    for saying in story.sayings:
        counts = before is None or saying.ended_at < before
        if counts and (saying.address, saying.resource) == (address, resource):
            worth.append(lower(saying.line, saying.epoch, begun))
    return max(worth)


def lower(line: int, epoch: int, begun: Iterable[Begun]) -> int:
    """An epoch that begins below a line makes it news again."""
    return min([line, *(later.line for later in begun if later.epoch > epoch)])


def begun_by(story: Story, resource: str, position: int | None) -> Sequence[Begun]:
    begun = story.begun.get(resource, ())
    return begun if position is None else [epoch for epoch in begun if epoch.position <= position]


def find_stayed(story: Story, place: int) -> list[str]:
    """The contacts of the listing before who are in this one too."""
    return [address for address in story.listings[place - 1].addresses if address in story.listings[place].addresses]


def find_joining(story: Story, person: Person) -> int:
    """The place of the listing that made somebody a contact: the first with them, of those that the record covers."""
    places = [place for place, listing in enumerate(story.listings) if person.address in listing.addresses]
    covered = [place for place in places if story.listings[place].position >= story.since]
    return next(iter(covered if person.joined_at is not None else places), 0)
