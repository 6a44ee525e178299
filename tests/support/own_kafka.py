"""A Kafka of one file of tests alone, which has what the shared one has not: what its fixtures are made of."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from deploy.local import apache_kafka
from deploy.local.apache_kafka import ApacheKafka
from deploy.local.stack import Addresses
from tests.support.servers import Servers

Made = TypeVar("Made", bound=ApacheKafka)


def start_own(make: Callable[[Path], Made], what: str) -> Iterator[Made]:
    """Of its jars, until the tests are over; where there is no Apache Kafka, they are skipped and `what` is named."""
    if why := apache_kafka.missing():
        pytest.skip(f"Apache Kafka with {what}: {why}")
    made = make(apache_kafka.fetch_jars())
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def stack(servers: Servers, kafka: ApacheKafka) -> Addresses:
    """The settings of these tests are of the file's own `kafka`: no other is started."""
    postgres = servers.postgres
    return Addresses(postgres.address, postgres.kind, kafka.bootstrap, kafka.kind, {})
