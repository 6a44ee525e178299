"""Every verb that needs Kafka, where it cannot use it: a sentence with what was tried, which variable, what to do."""

# ruff: noqa: F811  # fixtures that are imported are named again by the tests that take them

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

import pytest
from confluent_kafka.admin import AclOperation

from meter.client import AccountsProducer, UsageProducer
from meter.runtime.kafka import Message, Producer
from meter.runtime.postgres import Pool
from meter.runtime.settings import Settings
from schemas.topics import TOPICS, USAGE
from tests.support.own_kafka import stack  # noqa: F401  # fixtures are arguments below
from tests.support.processes import Processes, ServiceProcess
from tests.support.secured_kafka import PASSWORD, TOPIC, USER, SecuredKafka, kafka  # noqa: F401  # fixtures are arguments below
from tests.support.verb_arguments import ARGUMENTS, KAFKA
from tests.support.verb_faults import WRONG, Fault, try_verb
from tests.support.verbs import SERVICES, VERBS, find
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("secured_kafka")

NOWHERE = "127.0.0.1:1"
SAID_S = 60
ASKED = [verb for verb in VERBS if verb not in SERVICES and KAFKA in ARGUMENTS[" ".join(verb)].needs]
# On Citus they refuse before they ask Kafka: tests/e2e/test_citus.py.
OF_ONE_SERVER = [("meter", "seal"), ("meter", "split")]
PARTS_OF_ASKED = [
    pytest.param([verb for verb in ASKED if verb not in OF_ONE_SERVER], id="all"),
    pytest.param(OF_ONE_SERVER, id="of one server", marks=pytest.mark.not_on_citus("both verbs refuse there")),
]
SENDERS = [verb for verb in ASKED if any("--no-wait" in option.secondary_opts for option in find(verb).params)]
FOLDED = """
SELECT (SELECT count(*) FROM projections.accounts WHERE state = 'closed') = 1
   AND (SELECT count(*) FROM meter.rejections) = 1
   AND (SELECT count(*) FROM meter.events WHERE type < 5) = 1
   AND (SELECT bool_and(c.position = s.next_position - 1) FROM meter.shards s JOIN projections.cursors c USING (shard))
"""


@pytest.fixture
async def rejection(installed: None, processes: Processes, settings: Settings, pool: Pool) -> str:
    """An open account with usage, a closed one, and a rejection, whose id this is; nothing runs any more."""
    started = [processes.start("meter"), processes.start("projections")]
    async with (
        AccountsProducer(settings, source="//example.com") as accounts,
        UsageProducer(settings, source="//example.com") as usage,
        Producer(settings) as producer,
    ):
        await accounts.opened("acct-1", plan="free", contacts=["owner@example.com"])
        await accounts.opened("acct-3", plan="free", contacts=[])
        await accounts.closed("acct-3")
        await usage.model_inference("acct-1", credits="5", model="small-chat", event_id="request-1")
        await producer.publish([Message(USAGE, "acct-1", b"{")])
    await until(partial(pool.fetchval, FOLDED), 60, "stored and folded")
    for service in started:
        service.terminate()
    assert [await asyncio.to_thread(service.wait) for service in started] == [0, 0]
    return str(await pool.fetchval("SELECT rejection_id FROM meter.rejections"))


def login(kafka: SecuredKafka, **changes: str) -> dict[str, str]:
    own = {
        "kafka_bootstrap": kafka.secured, "kafka_security_protocol": "SASL_PLAINTEXT", "kafka_sasl_mechanism": "PLAIN",
        "kafka_sasl_username": USER, "kafka_sasl_password": PASSWORD,
    }  # fmt: skip
    return {f"METERING_{name.upper()}": value for name, value in (own | changes).items()}


def try_all(verbs: list[tuple[str, ...]], fault: Fault, env: dict[str, str], rejection: str) -> list[str]:
    wrong = []
    for verb in verbs:
        # With more partitions than there are, so that it has something to do.
        own = {"METERING_PARTITIONS": "6"} if verb == ("meter", "split") else {}
        wrong.append(try_verb(verb, fault, env | own, rejection=rejection))
    return list(filter(None, wrong))


@pytest.mark.parametrize("asked", PARTS_OF_ASKED)
async def test_every_verb_says_why_it_cannot_use_kafka(
    kafka: SecuredKafka, env: dict[str, str], rejection: str, asked: list[tuple[str, ...]]
) -> None:
    at, user, password = "METERING_KAFKA_BOOTSTRAP", "METERING_KAFKA_SASL_USERNAME", "METERING_KAFKA_SASL_PASSWORD"
    away, unknown = login(kafka, kafka_bootstrap=NOWHERE), login(kafka, kafka_bootstrap="kafka.invalid:9092")
    faults = [
        Fault(away, 3, [f"at {NOWHERE}", "nothing listens", f"Start it, or correct {at}"]),
        Fault(unknown, 3, ["kafka.invalid", "no address is known", f". Correct {at}"]),
        Fault(login(kafka, kafka_sasl_password=WRONG), 2, [kafka.secured, f"{user}={USER}", password]),
    ]
    wrong = []
    for fault in faults:
        wrong += await asyncio.to_thread(try_all, asked, fault, env, rejection)
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize("asked", PARTS_OF_ASKED)
async def test_every_verb_says_which_right_on_kafka_it_lacks(
    kafka: SecuredKafka, env: dict[str, str], rejection: str, topic_prefix: str, asked: list[tuple[str, ...]]
) -> None:
    """Without any; and who may only read does not send."""
    lacking = Fault(login(kafka), 1, ["kafka refuses", "METERING_KAFKA_SASL_USERNAME", "deploy/kafka-acls.txt"])
    wrong = await asyncio.to_thread(try_all, asked, lacking, env, rejection)
    for topic in TOPICS:
        kafka.allow(TOPIC, topic_prefix + topic.name, AclOperation.READ)
    wrong += await asyncio.to_thread(try_all, [verb for verb in SENDERS if verb in asked], lacking, env, rejection)
    assert len(SENDERS) > 8
    assert wrong == [], "\n".join(wrong)


ON_KAFKA = sorted(SERVICES - {("projections", "console")})


@pytest.mark.usefixtures("installed")
async def test_every_service_says_which_login_kafka_refuses(kafka: SecuredKafka, processes: Processes) -> None:
    """And goes on trying: a password may be put right on the broker, or in its file."""
    wrong = own_settings(login(kafka, kafka_sasl_password=WRONG))
    words = [f"METERING_KAFKA_SASL_USERNAME={USER}", "METERING_KAFKA_SASL_PASSWORD"]
    await check_refused([processes.make(*verb, **wrong).spawn() for verb in ON_KAFKA], words)


@pytest.mark.usefixtures("installed")
async def test_every_service_says_which_right_on_kafka_it_lacks(kafka: SecuredKafka, processes: Processes) -> None:
    lacking = own_settings(login(kafka))
    words = ["kafka refuses", kafka.secured, f"METERING_KAFKA_SASL_USERNAME={USER}", "deploy/kafka-acls.txt"]
    await check_refused([processes.make(*verb, **lacking).spawn() for verb in ON_KAFKA], words)


async def check_refused(started: Sequence[ServiceProcess], words: Sequence[str]) -> None:
    for service in started:
        await until(partial(service.logged, "access_refused"), SAID_S, service.output)
        detail = service.logged("access_refused")[0]["detail"]
        assert [word for word in words if word not in detail] == []
        service.terminate()
    assert [await asyncio.to_thread(service.wait) for service in started] == [0] * len(started)
    assert not any(WRONG in service.output() or "Traceback" in service.output() for service in started)


def own_settings(variables: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix("METERING_").lower(): value for name, value in variables.items()}
