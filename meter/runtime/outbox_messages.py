"""From rows of an outbox to messages, and what came of them: pure. `outbox.py` has the loop."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from meter.runtime.kafka.producer import Landed, Message
from schemas.build import STRUCTURED_HEADERS

ReadMessage = Callable[[Any], Message]  # of a row of the outbox, by the names of its columns


class Failure(NamedTuple):
    """Of the first message of a shard that did not land, and where it was to go."""

    error: Exception
    place: str


def split_landed(
    shards: Sequence[int], messages: Sequence[Message], results: Sequence[Landed | Exception]
) -> tuple[list[int], dict[int, Failure]]:
    """The numbers of the messages that landed with all before them of the same shard and partition; of each shard the
    first failure. What landed behind one that did not is published again: it must not stand in front of it alone.
    Between partitions there is no order: records of one shard that are sent on go to many."""
    landed: list[int] = []
    failed: dict[int, Failure] = {}
    stopped: set[tuple[int, str, int | None]] = set()
    for number, (shard, message, result) in enumerate(zip(shards, messages, results, strict=True)):
        lane = shard, message.topic, message.partition
        if isinstance(result, Exception):
            stopped.add(lane)
            failed.setdefault(shard, Failure(result, f"{message.topic}[{message.partition}]"))
        elif lane not in stopped:
            landed.append(number)
    return landed, failed


def messages_for(topic: str) -> ReadMessage:
    """Key and value as they stand in the row, to the shard's partition of this topic: that is also where the key would
    lead, until somebody gives the topic more partitions."""
    return lambda row: Message(topic, row["key"], row["value"], row["shard"], STRUCTURED_HEADERS)
