"""Caches of what follows from a record key, a source or an amount alone. All repeat, and the hot path saves computing
them."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeVar

from schemas.amounts import parse_amount
from schemas.identity import MAX_SOURCE_CHARS, OWN_SOURCE, hash_account, hash_source
from schemas.parsing.envelope import ACCOUNT
from schemas.topics import USAGE, partition_for

# Entries of each cache: about 15 MB per cache. Errors are not cached.
CACHE_ENTRIES: Final = 65_536
SOURCE_ENTRIES: Final = 4_096  # a source may be long
MAX_AMOUNT_CHARS: Final = 32

Value = TypeVar("Value")
Key = TypeVar("Key")


class Cache(dict[Key, Value]):
    """What a function gave for each argument; `remembered[argument]` takes a fifth of the time of an `lru_cache`.

    A full one is emptied.
    """

    __slots__ = ("_find", "most")

    def __init__(self, find: Callable[[Key], Value], most: int = CACHE_ENTRIES) -> None:
        self._find = find
        self.most = most

    def __missing__(self, key: Key) -> Value:
        value = self._find(key)
        if len(self) >= self.most:
            self.clear()
        self[key] = value
        return value


@lru_cache(4)
def accounts_of(partitions: int) -> Cache[bytes, tuple[str, int, int]]:
    """By the key of a usage record: account id, partition and hash. Raises ValueError for what is no account id."""

    def find(key: bytes) -> tuple[str, int, int]:
        account_id = key.decode("ascii")
        if not ACCOUNT.fullmatch(account_id):
            raise ValueError("not an account id")
        return account_id, partition_for(key, partitions), hash_account(USAGE, account_id)

    return Cache(find)


def hash_plain_source(source: str) -> int:
    """The hash of a source as it stands in JSON text.

    Raises ValueError for the meter's own, for what is none, and where the text has escapes.
    """
    if not 0 < len(source) <= MAX_SOURCE_CHARS or not source.isprintable() or "\\" in source or source == OWN_SOURCE:
        raise ValueError("a source that the reference has to judge")
    return hash_source(source)


def parse_short_amount(text: str) -> int:
    """Raises ValueError also where the text is so long that thousands of them must not be kept."""
    if len(text) > MAX_AMOUNT_CHARS:
        raise ValueError("an amount that the reference has to judge")
    return parse_amount(text)


amounts: Final[Cache[str, int]] = Cache(parse_short_amount)
source_hashes: Final[Cache[str, int]] = Cache(hash_plain_source, SOURCE_ENTRIES)
