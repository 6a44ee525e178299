"""A Kafka Streams program, exactly once and without Postgres, over the same backlog: `tests/bench/peers/streams`."""

import asyncio
import itertools
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.local.child import Child
from schemas.topics import ACCOUNTS, USAGE
from tests.bench.check import MODEL_CREDITS, TOOL_RUNS, WrongResultError, check_used, compare_notices
from tests.bench.databases import Used
from tests.bench.go_peer import check_alive
from tests.bench.load import delete_topics
from tests.bench.notices import Notice
from tests.bench.scenario import Scenario
from tests.bench.servers import PARTITIONS
from tests.bench.timing import Clock, Run, Seen, time_run

NAME = "streams_peer"
OUTPUTS = ("log", "balances", "notices", "rejections")
ANSWER_S = 30
RESOURCES = {"model_credits": MODEL_CREDITS, "tool_runs": TOOL_RUNS}
_numbers = itertools.count(1)


async def measure_streams_peer(scenario: Scenario, command: Sequence[str]) -> Run:
    """Until the last transaction is committed, balances and notices with it; a commit each second."""
    bootstrap = scenario.bench.servers.kafka.bootstrap
    application = f"{scenario.prefix}streams-{next(_numbers)}"
    outputs = f"{application}-"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    await asyncio.to_thread(create_topics, admin, [outputs + name for name in OUTPUTS])
    with tempfile.TemporaryDirectory(prefix="credit-meter-streams-") as stores:
        arguments = [bootstrap, application, scenario.prefix, outputs, stores]
        run = await run_program(scenario, admin, application, [*command, *arguments])
    await asyncio.to_thread(check_outputs, scenario, bootstrap, outputs)
    await asyncio.to_thread(delete_topics, bootstrap, application)
    return run


async def run_program(scenario: Scenario, admin: AdminClient, application: str, command: list[str]) -> Run:
    bench = scenario.bench
    topics = [scenario.prefix + name for name in (USAGE, ACCOUNTS)]
    goal = scenario.expected.records + scenario.opened

    async def look() -> Seen:
        return Seen(await asyncio.to_thread(count_committed, admin, application, topics), 0)

    peer = Child(NAME, command, bench.logs, keeps=True)
    began = Clock(time.perf_counter(), 0)
    peer.spawn()
    try:
        pids = {NAME: peer.pid} | bench.servers.pids()
        return await time_run(began, goal, look, pids, lambda: check_alive(peer))
    finally:
        await asyncio.to_thread(peer.stop)


def create_topics(admin: AdminClient, names: Sequence[str]) -> None:
    for made in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names]).values():
        made.result(ANSWER_S)


def count_committed(admin: AdminClient, group: str, topics: Sequence[str]) -> int:
    """Records of these topics whose offsets the group has committed: with exactly once, what they led to as well."""
    try:
        found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(ANSWER_S)
    except KafkaException:
        return 0  # the group is not there yet, or its coordinator
    return sum(place.offset for place in found.topic_partitions or () if place.topic in topics and place.offset > 0)


def check_outputs(scenario: Scenario, bootstrap: str, outputs: str) -> None:
    """Read what was committed, and compare it with the workload to the micro-unit."""
    expected = scenario.expected
    logged = sum(1 for _ in read_topic(bootstrap, outputs + "log")) - scenario.opened
    refused = read_topic(bootstrap, outputs + "rejections")
    reasons = Counter(dict(message.headers() or ())["reason"] for message in refused)
    found = (logged, reasons.pop(b"duplicate", 0), reasons.total())
    if found != (expected.events, expected.duplicates, expected.rejected):
        raise WrongResultError(f"of {expected.records} records the Streams peer made {found}")
    check_used(expected, read_balances(bootstrap, outputs), "the Streams peer's balances")
    compare_notices(expected, set(read_notices(bootstrap, outputs)))


def read_balances(bootstrap: str, outputs: str) -> Used:
    used: Used = {}
    for message in read_topic(bootstrap, outputs + "balances"):  # the last of an account counts
        balance = json.loads(message.value() or b"")
        used.update({(name_of(message), code): balance[name]["used"] for name, code in RESOURCES.items()})
    return used


def read_notices(bootstrap: str, outputs: str) -> Iterator[Notice]:
    for message in read_topic(bootstrap, outputs + "notices"):
        notice = json.loads(message.value() or b"")
        yield name_of(message), notice["resource"], notice["channel"], notice["threshold"]


def name_of(message: Message) -> str:
    key = message.key()
    return key.decode() if isinstance(key, bytes) else str(key)


def read_topic(bootstrap: str, topic: str) -> Iterator[Message]:
    """Every committed record, each partition in its order."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "bench-check",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
        ended = 0
        while ended < PARTITIONS:
            message = consumer.poll(ANSWER_S)
            if message is None:
                raise TimeoutError(f"{topic} was not read to its end: nothing came for {ANSWER_S} s")
            if message.error() is None:
                yield message
            else:
                ended += 1  # the end of a partition is the one error that is asked for
    finally:
        consumer.close()
