"""Which member of a group gets which partitions: partition p of all topics together, also of topics of unequal size.

aiokafka's range assignor does that only while the topics have equally many partitions: of 12 and of 6 it gives two
members halves that do not fit together. Its sticky one keeps state on its class. Dealing the partitions out one by one
also spreads both kinds over all members: those of shards, and those that no shard has.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

VERSION = 0


def deal(
    partitions: Mapping[str, Collection[int]], members: Mapping[str, Collection[str]]
) -> dict[str, dict[str, list[int]]]:
    """Partitions by member and topic. `members` says which topics each one reads."""
    dealt: dict[str, dict[str, list[int]]] = {member: defaultdict(list) for member in members}
    for topic, numbers in partitions.items():
        readers = sorted(member for member, topics in members.items() if topic in topics)
        for number in sorted(numbers) if readers else ():
            dealt[readers[number % len(readers)]][topic].append(number)
    return dealt


class ShardAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
    name = "shards"

    @classmethod
    def assign(cls, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        read = {member: tuple(metadata.subscription) for member, metadata in members.items()}
        topics = {topic for names in read.values() for topic in names}
        dealt = deal({topic: cluster.partitions_for_topic(topic) or () for topic in topics}, read)
        return {
            member: ConsumerProtocolMemberAssignment(VERSION, sorted(by_topic.items()), b"")
            for member, by_topic in dealt.items()
        }

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> Any:
        return ConsumerProtocolMemberMetadata(VERSION, list(topics), b"")

    @classmethod
    def on_assignment(cls, assignment: Any) -> None:
        """Nothing is kept from one assignment to the next."""
