"""What is stored of a record is read by every reader of the log: a field may hold anything, where no model has it."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from meter.content import content_of, describe_reuse, is_same
from meter.sealing import is_clear, is_sealed, needs_sealing, seal, unseal, without_people
from projections.timeline_lines import read_note
from schemas.codes import ITEM_CODE, PERSONAL_CODES, USAGE_CODES
from schemas.records import Accepted
from schemas.upcast import read_stored

KEY, NONCE = bytes(range(32)), bytes(12)


def find_unread(rows: Sequence[Accepted]) -> str | None:
    """The fault of the first reader that reads something else than was stored; readers that raise, raise."""
    for fault in (*map(find_misread, rows), *compare(rows)):
        if fault is not None:
            return fault
    return None


def find_misread(row: Accepted) -> str | None:
    if row.type not in USAGE_CODES:
        read_stored(row.type, row.data)
        if row.type != ITEM_CODE:
            read_note(row.type, row.data)
    if row.type not in PERSONAL_CODES or not needs_sealing(row.type, row.data):
        return None
    sealed = seal(row.type, row.data, row.account_id, KEY, NONCE)
    if is_clear(row.type, sealed) or not is_sealed(sealed):
        return f"sealed and still to be read: {sealed}"
    is_clear(row.type, row.data)
    read_stored(row.type, without_people(row.type, row.data))
    opened = unseal(row.type, sealed, row.account_id, KEY)
    return None if opened == row.data else f"sealed {row.data}, opened {opened}"


def compare(rows: Sequence[Accepted]) -> Iterator[str | None]:
    """Each with itself, and with the next of its kind, as if both had one identity."""
    for row in rows:
        yield None if is_same(row, content_of(row)) else f"is not the same as itself: {row}"
        yield None if is_same(row, content_of(row)._replace(data=f" {row.data}")) else f"a blank changes {row}"
    for row, other in pairwise(sorted(rows, key=lambda row: row.type)):
        is_same(row, content_of(other))
        if not describe_reuse(row, content_of(other)).isprintable():
            yield f"said of {row} and {other} is what no terminal should get"
