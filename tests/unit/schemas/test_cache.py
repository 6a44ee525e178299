import pytest

from schemas.identity import MAX_SOURCE_CHARS, OWN_SOURCE, hash_account, hash_source
from schemas.parsing.cache import MAX_AMOUNT_CHARS, Cache, accounts_of, amounts, source_hashes
from schemas.topics import USAGE, partition_for


def test_a_full_cache_is_emptied() -> None:
    asked: list[int] = []

    def double(number: int) -> int:
        asked.append(number)
        return 2 * number

    cached = Cache(double, 2)
    assert [cached[number] for number in (1, 1, 2, 3, 1)] == [2, 2, 4, 6, 2]
    assert asked == [1, 2, 3, 1]
    assert len(cached) <= 2


def test_amounts_are_micro_units() -> None:
    assert amounts["0.25"] == amounts["0.25"] == 250_000


@pytest.mark.parametrize("text", ["1e3", "", "-1", "0." + "0" * MAX_AMOUNT_CHARS])
def test_errors_are_not_cached(text: str) -> None:
    for _ in range(2):
        with pytest.raises(ValueError):
            amounts[text]
    assert text not in amounts


def test_partitions_follow_their_number() -> None:
    for partitions in (1, 12, 64):
        expected = ("acct-1", partition_for(b"acct-1", partitions), hash_account(USAGE, "acct-1"))
        assert accounts_of(partitions)[b"acct-1"] == expected


@pytest.mark.parametrize("key", [b"", b"a b", b"\xff", "é".encode(), b"x" * 129])
def test_what_is_no_account_id_has_no_partition(key: bytes) -> None:
    with pytest.raises(ValueError):
        accounts_of(12)[key]
    assert key not in accounts_of(12)


@pytest.mark.parametrize("source", ["/a", "é", "x" * MAX_SOURCE_CHARS])
def test_a_source_has_its_hash(source: str) -> None:
    assert source_hashes[source] == hash_source(source)


@pytest.mark.parametrize("source", ["", OWN_SOURCE, "a\\n", "a\x7f", "\u2028", "x" * (MAX_SOURCE_CHARS + 1)])
def test_other_sources_are_left_to_the_reference(source: str) -> None:
    with pytest.raises(ValueError):
        source_hashes[source]
    assert source not in source_hashes
