"""Every partition has one reader, and partition p of all topics has the same."""

from collections import Counter

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from hypothesis import given
from hypothesis import strategies as st

from meter.runtime.kafka.adapter.assignor import ShardAssignor, deal

SIZES = st.integers(1, 24)
MEMBERS = st.sets(st.text("abcdef", min_size=1, max_size=4), min_size=1, max_size=8)


@given(SIZES, SIZES, MEMBERS)
def test_each_partition_is_dealt_once_and_topics_of_unequal_size_stay_together(
    usage: int, accounts: int, members: set[str]
) -> None:
    sizes = {"usage": usage, "accounts": accounts}
    dealt = deal({topic: range(size) for topic, size in sizes.items()}, {member: tuple(sizes) for member in members})
    owners = {
        (topic, number): member
        for member, by_topic in dealt.items()
        for topic, numbers in by_topic.items()
        for number in numbers
    }
    assert owners.keys() == {(topic, number) for topic, size in sizes.items() for number in range(size)}
    assert sum(len(numbers) for by_topic in dealt.values() for numbers in by_topic.values()) == len(owners)
    for number in range(min(usage, accounts)):
        assert owners["usage", number] == owners["accounts", number]


@given(SIZES, MEMBERS)
def test_the_first_partitions_are_spread_as_evenly_as_all(size: int, members: set[str]) -> None:
    """Those of shards do the work, whatever number of others is behind them."""
    dealt = deal({"usage": range(2 * size)}, dict.fromkeys(members, ("usage",)))
    of_shards = Counter({member: sum(n < size for n in by.get("usage", ())) for member, by in dealt.items()})
    assert max(of_shards.values()) - min(of_shards.values()) <= 1


def test_a_member_gets_only_topics_that_it_reads() -> None:
    assert deal({"usage": range(4)}, {"a": ("usage",), "b": ("balances",)}) == {"a": {"usage": [0, 1, 2, 3]}, "b": {}}


def test_a_topic_that_the_client_does_not_know_yet_is_left_out() -> None:
    members = {"a": ConsumerProtocolMemberMetadata(0, ["usage"], b"")}
    assert ShardAssignor.assign(ClusterMetadata(), members)["a"].assignment == []
