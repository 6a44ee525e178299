"""Reading metering.balances."""

from uuid import UUID

from notifier.model import People, Unreadable
from notifier.records import name_people, read_record, read_records
from schemas.build import encode_event
from tests.unit.notifier.builders import ACCOUNT, AT, account, balance, encode_change, record


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


ANN, BOB, GONE = UUID(int=1), UUID(int=2), UUID(int=3)
PEOPLE = {ACCOUNT: People("Example Account", {ANN: "ann@example.com", BOB: "bob@example.com"})}


def test_an_account_that_names_ids_is_read_without_addresses() -> None:
    change = account(3, contacts=(), display_name=None, contact_ids=(BOB, ANN), is_open=False, time_zone="UTC")
    assert read_record(record(encode_change(change))) == change


def test_ids_become_the_addresses_that_stand_behind_them() -> None:
    named = name_people(account(3, contacts=(), contact_ids=(BOB, GONE, ANN)), PEOPLE)
    assert named == account(3, contacts=("bob@example.com", "ann@example.com"), contact_ids=(BOB, ANN))


def test_of_an_account_that_nobody_stands_behind_any_more_nobody_is_a_contact() -> None:
    assert name_people(account(3, contacts=(), contact_ids=(BOB,)), {}) == account(3, contacts=(), contact_ids=())


def test_what_names_addresses_or_is_no_account_stays_as_it_is() -> None:
    for change in (account(3), balance(1, 1)):
        assert name_people(change, PEOPLE) is change
