"""Where the messages of an outbox go."""

from meter.runtime.outbox import messages_for
from schemas.topics import BALANCES, partition_for

PARTITIONS = 6


def test_a_message_goes_to_the_partition_of_its_shard_however_many_there_are() -> None:
    """A reader has the partitions of the shards: with twice as many the key alone would lead elsewhere."""
    key = next(f"acct-{n}" for n in range(100) if partition_for(f"acct-{n}".encode(), 2 * PARTITIONS) >= PARTITIONS)
    shard = partition_for(key.encode(), PARTITIONS)
    message = messages_for(BALANCES)({"shard": shard, "key": key, "value": b"{}"})
    assert (message.topic, message.key, message.partition) == (BALANCES, key, shard)
