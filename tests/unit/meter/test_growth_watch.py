"""A topic that none of our services reads, grown: it is shown each time and told once."""

import structlog

from meter.runtime.kafka import TopicInfo
from meter.runtime.settings import Settings
from meter.topics import GrowthWatch
from schemas.topics import NOTIFICATIONS


def test_growth_is_told_once_for_each_number() -> None:
    shown: list[tuple[str, int]] = []
    settings = Settings(postgres_dsn="postgresql://example.com/x", kafka_bootstrap="127.0.0.1:1", partitions=6)
    watch = GrowthWatch(settings, NOTIFICATIONS, lambda topic, beyond: shown.append((topic, beyond)))
    with structlog.testing.capture_logs() as logs:
        for partitions in (6, 6, 12, 12, 18):
            watch.note(TopicInfo(NOTIFICATIONS, "id", partitions, {}))
    assert shown == [(NOTIFICATIONS, beyond) for beyond in (0, 0, 6, 6, 12)]
    assert [entry["event"] for entry in logs] == ["topic_grown", "topic_grown"]
    assert "12 partitions" in logs[0]["detail"] and "18 partitions" in logs[1]["detail"]
