"""Looks at the topics: the first must succeed, later ones only watch."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from meter.runtime.kafka import identity
from meter.runtime.kafka.adapter.protocols import TopicInfo
from meter.runtime.kafka.failures import KafkaConnectionError
from meter.runtime.kafka.identity import IdentityCheck
from meter.runtime.kafka.patience import MOST_FAILURES, Patience
from tests.support.virtual_loop import run_virtually

USAGE = "usage"
SHARDS = 3


def test_a_look_that_only_watches_may_fail_twice_in_a_row() -> None:
    def fail(patience: Patience, error: Exception) -> None:
        with patience.bearing():
            raise error

    patience, error = Patience("topics"), KafkaConnectionError("gone")
    for _ in range(2):
        for _ in range(MOST_FAILURES - 1):
            fail(patience, error)
        with patience.bearing():
            pass
    fail(patience, error)
    fail(patience, error)
    with pytest.raises(KafkaConnectionError):
        fail(patience, error)
    with pytest.raises(ValueError, match="a bug"):
        fail(patience, ValueError("a bug"))


class Guard:
    remedy = ""

    def __init__(self) -> None:
        self.looks = 0

    async def check_topics(self, topics: Mapping[str, TopicInfo]) -> None:
        self.looks += 1


class Describing:
    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None
        self.is_silent = False

    async def describe_topic(self, name: str) -> TopicInfo:
        self.asked += 1
        if self.error is not None:
            raise self.error
        if self.is_silent:
            await asyncio.Event().wait()
        return TopicInfo(name, "id", SHARDS, {})


def test_the_first_look_at_the_topics_must_succeed_and_later_ones_may_fail_twice() -> None:
    async def play() -> None:
        guard, broker = Guard(), Describing()
        client: Any = broker
        check = IdentityCheck(guard, {USAGE: USAGE})
        broker.error = KafkaConnectionError("gone")
        for _ in range(2):
            with pytest.raises(KafkaConnectionError):
                await check.look(client)
        broker.error = None
        await check.look(client)
        await check.look(client)
        assert guard.looks == 1
        broker.error = KafkaConnectionError("gone")
        await asyncio.sleep(identity.EVERY_S + 1)
        for _ in range(MOST_FAILURES - 1):
            await check.look(client)
            await asyncio.sleep(identity.AGAIN_S + 1)
        with pytest.raises(KafkaConnectionError):
            await check.look(client)
        check.require()
        with pytest.raises(KafkaConnectionError):
            await check.look(client)

    run_virtually(play())


def test_a_broker_that_stays_silent_is_asked_once_a_look_and_with_a_pause_between() -> None:
    async def play() -> None:
        broker, now = Describing(), asyncio.get_running_loop().time
        client: Any = broker
        check = IdentityCheck(Guard(), {USAGE: USAGE})
        await check.look(client)
        await asyncio.sleep(identity.EVERY_S + 1)
        broker.is_silent = True
        began = now()
        await check.look(client)
        assert (broker.asked, now() - began) == (2, identity.LOOK_S)
        await check.look(client)
        await asyncio.sleep(identity.AGAIN_S - 1)
        await check.look(client)
        assert broker.asked == 2
        await asyncio.sleep(2)
        await check.look(client)
        assert broker.asked == 3
        broker.is_silent = False
        await asyncio.sleep(identity.AGAIN_S + 1)
        await check.look(client)
        await asyncio.sleep(identity.EVERY_S - 1)
        await check.look(client)
        assert broker.asked == 4

    run_virtually(play())


def test_a_rebalance_during_a_look_that_fails_asks_for_one_that_succeeds() -> None:
    async def play() -> None:
        broker = Describing()
        client: Any = broker
        check = IdentityCheck(Guard(), {USAGE: USAGE})
        await check.look(client)
        await asyncio.sleep(identity.EVERY_S + 1)
        broker.is_silent = True
        looking = asyncio.create_task(check.look(client))
        await asyncio.sleep(1)
        check.require()
        broker.is_silent = False
        await looking
        assert broker.asked == 3

    run_virtually(play())
