"""Kafka clients of other languages, built from `tests/clients` once. What cannot be had is skipped by name."""

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from deploy.local import apache_kafka
from meter.runtime.settings import Settings

CLIENTS = Path(__file__).resolve().parent.parent / "clients"
CACHE = apache_kafka.CACHE.parent / "clients"
BUILD_TIMEOUT_S, RUN_TIMEOUT_S = 600, 120
MAVEN = ["mvn", "-q", "-B", "--strict-checksums"]
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
    return build("go", "go", ["go", "mod", "download"], ["go", "build", "-o", "bin/", "./..."])


def node(client: str) -> list[str]:
    return [shutil.which("node") or "node", str(node_directory() / "produce.js"), client]


def node_directory() -> Path:
    return build("node", "npm", ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"])


def librdkafka(partitioner: str) -> list[str]:
    return [sys.executable, str(CLIENTS / "python" / "produce.py"), partitioner]


def java(program: str) -> list[str]:
    """The command for a source file of the folder to be run in, or for a class of the jars."""
    if why := apache_kafka.missing():
        pytest.skip(f"Java's client: {why}")
    directory = build("java", "mvn", [*MAVEN, "dependency:copy-dependencies", "-DoutputDirectory=jars"])
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


def build(name: str, tool: str, fetch: Sequence[str], compile: Sequence[str] = ()) -> Path:
    """A folder with the clients of `tests/clients/<name>`, built.

    Skips the test where the tool or what is to be fetched cannot be had. What does not compile is our own fault, and
    fails.
    """
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not there to build the clients of tests/clients/{name}")
    source = CLIENTS / name
    names = sorted(file for file in source.rglob("*") if file.is_file() and "node_modules" not in file.parts)
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in names)).hexdigest()[:12]
    target = CACHE / f"{name}-{digest}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        # Tests run side by side: one builds, the others wait for it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / ".built").exists():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("node_modules"))
            if why := run_in(target, fetch):
                pytest.skip(f"the clients of tests/clients/{name} cannot be fetched: {why[-200:]}")
            if compile and (why := run_in(target, compile)):
                pytest.fail(why)
            (target / ".built").touch()
    return target


def run_in(directory: Path, command: Sequence[str]) -> str:
    """What the command said where it failed; "" where it did not."""
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False)
    if done.returncode == 0:
        return ""
    return f"{' '.join(command)}: {(done.stderr + done.stdout).strip() or done.returncode}"


def run(command: Sequence[str], text: bytes = b"") -> bytes:
    done = subprocess.run(command, input=text, capture_output=True, timeout=RUN_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
