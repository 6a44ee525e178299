"""Apache Kafka with passwords (SASL PLAIN) and access control (ACLs), as a company's cluster has them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from deploy.local.apache_kafka import HOST, ApacheKafka
from deploy.local.ports import free_port
from tests.support.own_kafka import start_own

USER, PASSWORD = "credits", "opensesame"  # of a broker that lives for one test
TIMEOUT_S: Final = 30
TOPIC, GROUP = ResourceType.TOPIC, ResourceType.GROUP


class SecuredKafka(ApacheKafka):
    """The user comes in by password at `secured` and may do what was granted; at `bootstrap` everybody may do all."""

    def __init__(self, jars: Path) -> None:
        self._secured = free_port(HOST)
        super().__init__(jars)

    @property
    def secured(self) -> str:
        return f"{HOST}:{self._secured}"

    def settle(self, own: dict[str, str]) -> dict[str, str]:
        login = "org.apache.kafka.common.security.plain.PlainLoginModule"
        return own | {
            "listeners": f"{own['listeners']},SASL_PLAINTEXT://{self.secured}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": f'{login} required user_{USER}="{PASSWORD}";',
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }

    def make_topics(self, *names: str) -> None:
        admin = self._admin()
        for made in admin.create_topics([NewTopic(name, 1, 1) for name in names]).values():
            made.result(TIMEOUT_S)

    def allow(self, kind: ResourceType, name: str, operation: AclOperation) -> None:
        right = AclBinding(
            kind, name, ResourcePatternType.LITERAL, f"User:{USER}", "*", operation, AclPermissionType.ALLOW
        )
        admin = self._admin()
        for made in admin.create_acls([right]).values():
            made.result(TIMEOUT_S)

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap})


@pytest.fixture(scope="module")
def kafka() -> Iterator[SecuredKafka]:
    yield from start_own(SecuredKafka, "access control")
