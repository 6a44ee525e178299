import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import ACCOUNTS, ANCHORS, BALANCES, FOR_EVER, TOPICS, USAGE, murmur2, partition_for


@given(st.binary(max_size=200), st.integers(1, 500))
def test_partitions_are_those_of_aiokafka(key: bytes, partitions: int) -> None:
    assert partition_for(key, partitions) == DefaultPartitioner()(key, list(range(partitions)), [])


@pytest.mark.parametrize(
    ("data", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_hashes_are_those_of_the_java_client(data: bytes, signed: int) -> None:
    """The vectors of org.apache.kafka.common.utils.UtilsTest.testMurmur2."""
    assert murmur2(data) == signed % 2**32


def test_the_topics_keep_what_must_be_kept() -> None:
    specs = {spec.name: spec for spec in TOPICS}
    assert specs[USAGE].partitions == specs[ACCOUNTS].partitions == specs[BALANCES].partitions
    assert specs[ANCHORS].partitions == 1
    assert specs[BALANCES].retention_ms == FOR_EVER
    assert {spec.cleanup_policy for spec in TOPICS} == {"delete"}
    assert {spec.max_message_bytes for spec in TOPICS} == {1_048_576}
