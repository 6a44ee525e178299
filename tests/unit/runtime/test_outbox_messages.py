"""Where the messages of an outbox go, and which of them are done with."""

from meter.runtime.kafka import Landed, Message
from meter.runtime.outbox_messages import Failure, messages_for, split_landed
from schemas.topics import BALANCES, USAGE, partition_for

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
    messages = [Message(BALANCES, "k", b"", shard) for shard in shards]
    results: list[Landed | Exception] = [landed, landed, failed, landed, landed, late, landed]
    wanted = {0: Failure(failed, f"{BALANCES}[0]"), 2: Failure(late, f"{BALANCES}[2]")}
    assert split_landed(shards, messages, results) == ([0, 1, 3, 6], wanted)


def test_what_one_shard_sends_to_other_partitions_is_done_with_as_it_lands() -> None:
    """Records that are sent on go from one shard to many partitions: they would land again at each retry."""
    landed, failed = Landed(0, 0), LookupError("no leader")
    messages = [Message(USAGE, "k", b"", partition) for partition in (4, 5, 4, 5)]
    assert split_landed([1] * 4, messages, [landed, failed, landed, landed]) == (
        [0, 2],
        {1: Failure(failed, f"{USAGE}[5]")},
    )
