import pytest

from schemas.parsing.cache import CACHE_ENTRIES, find_account, find_amount
from schemas.topics import partition_for


def test_each_cache_is_bounded() -> None:
    for cached in (find_amount, find_account):
        assert cached.cache_info().maxsize == CACHE_ENTRIES


def test_amounts_are_micro_units() -> None:
    assert find_amount("0.25") == find_amount("0.25") == 250_000


@pytest.mark.parametrize("text", ["1e3", "", "-1"])
def test_errors_are_not_cached(text: str) -> None:
    before = find_amount.cache_info().currsize
    for _ in range(2):
        with pytest.raises(ValueError):
            find_amount(text)
    assert find_amount.cache_info().currsize == before


def test_partitions_follow_their_number() -> None:
    for partitions in (1, 12, 64):
        assert find_account(b"acct-1", partitions)[:2] == ("acct-1", partition_for(b"acct-1", partitions))


@pytest.mark.parametrize("key", [b"", b"a b", b"\xff", "é".encode(), b"x" * 129])
def test_what_is_no_account_id_has_no_partition(key: bytes) -> None:
    with pytest.raises(ValueError):
        find_account(key, 12)
