"""Accounts for tests in which topics get more partitions than there were."""

from schemas.topics import partition_for


def choose_accounts(shards: int, partitions: int) -> list[str]:
    """Four whose new partition no shard has, and two whose partition is the one from before."""
    names = [f"acct-{number}" for number in range(100)]
    moved = [name for name in names if partition_for(name.encode(), partitions) >= shards]
    stay = [name for name in names if partition_for(name.encode(), partitions) < shards]
    return [*moved[:4], *stay[:2]]
