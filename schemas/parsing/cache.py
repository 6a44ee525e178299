"""Caches of what follows from a record key or an amount alone. Both repeat, and the hot path saves computing them."""

from functools import lru_cache
from typing import Final

from schemas.amounts import parse_amount
from schemas.identity import hash_account
from schemas.parsing.envelope import ACCOUNT
from schemas.topics import USAGE, partition_for

# Entries of each cache, the most recently used: about 15 MB per cache. Errors are not cached.
CACHE_ENTRIES: Final = 65_536


@lru_cache(CACHE_ENTRIES)
def find_account(key: bytes, partitions: int) -> tuple[str, int, int]:
    """Account id, partition and hash of a usage record's key. Raises ValueError for what is no account id."""
    account_id = key.decode("ascii")
    if not ACCOUNT.fullmatch(account_id):
        raise ValueError("not an account id")
    return account_id, partition_for(key, partitions), hash_account(USAGE, account_id)


find_amount: Final = lru_cache(CACHE_ENTRIES)(parse_amount)
