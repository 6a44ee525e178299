"""The guides' blocks that call Kafka's own programs, as pasted, on three brokers; and what came of each."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramMechanism,
)

from deploy.kafka_acls import read_rights
from deploy.local import apache_kafka
from schemas.topics import ACCOUNTS, BALANCES, NOTIFICATIONS, USAGE
from tests.support.guides import ROOT, Block, blocks
from tests.support.kafka_programs import PROGRAMS, Broker, write_programs
from tests.support.tls_kafka import KINDS, OPERATIONS
from tests.support.waiting import until_sync

pytestmark = pytest.mark.xdist_group("kafka_programs")

PARTITIONS = 12  # the default, of which the guide speaks
TIMEOUT_S = 60
BLOCK_TIMEOUT_S = 400  # 43 rights, each by a Java of its own
BLOCKS = {block.text: block for block in blocks("sh") if any(name in block.text for name in PROGRAMS)}


def block(words: str) -> Block:
    [found] = [block for text, block in BLOCKS.items() if words in text]
    return found


# Each block by words that it alone has.
TRIED = {
    "kafka-acls.sh": "--add \\\n", "grow": "--alter --topic $topic", "copies": "copies.json",
    "password": "SCRAM-SHA-512=[password=", "quota": "producer_byte_rate", "hanging": "find-hanging",
    "abort": " abort --topic",
}  # fmt: skip


def test_every_block_with_such_a_program_is_tried() -> None:
    assert {block(words).text for words in TRIED.values()} == set(BLOCKS)


@pytest.fixture(scope="module")
def brokers() -> Iterator[list[Broker]]:
    if why := apache_kafka.missing():
        pytest.skip(f"Apache Kafka: {why}")
    jars = apache_kafka.fetch_jars()
    first = Broker(jars, 1)
    made = [first, Broker(jars, 2, first), Broker(jars, 3, first)]
    try:
        for one in made:
            one.start()
        yield made
    finally:
        for one in made:
            one.close()


@pytest.fixture(scope="module")
def admin(brokers: list[Broker]) -> AdminClient:
    """Of a cluster with the topics as `meter setup` makes them without METERING_REPLICATION_FACTOR."""
    made = AdminClient({"bootstrap.servers": brokers[0].bootstrap})
    topics = [NewTopic(name, PARTITIONS, 1) for name in (USAGE, ACCOUNTS, BALANCES, NOTIFICATIONS)]
    for future in made.create_topics(topics).values():
        future.result(TIMEOUT_S)
    return made


@pytest.fixture
def paste(brokers: list[Broker], admin: AdminClient, tmp_path: Path) -> Any:
    """Runs a block in a shell where the guide's commands are found, from a folder as the project's."""
    programs = tmp_path / "programs"
    programs.mkdir()
    write_programs(programs, brokers[0].bootstrap)
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    (tmp_path / "admin.properties").write_text("client.id=administrator\n")

    def run(text: str) -> str:
        done = subprocess.run(
            ["sh", "-euc", text], cwd=tmp_path, env=os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"},
            capture_output=True, text=True, timeout=BLOCK_TIMEOUT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


def replicas_of(admin: AdminClient, topic: str) -> list[list[int]]:
    """The brokers of each partition."""
    found = admin.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
    return [sorted(found[number].replicas) for number in sorted(found)]


def test_the_rights_of_the_list_are_granted_and_no_others(paste: Any, admin: AdminClient) -> None:
    paste(block(TRIED["kafka-acls.sh"]).text)
    everything = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    granted = {
        (acl.principal, acl.operation, acl.restype, acl.name)
        for acl in admin.describe_acls(everything).result(TIMEOUT_S)
        if acl.permission_type is AclPermissionType.ALLOW
    }
    wanted = {(f"User:{one.user}", OPERATIONS[one.operation], KINDS[one.kind], one.name) for one in read_rights()}
    assert granted == wanted


def test_three_copies_and_two_that_must_be_in_step(paste: Any, admin: AdminClient) -> None:
    wanted = [[1, 2, 3]] * PARTITIONS
    assert replicas_of(admin, USAGE) != wanted
    paste(block(TRIED["copies"]).text)
    until_sync(lambda: replicas_of(admin, USAGE) == wanted, TIMEOUT_S, "three copies")
    [future] = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, USAGE)]).values()
    config = {name: entry.value for name, entry in future.result(TIMEOUT_S).items()}
    assert (config["min.insync.replicas"], config["unclean.leader.election.enable"]) == ("2", "false")


def test_a_users_new_password(paste: Any, admin: AdminClient) -> None:
    paste(block(TRIED["password"]).text)
    [future] = admin.describe_user_scram_credentials(["credit-meter"]).values()
    [credential] = future.result(TIMEOUT_S).scram_credential_infos
    assert credential.mechanism is ScramMechanism.SCRAM_SHA_512


def test_a_producers_quota(paste: Any) -> None:
    said = paste(block(TRIED["quota"]).text)
    assert "Quota configs for user-principal 'usage-producer' are producer_byte_rate=1048576" in said


def test_a_transaction_that_hangs_is_found_and_ended(paste: Any, admin: AdminClient, brokers: list[Broker]) -> None:
    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": brokers[0].bootstrap,
            "transactional.id": "forgotten",
            "transaction.timeout.ms": 600_000,
        }
    )
    producer.init_transactions(TIMEOUT_S)
    producer.begin_transaction()
    producer.produce(USAGE, b"{}", partition=0)
    producer.flush(TIMEOUT_S)
    said = paste(block(TRIED["hanging"]).text)
    header, *rows = [
        line.split() for line in said.splitlines() if "CurrentTransactionStartOffset" in line or rows_of(line)
    ]
    assert [row[header.index("CurrentTransactionStartOffset")] for row in rows] == ["0"], said
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": brokers[0].bootstrap, "group.id": "tests", "isolation.level": "read_committed"}
    )
    try:
        partition = confluent_kafka.TopicPartition(USAGE, 0)
        paste(block(TRIED["abort"]).text)
        # The mark that ends it stands behind the record: what is behind can be read.
        until_sync(
            lambda: consumer.get_watermark_offsets(partition, timeout=TIMEOUT_S)[1] == 2, TIMEOUT_S, "it is ended"
        )
    finally:
        consumer.close()


def rows_of(line: str) -> bool:
    """Whether it is a row of figures."""
    return line.split()[:1] != [] and line.split()[0].isdecimal()


def test_more_partitions_of_all_four(paste: Any, admin: AdminClient) -> None:
    """The last one: Kafka cannot take it back."""
    paste(block(TRIED["grow"]).text)
    for topic in (USAGE, ACCOUNTS, BALANCES, NOTIFICATIONS):
        until_sync(lambda: len(replicas_of(admin, topic)) == 24, TIMEOUT_S, f"{topic} has grown")  # noqa: B023
