"""Openings of accounts that are open already: they have no effect, and what differs is remarked. Pure.

An opening is compared with the one that opened the account, not with what the account has now: so a batch's outcome
depends on the log alone, and whoever sends the same opening again after a change of plan says nothing new.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from meter.allowance import OPENED
from meter.effects import fold_all
from meter.plan import RemarkRow
from meter.sealing import FORGOTTEN_CODE, without_people
from schemas.events import AccountOpened, AccountRenamed, ContactsChanged, PlanChanged
from schemas.records import Accepted
from schemas.upcast import read_stored

ALREADY_OPEN: Final = "cannot change by a second opening"
CAME_BEFORE: Final = "does not count: the account was given another before it was opened"
OTHERS_CAME_BEFORE: Final = "do not count: the account was given others before it was opened"
NONE_CAME_BEFORE: Final = "do not count: its contacts were taken away before it was opened"


class Opening(NamedTuple):
    """The event that opened an account."""

    position: int
    type: int
    data: str  # JSON text, as stored


def accounts_opened(rows: Sequence[Accepted]) -> list[str]:
    return sorted({row.account_id for row in rows if row.type == OPENED})


def remark_later_openings(
    rows: Sequence[Accepted], first_position: int, openings: Mapping[str, Opening]
) -> list[RemarkRow]:
    """A remark for each field in which an opening among these rows differs from the one that opened its account."""
    found: list[RemarkRow] = []
    openings = dict(openings)
    for position, row in enumerate(rows, start=first_position):
        if row.type == FORGOTTEN_CODE and row.account_id in openings:
            openings[row.account_id] = forget_opening(openings[row.account_id])
        if row.type != OPENED or openings[row.account_id].position == position:
            continue
        first = openings[row.account_id]
        fields = find_differing(read_opening(first.type, first.data), read_opening(row.type, row.data))
        found += [RemarkRow(row.topic, row.offset, row.account_id, field, ALREADY_OPEN) for field in fields]
    return found


def forget_opening(opening: Opening) -> Opening:
    return opening._replace(data=without_people(opening.type, opening.data))


def accounts_new(openings: Mapping[str, Opening], first_position: int) -> dict[str, int]:
    """The accounts that the batch from `first_position` on opens, with the positions of their openings."""
    return {account: opening.position for account, opening in openings.items() if opening.position >= first_position}


class Earlier(NamedTuple):
    """What an account was given before its opening; None where nothing was said."""

    plan: str | None = None
    contacts: tuple[str, ...] | None = None
    display_name: str | None = None
    time_zone: str | None = None


def find_earlier(newest_first: Iterable[tuple[int, str]]) -> Earlier:
    """Of the types and data of an account's changes before its opening. Of each field the newest counts."""
    found = Earlier()
    for type, data in newest_first:
        match read_stored(type, data):
            case PlanChanged(plan=plan) if found.plan is None:
                found = found._replace(plan=plan)
            case ContactsChanged(contacts=contacts) if found.contacts is None:
                found = found._replace(contacts=contacts)
            case AccountRenamed(display_name=name, time_zone=zone):
                found = found._replace(display_name=found.display_name or name, time_zone=found.time_zone or zone)
    return found


def remark_earlier_changes(
    rows: Sequence[Accepted], first_position: int, openings: Mapping[str, Opening], earlier: Mapping[str, Earlier]
) -> list[RemarkRow]:
    """A remark for each field of an opening among these rows that loses to what came before it."""
    found: list[RemarkRow] = []
    for position, row in enumerate(rows, start=first_position):
        if row.account_id not in earlier or row.type != OPENED or openings[row.account_id].position != position:
            continue
        lost = find_lost(read_opening(row.type, row.data), earlier[row.account_id])
        found += [RemarkRow(row.topic, row.offset, row.account_id, field, reason) for field, reason in lost]
    return found


def find_lost(opening: AccountOpened, earlier: Earlier) -> Iterator[tuple[str, str]]:
    """The names of the fields, and why. What the opening leaves out does not lose, and what is the same is kept."""
    if earlier.plan not in (None, opening.plan):
        yield "plan", CAME_BEFORE
    before = earlier.contacts
    if opening.contacts and before is not None and fold_all(before) != fold_all(opening.contacts):
        yield "contacts", OTHERS_CAME_BEFORE if before else NONE_CAME_BEFORE
    if opening.display_name and earlier.display_name not in (None, opening.display_name):
        yield "display_name", CAME_BEFORE
    if opening.time_zone and earlier.time_zone not in (None, opening.time_zone):
        yield "time_zone", CAME_BEFORE


def read_opening(type: int, data: str) -> AccountOpened:
    opened = read_stored(type, data)
    if not isinstance(opened, AccountOpened):
        raise TypeError(f"an event of type code {type} opens no account")
    return opened


def find_differing(first: AccountOpened, later: AccountOpened) -> Iterator[str]:
    """The names of the fields. Two spellings of an address are one contact, in whatever order. What the later one
    leaves out is no difference."""
    if later.plan != first.plan:
        yield "plan"
    if fold_all(later.contacts) != fold_all(first.contacts):
        yield "contacts"
    if later.display_name not in (None, first.display_name):
        yield "display_name"
    if later.time_zone not in (None, first.time_zone):
        yield "time_zone"


def merge_remarks(
    own: Sequence[RemarkRow], later: Sequence[RemarkRow], earlier: Sequence[RemarkRow] = ()
) -> list[RemarkRow]:
    """One of each field. Of an opening without effect only that counts, not what was left out of it; of a field that
    loses to an `earlier` change likewise."""
    ineffective = {(remark.topic, remark.offset) for remark in later}
    lost = {(remark.topic, remark.offset, remark.field) for remark in earlier}
    kept = [
        remark
        for remark in own
        if (remark.topic, remark.offset) not in ineffective and (remark.topic, remark.offset, remark.field) not in lost
    ]
    return [*kept, *later, *earlier]
