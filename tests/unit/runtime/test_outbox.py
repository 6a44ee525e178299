"""Where the messages of an outbox go, and which of them are done with."""

from meter.runtime.kafka import Landed
from meter.runtime.outbox import messages_for, split_landed
from schemas.topics import BALANCES, partition_for

PARTITIONS = 6


def test_a_message_goes_to_the_partition_of_its_shard_however_many_there_are() -> None:
    """A reader has the partitions of the shards: with twice as many the key alone would lead elsewhere."""
    key = next(f"acct-{n}" for n in range(100) if partition_for(f"acct-{n}".encode(), 2 * PARTITIONS) >= PARTITIONS)
    shard = partition_for(key.encode(), PARTITIONS)
    message = messages_for(BALANCES)({"shard": shard, "key": key, "value": b"{}"})
    assert (message.topic, message.key, message.partition) == (BALANCES, key, shard)


def test_of_each_shard_what_landed_is_deleted_up_to_the_first_that_did_not() -> None:
    """Deleted behind it, it would stand in the log in front of what is published again, and nowhere behind."""
    landed, failed, late = Landed(0, 0), LookupError("first"), LookupError("second")
    shards = [0, 1, 0, 1, 0, 2, 1]
    results: list[Landed | Exception] = [landed, landed, failed, landed, landed, late, landed]
    assert split_landed(shards, results) == ([0, 1, 3, 6], {0: failed, 2: late})
