"""Takes the bytes of one account out of refused records, and leaves those of the others. Pure."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from meter.packing import OF_FIRST, WHOLE, pack, unpack
from meter.store.evidence import decode_headers, encode_headers
from schemas.reasons import Reason
from schemas.records import Record

BLANKED: Final = "its account was forgotten, and its bytes were taken out"
# What may stand in an account id: acct-1 is not acct-10.
_ID: Final = rb"[A-Za-z0-9._:@-]"

Headers = list[tuple[str, bytes | None]]


class Refused(NamedTuple):
    """A row of meter.rejections, as far as it may hold what somebody sent; headers as JSON text."""

    shard: int
    rejection_id: int
    topic: str
    reason: str
    detail: str
    key: bytes | None
    value: bytes | None
    headers: str
    packed: bool


def blank_all(rows: Iterable[Refused], account_id: str) -> list[Refused]:
    """The rows that hold records of the account, without these."""
    return [blanked for row in rows if (blanked := blank(row, account_id)) is not None]


def blank(row: Refused, account_id: str) -> Refused | None:
    """None where nothing of it is the account's."""
    if row.packed:
        return blank_packed(row, account_id)
    # Nobody can tell records apart in bytes that nobody can read: there the id may stand beside anything.
    whole = row.reason != Reason.UNDECODABLE.value
    if not names_account(account_id, row.key, row.value, decode_headers(row.headers), whole=whole):
        return None
    key = row.key if row.key == account_id.encode() else None
    return row._replace(detail=BLANKED, key=key, value=None, headers=encode_headers([]))


def blank_packed(row: Refused, account_id: str) -> Refused | None:
    records = list(unpack(row.topic, row.shard, row.value or b""))
    whole = row.reason != Reason.UNDECODABLE.value
    kept = [blank_record(record, account_id, whole=whole) for record in records]
    if kept == records:
        return None
    detail = row.detail
    if kept[0] != records[0]:  # the words are about it, and may quote its key
        detail = f"{detail.partition(OF_FIRST)[0]}{OF_FIRST}{BLANKED}"
    key = row.key if row.key in {record.key for record in kept} else None
    return row._replace(detail=detail, key=key, value=pack(kept))


def blank_record(record: Record, account_id: str, *, whole: bool) -> Record:
    is_blank = record.value is None and not record.headers
    sent: list[tuple[str, bytes | None]] = [header for header in record.headers if header[0] != WHOLE]
    if is_blank or not names_account(account_id, record.key, record.value, sent, whole=whole):
        return record
    key = record.key if record.key == account_id.encode() else None
    return record._replace(key=key, value=None, headers=())


def names_account(
    account_id: str, key: bytes | None, value: bytes | None, headers: Headers, *, whole: bool = True
) -> bool:
    """Whether a record is of the account, or speaks of it: an id that is a part of a longer one is another's."""
    id = re.escape(account_id.encode())
    pattern = re.compile(rb"(?<!%b)%b(?!%b)" % (_ID, id, _ID) if whole else id)
    fields = [field for field in (value, *(content for _name, content in headers)) if field is not None]
    return key == account_id.encode() or any(pattern.search(field) for field in fields)
