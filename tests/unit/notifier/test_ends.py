"""The question for the end of the balances: whoever asks meanwhile shares the next answer."""

import asyncio
from collections.abc import Mapping

import pytest

from meter.runtime.errors import DependencyUnreachableError
from notifier.ends import KafkaEnds
from tests.support import until


class Broker:
    """Counts what is asked of it. `answers` says what the next questions get; an error is raised."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers: list[Mapping[int, int] | Exception] = []
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self) -> Mapping[int, int]:
        self.asked += 1
        await self.open.wait()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def broker() -> Broker:
    return Broker()


async def test_each_question_is_answered_anew(broker: Broker) -> None:
    broker.answers = [{0: 5, 1: 0}, {0: 6, 1: 0}]
    kafka = KafkaEnds(broker)
    assert (await kafka.fetch(0), await kafka.fetch(1), broker.asked) == (5, 0, 2)


async def test_a_shard_that_does_not_answer_is_not_taken_for_an_empty_one(broker: Broker) -> None:
    broker.answers = [{0: 5}, {0: 5}]
    kafka = KafkaEnds(broker)
    with pytest.raises(DependencyUnreachableError, match="shard 1"):
        await kafka.fetch(1)
    assert await kafka.fetch(0) == 5


async def test_an_error_ends_one_question(broker: Broker) -> None:
    broker.answers = [DependencyUnreachableError("gone", dependency="kafka"), {0: 7}]
    kafka = KafkaEnds(broker)
    with pytest.raises(DependencyUnreachableError):
        await kafka.fetch(0)
    assert await kafka.fetch(0) == 7


async def test_whoever_asks_meanwhile_gets_a_younger_answer(broker: Broker) -> None:
    """The answer on its way may be older than the call, so it does not do; all who wait share the next."""
    broker.answers = [{0: 1}, {0: 2}]
    broker.open.clear()
    kafka = KafkaEnds(broker)
    first = asyncio.ensure_future(kafka.fetch(0))
    await until(lambda: broker.asked == 1)
    others = [asyncio.ensure_future(kafka.fetch(0)) for _ in range(3)]
    await asyncio.sleep(0)
    broker.open.set()
    assert await first == 1
    assert await asyncio.gather(*others) == [2, 2, 2]
    assert broker.asked == 2
