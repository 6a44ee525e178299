import pytest

from schemas.parsing.cache import REMEMBERED, find_amount, find_place
from schemas.topics import partition_for


def test_no_more_than_the_limit_is_remembered() -> None:
    for memory in (find_amount, find_place):
        assert memory.cache_info().maxsize == REMEMBERED


def test_amounts_are_micro_units() -> None:
    assert find_amount("0.25") == find_amount("0.25") == 250_000


@pytest.mark.parametrize("text", ["1e3", "", "-1"])
def test_errors_are_not_remembered(text: str) -> None:
    before = find_amount.cache_info().currsize
    for _ in range(2):
        with pytest.raises(ValueError):
            find_amount(text)
    assert find_amount.cache_info().currsize == before


def test_places_follow_the_number_of_partitions() -> None:
    for partitions in (1, 12, 64):
        assert find_place(b"acct-1", partitions) == ("acct-1", partition_for(b"acct-1", partitions))


@pytest.mark.parametrize("key", [b"", b"a b", b"\xff", "é".encode(), b"x" * 129])
def test_what_is_no_account_id_has_no_place(key: bytes) -> None:
    with pytest.raises(ValueError):
        find_place(key, 12)
