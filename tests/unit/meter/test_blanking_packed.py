"""What a packed rejection says of its first record, and its key, go with the account as well."""

from meter.blanking import BLANKED, Refused, blank
from meter.packing import OF_FIRST, pack
from schemas.reasons import Reason
from schemas.records import Record
from schemas.topics import USAGE

ADDRESS = b"ann@example.com"
OF_ACCOUNT = b'{"subject":"acct-1"}'
WORDS = f"2 records, packed together{OF_FIRST}key 'ann@example.com', subject 'acct-1'"


def packed(*records: tuple[bytes | None, bytes]) -> Refused:
    value = pack([Record(USAGE, 0, at, 0, key, value, ()) for at, (key, value) in enumerate(records)])
    return Refused(0, 1, USAGE, Reason.KEY_MISMATCH.value, WORDS, records[0][0], value, "[]", True)


def test_neither_an_address_as_the_key_nor_the_words_about_it_are_left() -> None:
    left = blank(packed((ADDRESS, OF_ACCOUNT), (ADDRESS, OF_ACCOUNT)), "acct-1")
    assert left is not None
    assert left.key is None and left.detail == f"2 records, packed together{OF_FIRST}{BLANKED}"


def test_the_words_about_another_account_and_the_key_of_its_records_stay() -> None:
    left = blank(packed((ADDRESS, b'{"subject":"acct-2"}'), (ADDRESS, OF_ACCOUNT)), "acct-1")
    assert left is not None
    assert (left.key, left.detail) == (ADDRESS, WORDS)


def test_the_account_itself_may_stand_as_the_key() -> None:
    left = blank(packed((b"acct-1", OF_ACCOUNT), (b"acct-1", OF_ACCOUNT)), "acct-1")
    assert left is not None and left.key == b"acct-1"
