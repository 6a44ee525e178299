"""The watch over metering.balances only watches: one broker that is away does not end a service that works."""

import asyncio
from typing import Any

import pytest

from meter.runtime.clock import SystemClock
from meter.runtime.errors import DependencyUnreachableError, TopicIdentityError
from meter.runtime.settings import Settings
from projections.output_topic import OutputTopicWatch

AWAY = DependencyUnreachableError("gone", dependency="kafka")
OTHER = TopicIdentityError("another topic")


class Watch(OutputTopicWatch):
    """What its looks find, one after another."""

    def __init__(self, *found: Exception | None) -> None:
        pool: Any = None
        super().__init__(Settings(), pool, SystemClock(), every_s=0.001)
        self.left = list(found)

    async def check(self) -> None:
        found = self.left.pop(0)
        if found is not None:
            raise found


async def test_two_looks_in_a_row_may_fail() -> None:
    watch = Watch(AWAY, AWAY, None, AWAY, AWAY, None, AWAY, AWAY, AWAY, None)
    with pytest.raises(DependencyUnreachableError):
        await watch.run(asyncio.Event())
    assert len(watch.left) == 1


async def test_another_topic_is_told_at_once() -> None:
    watch = Watch(AWAY, OTHER, None)
    with pytest.raises(TopicIdentityError):
        await watch.run(asyncio.Event())
    assert len(watch.left) == 1
