"""Identity of topics: what is refused, and that nothing is recorded when something is."""

from collections.abc import Mapping
from datetime import datetime

import pytest
from structlog.testing import capture_logs

from meter.runtime.clock import Clock
from meter.runtime.errors import TopicIdentityError
from meter.runtime.kafka import TopicInfo
from meter.topics import RecordedTopics, TopicRow, explain_risk
from tests.contract.rows import MOMENT


class FixedClock:
    def now(self) -> datetime:
        return MOMENT


class MemoryTopics:
    def __init__(self, *rows: TopicRow) -> None:
        self.rows = {row.topic: row for row in rows}
        self.grown: list[tuple[int, int]] = []

    async def fetch_topics(self) -> Mapping[str, TopicRow]:
        return dict(self.rows)

    async def record_topic(self, row: TopicRow, clock: Clock) -> None:
        self.rows.setdefault(row.topic, row)

    async def accept_grown(self, first: int, beyond: int) -> None:
        self.grown.append((first, beyond))


async def check(store: MemoryTopics, *infos: TopicInfo, partitions: int = 3) -> None:
    guard = RecordedTopics(store, FixedClock(), partitions)
    await guard.check_topics({info.topic: info for info in infos})


def info(topic: str = "u", topic_id: str = "id-1", partitions: int = 3) -> TopicInfo:
    return TopicInfo(topic, topic_id, partitions, {})


async def test_a_topic_is_recorded_the_first_time() -> None:
    store = MemoryTopics()
    await check(store, info("u"), info("a", "id-2"))
    assert store.rows == {"u": TopicRow("u", "id-1", 3), "a": TopicRow("a", "id-2", 3)}


async def test_the_recorded_topic_is_accepted() -> None:
    await check(MemoryTopics(TopicRow("u", "id-1", 3)), info())


@pytest.mark.parametrize(("recorded", "found"), [("", "id-1"), ("id-1", "")])
async def test_a_broker_without_topic_ids_is_accepted(recorded: str, found: str) -> None:
    await check(MemoryTopics(TopicRow("u", recorded, 3)), info(topic_id=found))


async def test_another_id_is_refused_with_what_to_do() -> None:
    """Not that nothing was written: it is looked at now and then, and until then it was written to."""
    with pytest.raises(TopicIdentityError, match=r"re-created.*METERING_TOPIC_PREFIX") as caught:
        await check(MemoryTopics(TopicRow("u", "id-1", 3)), info(topic_id="id-9"))
    assert "Nothing was written" not in str(caught.value)


async def test_fewer_partitions_than_recorded_are_refused() -> None:
    with pytest.raises(TopicIdentityError, match="recorded are 6") as caught:
        await check(MemoryTopics(TopicRow("u", "id-1", 6)), info(), partitions=6)
    assert "Nothing was written" not in str(caught.value)


async def test_a_topic_that_was_grown_is_accepted_and_told_of_once() -> None:
    store = MemoryTopics(TopicRow("u", "id-1", 3), TopicRow("a", "id-2", 3))
    noted: list[tuple[str, int]] = []
    guard = RecordedTopics(store, FixedClock(), 3, note_grown=lambda *grown: noted.append(grown))
    topics = {"u": info(partitions=12), "a": info("a", "id-2")}
    with capture_logs() as logs:
        await guard.check_topics(topics)
        await guard.check_topics(topics)
    assert store.grown == [(3, 12)]
    assert noted == [("u", 9), ("a", 0)] * 2
    [said] = [line for line in logs if line["event"] == "topic_grown"]
    assert said["log_level"] == "warning"
    assert "u has 12 partitions, and there are 3 shards" in said["detail"] and "RUNBOOKS.md" in said["detail"]


async def test_a_setting_that_follows_the_growth_is_refused() -> None:
    store = MemoryTopics(TopicRow("u", "id-1", 3))
    with pytest.raises(TopicIdentityError, match=r"there are 3 shards.*Set METERING_PARTITIONS=3"):
        await check(store, info(partitions=12), partitions=12)
    assert store.grown == []


async def test_a_topic_that_was_made_again_is_refused_however_large_it_is() -> None:
    store = MemoryTopics(TopicRow("u", "id-1", 3))
    with pytest.raises(TopicIdentityError, match="re-created"):
        await check(store, info(topic_id="id-9", partitions=12))
    assert store.grown == []


async def test_other_partitions_than_set_are_refused() -> None:
    with pytest.raises(TopicIdentityError, match="METERING_PARTITIONS=3"):
        await check(MemoryTopics(), info(), partitions=12)


async def test_of_two_topics_none_is_recorded_when_one_is_refused() -> None:
    store = MemoryTopics(TopicRow("u", "id-1", 3))
    with pytest.raises(TopicIdentityError):
        await check(store, info("a", "id-2"), info("u", "id-9"))
    assert set(store.rows) == {"u"}


@pytest.mark.parametrize(
    ("copies", "config", "words"),
    [
        (1, {}, "one copy"),
        (3, {"min.insync.replicas": "1"}, "min.insync.replicas=1"),
        (3, {"min.insync.replicas": "2", "unclean.leader.election.enable": "true"}, "unclean leader election"),
        (3, {"min.insync.replicas": "2", "unclean.leader.election.enable": "false"}, None),
        (0, {}, None),
    ],
)
def test_what_one_lost_broker_may_take_with_it(copies: int, config: dict[str, str], words: str | None) -> None:
    risk = explain_risk(TopicInfo("u", "id-1", 3, config, copies))
    assert (risk is None) if words is None else (risk is not None and words in risk and "to " in risk)
