"""Apache Kafka with passwords and ACLs: what is wrong is one sentence, without a line of the client's own."""

# ruff: noqa: F811  # fixtures that are imported are named again by the tests that take them

from functools import partial
from typing import Any

import pytest
from confluent_kafka.admin import AclOperation

from schemas.topics import ACCOUNTS, ANCHORS, BALANCES, USAGE
from tests.support.meter import set_up_meter
from tests.support.own_kafka import stack  # noqa: F401  # fixtures are arguments below
from tests.support.processes import Processes
from tests.support.readiness import is_ready, is_unready
from tests.support.secured_kafka import GROUP, PASSWORD, TOPIC, USER, SecuredKafka, kafka  # noqa: F401  # fixtures are arguments below
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("secured_kafka")

GRANT = ["grant", "acct-1", "model_credits", "5", "--reason", "a test", "--reference", "T-1", "--no-wait", "--yes"]
RUN_TIMEOUT_S = 60


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
    """It says so, in its log and to whoever asks whether it is ready, and goes on once somebody grants the right."""
    await set_up_meter(values)
    for topic in (USAGE, ACCOUNTS, ANCHORS):
        for operation in (AclOperation.READ, AclOperation.WRITE):
            kafka.allow(TOPIC, topic_prefix + topic, operation)
    kafka.allow(TOPIC, topic_prefix + BALANCES, AclOperation.READ)
    meter, lack = processes.spawn("meter", **login), "lacks Read on a consumer group"
    await until(partial(is_unready, meter, "kafka", lack), RUN_TIMEOUT_S, meter.output)
    refused = meter.logged("access_refused")[0]
    assert lack in refused["detail"] and (refused["dependency"], refused["level"]) == ("kafka", "error")
    kafka.allow(GROUP, topic_prefix + "credit-meter", AclOperation.READ)
    await until(partial(is_ready, meter), RUN_TIMEOUT_S, meter.output)
    assert "Traceback" not in meter.output()


async def test_a_meter_with_a_wrong_password(
    processes: Processes, login: dict[str, str], values: dict[str, Any]
) -> None:
    await set_up_meter(values)
    meter = processes.spawn("meter", **login | {"kafka_sasl_password": "hunter2"})
    words = f"refuses the login of METERING_KAFKA_SASL_USERNAME={USER} with PLAIN"
    await until(partial(is_unready, meter, "kafka", words), RUN_TIMEOUT_S, meter.output)
    await until(lambda: len(meter.logged("access_refused")) >= 2, RUN_TIMEOUT_S, meter.output)  # it tries again
    assert meter.running and "hunter2" not in meter.output() and PASSWORD not in meter.output()
