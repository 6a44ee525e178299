"""Openings of accounts that are open already: they have no effect, and what differs is remarked. Pure.

An opening is compared with the one that opened the account, not with what the account has now: so a batch's outcome
depends on the log alone, and whoever sends the same opening again after a change of plan says nothing new.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from meter.allowance import OPENED
from meter.effects import fold_all
from meter.plan import RemarkRow
from schemas.events import AccountOpened
from schemas.records import Accepted
from schemas.upcast import read_stored

ALREADY_OPEN: Final = "cannot change by a second opening"
CAME_BEFORE: Final = "does not count: the account was given another before it was opened"


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
    for position, row in enumerate(rows, start=first_position):
        if row.type != OPENED or openings[row.account_id].position == position:
            continue
        first = openings[row.account_id]
        fields = find_differing(read_opening(first.type, first.data), read_opening(row.type, row.data))
        found += [RemarkRow(row.topic, row.offset, row.account_id, field, ALREADY_OPEN) for field in fields]
    return found


def accounts_new(openings: Mapping[str, Opening], first_position: int) -> dict[str, int]:
    """The accounts that the batch from `first_position` on opens, with the positions of their openings."""
    return {account: opening.position for account, opening in openings.items() if opening.position >= first_position}


def remark_earlier_plans(
    rows: Sequence[Accepted], first_position: int, openings: Mapping[str, Opening], plans: Mapping[str, str]
) -> list[RemarkRow]:
    """A remark for each opening among these rows whose plan loses to one that came before it; `plans` has the last of
    those, by account."""
    found: list[RemarkRow] = []
    for position, row in enumerate(rows, start=first_position):
        if row.type != OPENED or openings[row.account_id].position != position:
            continue
        plan = read_opening(row.type, row.data).plan
        if plans.get(row.account_id, plan) != plan:
            found.append(RemarkRow(row.topic, row.offset, row.account_id, "plan", CAME_BEFORE))
    return found


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


def merge_remarks(own: Sequence[RemarkRow], later: Sequence[RemarkRow]) -> list[RemarkRow]:
    """Of an opening without effect only that counts, not what was left out of it."""
    ineffective = {(remark.topic, remark.offset) for remark in later}
    return [remark for remark in own if (remark.topic, remark.offset) not in ineffective] + list(later)
