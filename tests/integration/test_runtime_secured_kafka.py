"""Apache Kafka with passwords and ACLs: what is wrong is one sentence, without a line of the client's own."""

from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka.admin import AclOperation

from deploy.local import apache_kafka
from deploy.local.stack import Addresses
from schemas.topics import ACCOUNTS, ANCHORS, BALANCES, USAGE
from tests.support.meter import set_up_meter
from tests.support.processes import Processes
from tests.support.secured_kafka import PASSWORD, TOPIC, USER, SecuredKafka
from tests.support.servers import Servers

pytestmark = pytest.mark.xdist_group("secured_kafka")

GRANT = ["grant", "acct-1", "model_credits", "5", "--reason", "a test", "--reference", "T-1", "--no-wait", "--yes"]
RUN_TIMEOUT_S = 60


@pytest.fixture(scope="module")
def kafka() -> Iterator[SecuredKafka]:
    if why := apache_kafka.missing():
        pytest.skip(f"Apache Kafka with access control: {why}")
    made = SecuredKafka(apache_kafka.fetch_jars())
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def stack(servers: Servers, kafka: SecuredKafka) -> Addresses:
    """The settings of these tests are of this Kafka: no other is started."""
    postgres = servers.postgres
    return Addresses(postgres.address, postgres.kind, kafka.bootstrap, kafka.kind, {})


@pytest.fixture
def login(kafka: SecuredKafka) -> dict[str, str]:
    return {
        "kafka_bootstrap": kafka.secured,
        "kafka_security_protocol": "SASL_PLAINTEXT",
        "kafka_sasl_mechanism": "PLAIN",
        "kafka_sasl_username": USER,
        "kafka_sasl_password": PASSWORD,
    }


@pytest.mark.parametrize(
    ("wrong", "code", "words"),
    [
        ({"kafka_sasl_password": "hunter2"}, 2, f"METERING_KAFKA_SASL_USERNAME={USER} with PLAIN"),
        ({"kafka_sasl_mechanism": "SCRAM-SHA-256"}, 2, "METERING_KAFKA_SASL_MECHANISM=SCRAM-SHA-256"),
        ({"kafka_security_protocol": "PLAINTEXT"}, 3, "METERING_KAFKA_SECURITY_PROTOCOL=PLAINTEXT"),
    ],
    ids=["password", "mechanism", "protocol"],
)
def test_a_login_that_is_refused(
    processes: Processes, kafka: SecuredKafka, login: dict[str, str], wrong: dict[str, str], code: int, words: str
) -> None:
    done = processes.run("meter", *GRANT, **(login | wrong))
    [said] = done.stderr.splitlines()
    assert done.returncode == code, said
    assert said.startswith("kafka") and kafka.secured in said and words in said
    assert "hunter2" not in said and PASSWORD not in said


def test_a_right_that_is_missing_and_then_granted(
    processes: Processes, kafka: SecuredKafka, login: dict[str, str], topic_prefix: str
) -> None:
    kafka.make_topics(topic_prefix + ACCOUNTS)
    done = processes.run("meter", *GRANT, **login)
    [said] = done.stderr.splitlines()
    assert done.returncode == 1 and "METERING_KAFKA_SASL_USERNAME" in said and "lacks" in said
    kafka.allow(TOPIC, topic_prefix + ACCOUNTS, AclOperation.WRITE)
    done = processes.run("meter", *GRANT, **login)
    assert (done.returncode, done.stderr) == (0, "")


async def test_a_meter_without_the_right_to_its_group(
    processes: Processes, kafka: SecuredKafka, login: dict[str, str], values: dict[str, Any], topic_prefix: str
) -> None:
    """It ends itself with the sentence: a person has to grant the right."""
    await set_up_meter(values)
    for topic in (USAGE, ACCOUNTS, ANCHORS):
        for operation in (AclOperation.READ, AclOperation.WRITE):
            kafka.allow(TOPIC, topic_prefix + topic, operation)
    kafka.allow(TOPIC, topic_prefix + BALANCES, AclOperation.READ)
    victim = processes.spawn("meter", **login)
    assert victim.wait(RUN_TIMEOUT_S) == 2, victim.output()
    [entry] = victim.logged("service_refused")
    assert "Read on a consumer group" in entry["detail"] and "Traceback" not in victim.output()
    assert kafka.secured in entry["detail"] and f"METERING_KAFKA_SASL_USERNAME={USER}" in entry["detail"]
