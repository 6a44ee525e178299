"""What the consumer says of aiokafka's tasks, and to them."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.subscription_state import SubscriptionState

from meter.runtime.kafka.adapter.consumer import AiokafkaConsumer


def make(**inner: Any) -> AiokafkaConsumer:
    made = AiokafkaConsumer.__new__(AiokafkaConsumer)
    made.inner = SimpleNamespace(**inner)
    return made


@pytest.mark.parametrize(
    ("fetches", "follows", "stopped"), [(True, True, False), (False, True, True), (True, False, True)]
)
async def test_it_has_stopped_when_it_no_longer_fetches_or_learns_of_leaders(
    fetches: bool, follows: bool, stopped: bool
) -> None:
    def task(lives: bool) -> "asyncio.Future[None]":
        future = asyncio.get_running_loop().create_future()
        if not lives:
            future.set_result(None)
        return future

    fetcher, client = SimpleNamespace(error_future=task(fetches)), SimpleNamespace(_sync_task=task(follows))
    assert make(_fetcher=fetcher, _client=client).has_stopped_fetching() is stopped


async def test_who_stays_is_not_idle() -> None:
    subscription: Any = SubscriptionState()
    subscription._last_fetch_ended = time.monotonic() - 1_000
    assert subscription.fetcher_idle_time >= 1_000
    make(_subscription=subscription).stay()
    assert subscription.fetcher_idle_time < 900
