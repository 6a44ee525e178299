"""How a topic differs from its specification."""

from meter.runtime.kafka.adapter.protocols import TopicInfo
from meter.runtime.kafka.admin import find_differences
from schemas.topics import TOPICS, USAGE

SPEC = next(spec for spec in TOPICS if spec.name == USAGE)


def test_differences_are_named() -> None:
    config = {"retention.ms": "1", "cleanup.policy": SPEC.cleanup_policy}
    differences = find_differences(SPEC, TopicInfo(USAGE, "", SPEC.partitions + 1, config))
    assert len(differences) == 2
    assert f"partitions: {SPEC.partitions + 1}, expected {SPEC.partitions}" in differences
    assert f"retention.ms: 1, expected {SPEC.retention_ms}" in differences
