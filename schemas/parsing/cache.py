"""What follows from a key or an amount alone is worked out once: both repeat, and the hot path has no time to waste."""

from functools import lru_cache
from typing import Final

from schemas.amounts import parse_amount
from schemas.parsing.envelope import ACCOUNT
from schemas.topics import partition_for

# Latest keys and amounts remembered: about 15 MB each at most. Errors are not.
REMEMBERED: Final = 65_536


@lru_cache(REMEMBERED)
def find_place(key: bytes, partitions: int) -> tuple[str, int]:
    """Account id and partition of a record key. Raises ValueError for what is no account id."""
    account_id = key.decode("ascii")
    if not ACCOUNT.fullmatch(account_id):
        raise ValueError("not an account id")
    return account_id, partition_for(key, partitions)


find_amount: Final = lru_cache(REMEMBERED)(parse_amount)
