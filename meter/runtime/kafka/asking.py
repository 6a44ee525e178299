"""Asks brokers about each of several partitions: one whose leader is away does not take the others' answers."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Final, Generic, NamedTuple, TypeVar

from meter.runtime.errors import DependencyUnreachableError
from meter.runtime.kafka.adapter.protocols import TopicPartition
from meter.runtime.kafka.failures import describe, is_transient

T = TypeVar("T")
Ask = Callable[[Collection[TopicPartition]], Awaitable[Mapping[TopicPartition, T]]]

# The client asks all at once, and tries again without end where one of them has no leader.
TOGETHER_S: Final = 3.0
ALONE_S: Final = 10.0


class Answers(NamedTuple, Generic[T]):
    """What came of each partition: an answer, or why there is none, for people."""

    found: dict[TopicPartition, T]
    silent: dict[TopicPartition, str]


async def ask_each(
    ask: Ask[T],
    partitions: Collection[TopicPartition],
    *,
    together_s: float = TOGETHER_S,
    alone_s: float = ALONE_S,
) -> Answers[T]:
    """All in one question; where that has no answer within `together_s`, each on its own, for up to `alone_s`.

    Raises what does not pass, of any partition.
    """
    if not partitions:
        return Answers({}, {})
    if len(partitions) > 1:
        try:
            async with asyncio.timeout(together_s):
                return Answers(dict(await ask(partitions)), {})
        except Exception as error:
            if not is_transient(error):
                raise
    each = list(partitions)
    came = await asyncio.gather(*(ask_alone(ask, tp, alone_s) for tp in each), return_exceptions=True)
    found: dict[TopicPartition, T] = {}
    silent: dict[TopicPartition, str] = {}
    for tp, answer in zip(each, came, strict=True):
        if not isinstance(answer, BaseException):
            found.update(answer)
        elif is_transient(answer):
            silent[tp] = describe(answer)
        else:
            raise answer
    return Answers(found, silent)


async def ask_alone(ask: Ask[T], tp: TopicPartition, timeout_s: float) -> Mapping[TopicPartition, T]:
    async with asyncio.timeout(timeout_s):
        return await ask([tp])


def not_answered(silent: Mapping[TopicPartition, str], doing: str) -> DependencyUnreachableError:
    """The error to raise where every answer is needed."""
    reason = next(iter(silent.values()))
    return DependencyUnreachableError(
        f"kafka: {doing}: no answer of {name_partitions(silent)}: {reason}. {HINT}", dependency="kafka"
    )


HINT: Final = (
    "Does each have a leader? `kafka-topics.sh --describe --unavailable-partitions` names those that have none; start "
    "the broker that has the newest copy."
)


def name_partitions(partitions: Iterable[TopicPartition]) -> str:
    return ", ".join(f"{tp.topic}[{tp.partition}]" for tp in sorted(partitions))
