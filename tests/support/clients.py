"""Kafka clients of other languages, built from `tests/clients` once. What cannot be had is skipped by name."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from deploy.local import apache_kafka
from deploy.local.child import UnavailableError
from meter.runtime.settings import Settings
from tests.support.building import LOCAL, MAVEN, ROOT, build

CLIENTS = ROOT / "tests" / "clients"
CACHE = LOCAL / "clients"
RUN_TIMEOUT_S = 120
Line = tuple[str, bytes]  # key and value of a record


class Read(NamedTuple):
    """An event as a reader of another language says it."""

    id: str
    type: str
    account_id: str
    data: dict[str, Any]


def produce_with(client: str, settings: Settings, topic: str, lines: Sequence[Line]) -> None:
    """Write records with a client that is not ours, as it does by default or as its name says."""
    arguments = [settings.kafka_bootstrap, settings.topic(topic)]
    text = b"".join(key.encode() + b"\t" + value + b"\n" for key, value in lines)
    run([*PRODUCERS[client](), *arguments], text)


def read_with(client: str, settings: Settings, topic: str, count: int) -> list[Read]:
    """The first `count` events of a topic, as a client and a CloudEvents package that are not ours say them."""
    lines = run([*READERS[client](), settings.kafka_bootstrap, settings.topic(topic), str(count)]).splitlines()
    return [Read(*json.loads(line)) for line in lines]


def go_directory() -> Path:
    return build_clients("go", "go", ["go", "mod", "download"], ["go", "build", "-o", "bin/", "./..."])


def node(client: str) -> list[str]:
    return [shutil.which("node") or "node", str(node_directory() / "produce.js"), client]


def node_directory() -> Path:
    return build_clients("node", "npm", ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"])


def librdkafka(partitioner: str) -> list[str]:
    return [sys.executable, str(CLIENTS / "python" / "produce.py"), partitioner]


def java(program: str) -> list[str]:
    """The command for a source file of the folder to be run in, or for a class of the jars."""
    if why := apache_kafka.missing():
        pytest.skip(f"Java's client: {why}")
    directory = build_clients("java", "mvn", [*MAVEN, "dependency:copy-dependencies", "-DoutputDirectory=jars"])
    return [apache_kafka.java(), "-cp", f"{directory}/jars/*", program]


PRODUCERS: dict[str, Callable[[], list[str]]] = {
    "java": lambda: java(str(CLIENTS / "java" / "Produce.java")),
    "franz-go": lambda: [str(go_directory() / "bin/produce"), "franz-go"],
    "kafka-go": lambda: [str(go_directory() / "bin/produce"), "kafka-go"],
    "kafka-go-hash": lambda: [str(go_directory() / "bin/produce"), "kafka-go-hash"],
    "kafka-go-murmur2": lambda: [str(go_directory() / "bin/produce"), "kafka-go-murmur2"],
    "sarama": lambda: [str(go_directory() / "bin/produce"), "sarama"],
    "sarama-murmur2": lambda: [str(go_directory() / "bin/produce"), "sarama-murmur2"],
    "kafkajs": lambda: node("kafkajs"),
    "kafkajs-legacy": lambda: node("kafkajs-legacy"),
    "librdkafka": lambda: librdkafka("default"),  # CRC32
    "librdkafka-fnv1a": lambda: librdkafka("fnv1a_random"),
    "librdkafka-murmur2": lambda: librdkafka("murmur2_random"),
    "librdkafka-random": lambda: librdkafka("random"),
    "librdkafka-one-partition": lambda: librdkafka("one-partition"),
}
READERS: dict[str, Callable[[], list[str]]] = {
    "java": lambda: java(str(CLIENTS / "java" / "Read.java")),
    "go": lambda: [str(go_directory() / "bin/read")],
    "kafkajs": lambda: [shutil.which("node") or "node", str(node_directory() / "read.js")],
}


def build_clients(name: str, tool: str, fetch: Sequence[str], compile: Sequence[str] = ()) -> Path:
    """A folder with the clients of `tests/clients/<name>`, built.

    Skips the test where the tool or what is to be fetched cannot be had. What does not compile is our own fault, and
    fails.
    """
    try:
        return build(CLIENTS / name, CACHE, [tool], fetch, compile)
    except UnavailableError as why:
        pytest.skip(str(why))


def run(command: Sequence[str], text: bytes = b"") -> bytes:
    done = subprocess.run(command, input=text, capture_output=True, timeout=RUN_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
