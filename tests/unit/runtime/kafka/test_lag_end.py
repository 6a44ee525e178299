"""Metrics by shard end with the consumer that had the shards."""

import asyncio
from collections.abc import Mapping, Sequence

from meter.runtime.kafka.lag import PartitionLag
from meter.runtime.lag_watch import LagWatch, Place
from meter.runtime.process.health import Health


class Consumer:
    def __init__(self, *shards: int) -> None:
        self.shards = shards

    def measure_lag(self) -> Sequence[PartitionLag]:
        return [PartitionLag("metering.usage", shard, 0, 9, 9, 9) for shard in self.shards]

    def list_silent(self) -> Mapping[Place, str]:
        return {}

    def list_fetched(self) -> Mapping[Place, int | None]:
        return {}


async def look_once(health: Health, *shards: int) -> list[str]:
    """The lines of the metrics while a consumer of these shards is watched; it ends as a lost connection ends it."""
    running = asyncio.create_task(LagWatch(Consumer(*shards), health).run(asyncio.Event()))
    await asyncio.sleep(0)
    shown = list_lags(health)
    running.cancel()
    await asyncio.wait({running})
    return shown


def list_lags(health: Health) -> list[str]:
    lines = health.metrics.render().decode().splitlines()
    return sorted(line.split(" ")[0] for line in lines if line.startswith("metering_lag_"))


async def test_what_an_earlier_consumer_was_behind_is_not_told_of_the_next() -> None:
    health = Health()
    assert await look_once(health, 1, 2) == [
        'metering_lag_records{shard="1"}', 'metering_lag_records{shard="2"}',
        'metering_lag_seconds{shard="1"}', 'metering_lag_seconds{shard="2"}',
    ]  # fmt: skip
    assert list_lags(health) == []
    assert await look_once(health, 2) == ['metering_lag_records{shard="2"}', 'metering_lag_seconds{shard="2"}']
