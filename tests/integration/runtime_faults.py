"""Faults that only aiokafka's insides can produce. With the adapter, the one place that uses its private names."""

import asyncio
from typing import Any, NamedTuple

from meter.runtime.kafka import Producer, ShardConsumer


def aiokafka_of(service: ShardConsumer | Producer) -> Any:
    """The AIOKafkaConsumer or AIOKafkaProducer inside, behind the adapter."""
    client: Any = service._client
    return client.inner


async def end_fetch_task(consumer: ShardConsumer) -> None:
    fetching = aiokafka_of(consumer)._fetcher._fetch_task
    fetching.cancel()
    await asyncio.wait({fetching})


class Looks:
    """How often a consumer's client looks for partitions to fetch from, and how often a fetch is over."""

    def __init__(self, consumer: ShardConsumer) -> None:
        self.looks = self.fetches = 0
        fetcher = aiokafka_of(consumer)._fetcher
        look, fetch = fetcher._get_actions_per_node, fetcher._proc_fetch_request

        def count_look(*args: Any) -> Any:
            self.looks += 1
            return look(*args)

        async def count_fetch(*args: Any) -> Any:
            done = await fetch(*args)
            self.fetches += 1
            return done

        fetcher._get_actions_per_node, fetcher._proc_fetch_request = count_look, count_fetch


def fail_next_rejoin(consumer: ShardConsumer, error: Exception) -> None:
    """Start a rebalance that fails once."""
    coordinator = aiokafka_of(consumer)._coordinator
    rejoin = coordinator._do_rejoin_group

    async def fail_once(_subscription: Any) -> bool:
        coordinator._do_rejoin_group = rejoin
        raise error

    coordinator._do_rejoin_group = fail_once
    coordinator.request_rejoin()


def hang_coordinator_close(consumer: ShardConsumer) -> None:
    """As in the middle of a rebalance: aiokafka's stop waits for its end."""
    aiokafka_of(consumer)._coordinator.close = asyncio.Event().wait


def hang_producer_flush(producer: Producer) -> None:
    aiokafka_of(producer)._message_accumulator.close = asyncio.Event().wait


class HiddenLeaders(NamedTuple):
    """Of the client that the producer had when its leaders were hidden."""

    inner: Any
    sending: asyncio.Task[None]

    def give_back(self) -> None:
        del self.inner.client.cluster.leader_for_partition  # the class has the true one

    def has_sent_all(self) -> bool:
        accumulator = self.inner._message_accumulator
        return not accumulator._batches and not accumulator._pending_batches


def hide_leaders(producer: Producer) -> HiddenLeaders:
    """As while a partition has no leader."""
    inner = aiokafka_of(producer)
    inner.client.cluster.leader_for_partition = lambda _partition: -1
    return HiddenLeaders(inner, inner._sender.sender_task)
