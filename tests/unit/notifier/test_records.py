"""Reading metering.balances."""

from notifier.model import Unreadable
from notifier.records import read_record, read_records
from schemas.build import encode_event
from tests.unit.notifier.builders import AT, account, balance, encode_change, record


def test_balances_and_accounts_are_read_exactly() -> None:
    for change in (balance(12_345_678, 7), balance(-1, 8), account(3), account(4, contacts=(), display_name=None)):
        assert read_record(record(encode_change(change))) == change


def test_a_type_of_a_later_version_is_passed_over() -> None:
    later = encode_event(
        "balance.changed.v2", "acc-1", {}, event_id="0" * 8 + "-0000-4000-8000-000000000001", time=AT, source="x"
    )
    assert read_records([record(later), record(encode_change(account(1)))]) == [account(1)]


def test_what_breaks_the_contract_is_kept_with_a_reason() -> None:
    wrong = encode_change(balance(1, 1)).replace(b'"tool', b'"x').replace(b'"epoch":1', b'"epoch":0')
    for value in (None, b"", b"{", b"\xff", wrong):
        found = read_record(record(value))
        assert isinstance(found, Unreadable) and found.reason and found.detail and found.record.value == value
