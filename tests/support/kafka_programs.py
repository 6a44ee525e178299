"""Kafka's own programs, as the guides name them, and a Kafka of three brokers for them to work on."""

import shlex
from pathlib import Path
from typing import Final

import pytest

from deploy.local import apache_kafka
from deploy.local.apache_kafka import ApacheKafka
from tests.support.building import MAVEN
from tests.support.clients import build_clients

# The class behind each script of a Kafka installation.
PROGRAMS: Final = {
    "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
    "kafka-reassign-partitions.sh": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "kafka-transactions.sh": "org.apache.kafka.tools.TransactionsCommand",
}
JVM: Final = ("-Xmx256m", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:+UseSerialGC")
# Guides name brokers that are not here: what stands behind --bootstrap-server is all that is not taken as it stands.
SCRIPT: Final = """\
#!/bin/bash
given=()
while [ $# -gt 0 ]; do
    given+=("$1")
    if [ "$1" = --bootstrap-server ]; then given+=({bootstrap}); shift; fi
    shift
done
exec {command} "${{given[@]}}"
"""


def write_programs(folder: Path, bootstrap: str) -> None:
    """Skips the test where Java or Kafka's jars cannot be had."""
    if why := apache_kafka.missing():
        pytest.skip(f"Kafka's programs: {why}")
    jars = build_clients("kafka", "mvn", [*MAVEN, "dependency:copy-dependencies", "-DoutputDirectory=jars"]) / "jars"
    for name, program in PROGRAMS.items():
        command = shlex.join([apache_kafka.java(), *JVM, "-cp", f"{jars}/*", program])
        script = folder / name
        script.write_text(SCRIPT.format(bootstrap=bootstrap, command=command), encoding="utf-8")
        script.chmod(0o755)


class Broker(ApacheKafka):
    """One of several. The first is the controller as well; rights are looked at, and everybody here may do all."""

    session_ms = 3_000  # the others take over from one that is gone

    def __init__(self, jars: Path, number: int, first: "Broker | None" = None) -> None:
        self._number, self._first = number, first
        super().__init__(jars, heap_mb=256)
        if first is not None:
            self.cluster = first.cluster

    def settle(self, own: dict[str, str]) -> dict[str, str]:
        common = {
            "node.id": str(self._number),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }
        if self._first is None:
            return own | common
        return own | common | {
            "process.roles": "broker",
            "listeners": own["listeners"].partition(",")[0],
            "controller.quorum.voters": self._first.voters,
        }  # fmt: skip
