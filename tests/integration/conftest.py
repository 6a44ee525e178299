"""What several of these tests start from."""

import pytest

from meter.runtime.postgres import Pool
from meter.runtime.settings import Settings
from tests.integration.projections_log import EventLog
from tests.integration.runtime_ledger import make_topics


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
