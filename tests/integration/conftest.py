"""What several of these tests start from."""

import pytest

from meter.runtime.postgres import Pool
from tests.integration.projections_log import EventLog


@pytest.fixture
async def log(pool: Pool) -> EventLog:
    """A log without events, whose shards are set up."""
    made = EventLog(pool)
    await made.set_up()
    return made
