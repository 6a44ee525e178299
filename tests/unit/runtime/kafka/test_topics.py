"""How a topic differs from its specification."""

import pytest

from meter.runtime.kafka.adapter.protocols import TopicInfo
from meter.runtime.kafka.admin import compare, find_differences, wanted_config
from schemas.topics import TOPICS, USAGE

SPEC = next(spec for spec in TOPICS if spec.name == USAGE)


def test_differences_are_named() -> None:
    config = {"retention.ms": "1", "cleanup.policy": SPEC.cleanup_policy}
    differences = find_differences(SPEC, TopicInfo(USAGE, "", SPEC.partitions + 1, config), 1)
    assert len(differences) == 2
    assert f"partitions: {SPEC.partitions + 1}, expected {SPEC.partitions}" in differences
    assert f"retention.ms: 1, expected {SPEC.retention_ms}" in differences


@pytest.mark.parametrize(("copies", "in_sync"), [(1, "1"), (2, "1"), (3, "2"), (5, "4")])
def test_one_broker_may_be_away_and_no_more(copies: int, in_sync: str) -> None:
    config = wanted_config(SPEC, copies)
    assert config["min.insync.replicas"] == in_sync
    assert config["unclean.leader.election.enable"] == "false"


def test_fewer_copies_or_acknowledgements_than_wanted_are_differences() -> None:
    config = wanted_config(SPEC, 3) | {"min.insync.replicas": "1"}
    change = compare(SPEC, TopicInfo(USAGE, "", SPEC.partitions, config, copies=1), 3)
    assert change.action == "differs"
    assert "copies: 1, expected 3 (METERING_REPLICATION_FACTOR)" in change.detail
    assert "min.insync.replicas: 1, expected 2" in change.detail
    assert compare(SPEC, TopicInfo(USAGE, "", SPEC.partitions, wanted_config(SPEC, 3), copies=3), 3).action == "kept"
