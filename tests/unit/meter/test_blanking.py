"""Refused records of somebody who was forgotten lose their bytes; those of others keep theirs."""

import json

import pytest

from meter.blanking import BLANKED, Refused, blank
from meter.packing import pack, unpack
from meter.replay import take_out
from meter.store.evidence import decode_headers, encode_headers
from meter.store.rejections import Rejection
from schemas.reasons import Reason
from schemas.records import Record
from schemas.topics import ACCOUNTS
from tests.unit.schemas.builders import NOW

ADDRESS = b"ann.person@example.com"
ID = "acct-1"
OF_ACCOUNT = json.dumps({"subject": ID, "data": {"contacts": [ADDRESS.decode()]}}).encode()
OF_ANOTHER = json.dumps({"subject": "acct-10", "data": {"contacts": ["bob@example.com"]}}).encode()


def refused(value: bytes | None, key: bytes | None = b"acct-1", **changes: object) -> Refused:
    row = Refused(3, 7, ACCOUNTS, Reason.INVALID_DATA.value, "plan: is no text", key, value, "[]", packed=False)
    return row._replace(**changes)  # type: ignore[arg-type]


def test_a_record_of_the_account_loses_its_bytes_and_keeps_its_place() -> None:
    row = refused(OF_ACCOUNT, headers=encode_headers([("x-contact", ADDRESS)]))
    assert blank(row, ID) == row._replace(detail=BLANKED, value=None, headers="[]")


@pytest.mark.parametrize("key", [None, b"ann.person@example.com", b"elsewhere"])
def test_a_record_that_speaks_of_the_account_under_another_key(key: bytes | None) -> None:
    blanked = blank(refused(OF_ACCOUNT, key), ID)
    assert blanked is not None and (blanked.key, blanked.value) == (None, None)


def test_a_record_in_binary_mode_names_the_account_in_a_header() -> None:
    headers = encode_headers([("ce_subject", b"acct-1")])
    blanked = blank(refused(b'{"contacts":[]}', None, headers=headers), ID)
    assert blanked is not None and blanked.value is None and decode_headers(blanked.headers) == []


@pytest.mark.parametrize("key", [b"acct-10", None])
def test_a_longer_id_is_another_account(key: bytes | None) -> None:
    assert blank(refused(OF_ANOTHER, key), ID) is None


def test_in_bytes_that_nobody_can_read_the_id_may_stand_beside_anything() -> None:
    raw = b"\x00\x12acct-1Z" + ADDRESS
    assert blank(refused(raw, None), ID) is None
    blanked = blank(refused(raw, None, reason=Reason.UNDECODABLE.value), ID)
    assert blanked is not None and blanked.value is None


def test_of_packed_records_only_those_of_the_account_are_blanked() -> None:
    records = [
        Record(ACCOUNTS, 3, offset, 1, key, value, ())
        for offset, (key, value) in enumerate([(b"acct-1", OF_ACCOUNT), (b"acct-10", OF_ANOTHER), (None, OF_ACCOUNT)])
    ]
    blanked = blank(refused(pack(records), None, packed=True), ID)
    assert blanked is not None and blanked.value is not None
    left = list(unpack(ACCOUNTS, 3, blanked.value))
    assert [record.value for record in left] == [None, OF_ANOTHER, None]
    assert [record.key for record in left] == [b"acct-1", b"acct-10", None]
    assert [record.offset for record in left] == [0, 1, 2]
    assert blank(blanked, ID) is None  # there is nothing left to do
    assert blank(refused(pack(records[1:2]), None, packed=True), ID) is None


@pytest.mark.parametrize(("values", "left"), [([OF_ACCOUNT, OF_ANOTHER], [OF_ANOTHER]), ([OF_ACCOUNT], [None])])
def test_what_is_packed_with_it_can_still_be_shown_and_replayed(values: list[bytes], left: list[bytes | None]) -> None:
    records = [Record(ACCOUNTS, 3, offset, 1, None, value, ()) for offset, value in enumerate(values)]
    blanked = blank(refused(pack(records), None, packed=True), ID)
    assert blanked is not None
    rejection = Rejection(
        7,
        3,
        ACCOUNTS,
        0,
        blanked.reason,
        blanked.detail,
        None,
        blanked.value,
        [],
        None,
        NOW,
        None,
        None,
        None,
        packed=True,
    )
    assert [each.value for each in take_out(rejection)] == left
