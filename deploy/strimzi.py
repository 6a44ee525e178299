"""Writes Kafka's topics and users for Strimzi's operators: topics as `meter setup` makes them, users with the rights of
kafka-acls.txt. `make strimzi` writes the files anew.

Strimzi's names of the objects are those of the topics and users, so METERING_TOPIC_PREFIX does not go with it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import yaml

from deploy.kafka_acls import Right, read_rights
from meter.runtime.kafka.admin import wanted_config
from schemas.topics import TOPICS, TopicSpec

FOLDER: Final = Path(__file__).parent / "kubernetes/production"
API: Final = "kafka.strimzi.io/v1"
CLUSTER: Final = "kafka"  # the name of the Kafka object whose operators take these
COPIES: Final = 3
PART_OF: Final = {"app.kubernetes.io/part-of": "credit-meter", "strimzi.io/cluster": CLUSTER}
HEAD: Final = "# Written by `make strimzi`: do not change it by hand.\n"


def metadata(name: str) -> dict[str, Any]:
    return {"name": name, "labels": PART_OF}


def make_topic(spec: TopicSpec) -> dict[str, Any]:
    return {
        "apiVersion": API,
        "kind": "KafkaTopic",
        "metadata": metadata(spec.name),
        "spec": {"partitions": spec.partitions, "replicas": COPIES, "config": wanted_config(spec, COPIES)},
    }


def make_user(name: str, rights: Iterable[Right]) -> dict[str, Any]:
    """A certificate and not a password: a new one counts from the next connection on, without a restart."""
    operations: dict[tuple[str, str], list[str]] = {}
    for right in rights:
        operations.setdefault((right.kind, right.name), []).append(right.operation)
    acls = [
        {"resource": {"type": kind, "name": resource, "patternType": "literal"}, "operations": allowed}
        for (kind, resource), allowed in operations.items()
    ]
    return {
        "apiVersion": API,
        "kind": "KafkaUser",
        "metadata": metadata(name),
        "spec": {"authentication": {"type": "tls"}, "authorization": {"type": "simple", "acls": acls}},
    }


def make_users(rights: list[Right]) -> list[dict[str, Any]]:
    names = dict.fromkeys(right.user for right in rights)
    return [make_user(name, [right for right in rights if right.user == name]) for name in names]


class Plain(yaml.SafeDumper):
    """Without anchors: labels that several objects share are written out."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def render(objects: list[dict[str, Any]]) -> str:
    return HEAD + yaml.dump_all(objects, Dumper=Plain, sort_keys=False, width=120)


def files() -> dict[str, str]:
    """Name and text of each file."""
    return {
        "topics.yaml": render([make_topic(spec) for spec in TOPICS]),
        "users.yaml": render(make_users(read_rights())),
    }


def main() -> None:
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
