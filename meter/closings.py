"""Closings and reopenings that change nothing: of what is closed, open or was never opened. They are remarked. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from meter.effects import TYPE
from meter.plan import RemarkRow
from schemas.codes import CODES
from schemas.records import Accepted

CLOSED: Final = CODES["account.closed.v1"]
REOPENED: Final = CODES["account.reopened.v1"]
FIELD: Final = TYPE  # it has no other that anything depends on
NOT_OPENED: Final = "closes or reopens nothing: the account was not opened yet"
ALREADY_CLOSED: Final = "closes what is closed already"
NOT_CLOSED: Final = "reopens what is not closed"


class Standing(NamedTuple):
    """Of an account before the batch: the position of its opening, perhaps in the batch, and whether it is closed."""

    opened_at: int | None
    closed: bool


NEVER_OPENED: Final = Standing(None, False)


def accounts_moved(rows: Sequence[Accepted]) -> list[str]:
    return sorted({row.account_id for row in rows if row.type in (CLOSED, REOPENED)})


def remark_without_effect(
    rows: Sequence[Accepted], first_position: int, standings: Mapping[str, Standing]
) -> list[RemarkRow]:
    """A remark for each closing and reopening among these rows that has no effect."""
    closed = {account_id: standing.closed for account_id, standing in standings.items()}
    found: list[RemarkRow] = []
    for position, row in enumerate(rows, start=first_position):
        if row.type not in (CLOSED, REOPENED):
            continue
        opened_at = standings.get(row.account_id, NEVER_OPENED).opened_at
        opened = opened_at is not None and opened_at < position
        reason = explain(row.type, opened=opened, closed=closed.get(row.account_id, False))
        if reason is None:
            closed[row.account_id] = row.type == CLOSED
        else:
            found.append(RemarkRow(row.topic, row.offset, row.account_id, FIELD, reason))
    return found


def explain(type: int, *, opened: bool, closed: bool) -> str | None:
    """Why it has no effect; None where it has one."""
    if not opened:
        return NOT_OPENED
    if type == CLOSED:
        return ALREADY_CLOSED if closed else None
    return None if closed else NOT_CLOSED
