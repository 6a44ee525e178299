"""A topic that brokers refuse to make: for now, or for good."""

from collections.abc import Mapping
from typing import cast

import pytest
from aiokafka.errors import InvalidReplicationFactorError

from meter.runtime.errors import DependencyUnreachableError, RefusalError
from meter.runtime.kafka.adapter.protocols import AdminClient, TopicInfo
from meter.runtime.kafka.admin import STARTING_PAUSES_S, TopicAdmin
from meter.runtime.settings import Settings
from schemas.topics import TOPICS
from tests.support.virtual_loop import run_virtually

FENCED = InvalidReplicationFactorError("Unable to replicate the partition 1 time(s): All brokers are currently fenced.")
TOO_FEW = InvalidReplicationFactorError(
    "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because only 1 "
    "broker(s) are registered."
)


class Brokers:
    """Refuse so often, then make the topic."""

    def __init__(self, refusal: Exception, times: int) -> None:
        self.refusals = [refusal] * times
        self.asked = 0

    async def describe_topic(self, name: str) -> TopicInfo | None:
        return None if self.refusals or not self.asked else TopicInfo(name, "id", 1, {})

    async def fetch_config(self, name: str) -> Mapping[str, str]:
        return {}

    async def create_topic(self, name: str, **_options: object) -> Exception | None:
        self.asked += 1
        return self.refusals.pop(0) if self.refusals else None


def make_topic(brokers: Brokers) -> str:
    admin = TopicAdmin(Settings())
    admin._admin = cast(AdminClient, brokers)
    [change] = run_virtually(admin.ensure(TOPICS[:1], 1))
    return change.action


def test_brokers_that_start_are_waited_for() -> None:
    brokers = Brokers(FENCED, 3)
    assert make_topic(brokers) == "created"
    assert brokers.asked == 4


def test_brokers_that_do_not_come_are_unreachable_and_no_refusal() -> None:
    with pytest.raises(DependencyUnreachableError, match="All brokers are currently fenced"):
        make_topic(Brokers(FENCED, len(STARTING_PAUSES_S) + 1))


def test_too_few_brokers_are_refused_at_once() -> None:
    brokers = Brokers(TOO_FEW, 1)
    with pytest.raises(RefusalError, match="only 1 broker"):
        make_topic(brokers)
    assert brokers.asked == 1
