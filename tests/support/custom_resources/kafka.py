"""Topics and users of Strimzi."""

from typing import Literal

from pydantic import Field

from tests.support.custom_resources.common import Named, Part, Text


class TopicSpec(Part):
    partitions: int = Field(ge=1)
    replicas: int = Field(ge=1, le=32_767)
    config: Text


class KafkaTopic(Named):
    apiVersion: Literal["kafka.strimzi.io/v1"]
    kind: Literal["KafkaTopic"]
    spec: TopicSpec


class AclResource(Part):
    type: Literal["topic", "group", "cluster", "transactionalId"]
    name: str
    patternType: Literal["literal", "prefix"]


class Acl(Part):
    resource: AclResource
    operations: list[Literal["Read", "Write", "Create", "Delete", "Alter", "Describe", "DescribeConfigs"]] = Field(
        min_length=1
    )


class Authorization(Part):
    type: Literal["simple"]
    acls: list[Acl]


class Authentication(Part):
    type: Literal["tls", "tls-external", "scram-sha-512"]


class UserSpec(Part):
    authentication: Authentication
    authorization: Authorization


class KafkaUser(Named):
    apiVersion: Literal["kafka.strimzi.io/v1"]
    kind: Literal["KafkaUser"]
    spec: UserSpec
