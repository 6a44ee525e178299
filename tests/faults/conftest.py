"""Fixtures of the fault tests: a site of their own, and a seed that is told."""

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.local import apache_kafka, postgres
from tests.faults import cluster
from tests.faults.servers import Site, open_site
from tests.support.servers import is_cluster

USUAL_SEED = 503_934
SEED = "METERING_TEST_SEED"  # replays a run
FORCED = "METERING_TEST_KAFKA"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Known bugs take minutes each: they are tried when they are asked for (`-m known_bugs`)."""
    if "known_bugs" in config.getoption("markexpr"):
        return
    tried = [item for item in items if item.get_closest_marker("known_bugs") is not None]
    if tried:
        config.hook.pytest_deselected(items=tried)
        items[:] = [item for item in items if item not in tried]


@pytest.fixture
def seed() -> int:
    """The same in every run of the suite, so that what fails is the change; `make faults` draws its own."""
    return int(os.environ.get(SEED) or USUAL_SEED)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Site]:
    """Servers to be killed: never the ones that other tests use."""
    reason = apache_kafka.missing() or postgres.missing()
    if reason is not None and os.environ.get(FORCED) != "apache":
        pytest.skip(f"needs Apache Kafka and the embedded Postgres: {reason}")
    if is_cluster() and (no_citus := cluster.missing()) is not None:
        pytest.skip(no_citus)
    async with open_site() as opened:
        yield opened
