"""Identity of topics: what is refused, and that nothing is recorded when something is."""

from collections.abc import Mapping
from datetime import datetime

import pytest

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

    async def fetch_topics(self) -> Mapping[str, TopicRow]:
        return dict(self.rows)

    async def record_topic(self, row: TopicRow, clock: Clock) -> None:
        self.rows.setdefault(row.topic, row)


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
    with pytest.raises(TopicIdentityError, match=r"re-created.*METERING_TOPIC_PREFIX"):
        await check(MemoryTopics(TopicRow("u", "id-1", 3)), info(topic_id="id-9"))


async def test_other_partitions_than_recorded_are_refused() -> None:
    with pytest.raises(TopicIdentityError, match="recorded are 6"):
        await check(MemoryTopics(TopicRow("u", "id-1", 6)), info())


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
