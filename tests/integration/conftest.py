"""What several of these tests start from."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from meter.runtime.kafka import Producer
from meter.runtime.postgres import Pool
from meter.runtime.settings import Settings
from meter.settings import MeterSettings
from tests.integration.projections_log import EventLog
from tests.integration.runtime_ledger import make_topics
from tests.support.locked_postgres import LockedPostgres


@pytest.fixture(scope="module")
def locked_postgres() -> Iterator[LockedPostgres]:
    """Of one file of tests: they change its password. They name the xdist_group of the same name."""
    made = LockedPostgres()
    try:
        made.start()
        asyncio.run(made.make_roles())
        yield made
    finally:
        made.close()


@pytest.fixture
async def log(pool: Pool) -> EventLog:
    """A log without events, whose shards are set up."""
    made = EventLog(pool)
    await made.set_up()
    return made


@pytest.fixture
async def topics(settings: Settings) -> Settings:
    """The settings, with both topics of the meter made. Tests of other services make theirs under the same name."""
    await make_topics(settings)
    return settings


@pytest.fixture
def meter_settings(values: dict[str, Any], installed: None) -> MeterSettings:
    """The settings of a meter, for which everything is set up but the roles."""
    return MeterSettings(**values)


@pytest.fixture
async def producer(settings: Settings, installed: None) -> AsyncIterator[Producer]:
    """What services send with, to topics that are there."""
    async with Producer(settings) as started:
        yield started
