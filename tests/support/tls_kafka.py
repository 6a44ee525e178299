"""Apache Kafka with TLS, SCRAM and clients' certificates, and the rights of deploy/kafka-acls.txt."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
import trustme
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from deploy.kafka_acls import Right, read_rights
from deploy.local.apache_kafka import HOST, ApacheKafka
from deploy.local.ports import free_port
from tests.support.certificates import Certificates
from tests.support.own_kafka import start_own

MECHANISMS = {"SCRAM-SHA-512": ScramMechanism.SCRAM_SHA_512, "SCRAM-SHA-256": ScramMechanism.SCRAM_SHA_256}
SCRAM_LOGIN: Final = "org.apache.kafka.common.security.scram.ScramLoginModule"
LISTENERS = ("SCRAM", "MTLS", "OTHERNAME", "EXPIRED")
PASSWORD: Final = "opensesame"  # of a broker that lives for one test
TIMEOUT_S: Final = 30
ITERATIONS: Final = 4096
OPERATIONS = {
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Create": AclOperation.CREATE,
    "Delete": AclOperation.DELETE,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
}
KINDS = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "transactional-id": ResourceType.TRANSACTIONAL_ID}


class TlsKafka(ApacheKafka):
    """SCRAM over TLS at `address("SCRAM")`, clients' certificates at "MTLS"; the others show bad certificates.

    At `bootstrap` everybody may do all, for the test's own work.
    """

    def __init__(self, jars: Path, certificates: Certificates) -> None:
        self._ports = {name: free_port(HOST) for name in LISTENERS}
        self._certificates = certificates
        super().__init__(jars)

    def address(self, listener: str) -> str:
        return f"localhost:{self._ports[listener]}"

    def settle(self, own: dict[str, str]) -> dict[str, str]:
        kinds = {
            "CONTROLLER": "PLAINTEXT",
            "PLAINTEXT": "PLAINTEXT",
            **dict.fromkeys(LISTENERS, "SSL"),
            "SCRAM": "SASL_SSL",
        }
        addresses = [f"{name}://{self.address(name)}" for name in LISTENERS]
        plain = own["listeners"].partition(",")[0]
        properties = {
            "listeners": ",".join([own["listeners"], *addresses]),
            "advertised.listeners": ",".join([plain, *addresses]),
            "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in kinds.items()),
            "listener.name.scram.sasl.enabled.mechanisms": ",".join(MECHANISMS),
            "listener.name.mtls.ssl.client.auth": "required",
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "log.message.timestamp.after.max.ms": str(2**63 - 1),  # as brokers before 3.6: they take any timestamp
        }
        for mechanism in MECHANISMS:
            properties[f"listener.name.scram.{mechanism.lower()}.sasl.jaas.config"] = f"{SCRAM_LOGIN} required;"
        for name in LISTENERS:
            properties |= self._stores(f"listener.name.{name.lower()}.ssl.", name)
        self._write_stores(self._certificates, [self._certificates.authority])
        return own | properties

    def _stores(self, prefix: str, name: str) -> dict[str, str]:
        return {
            f"{prefix}keystore.type": "PEM",
            f"{prefix}keystore.location": str(self.directory / f"{name}.pem"),
            f"{prefix}truststore.type": "PEM",
            f"{prefix}truststore.location": str(self.directory / "trusted.pem"),
        }

    def _write_stores(self, shown: Certificates, trusted: Sequence[trustme.CA]) -> None:
        good = shown.server()
        kinds = {"SCRAM": good, "MTLS": good, "OTHERNAME": shown.other_name(), "EXPIRED": shown.expired()}
        for name, certificate in kinds.items():
            chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
            (self.directory / f"{name}.pem").write_bytes(standard_key(certificate) + chain)
        (self.directory / "trusted.pem").write_bytes(b"".join(one.cert_pem.bytes() for one in trusted))

    def show(self, certificates: Certificates, trusted: Sequence[trustme.CA]) -> None:
        """Restart with other certificates: every connection is made anew."""
        self._write_stores(certificates, trusted)
        self.restart()

    def restart(self) -> None:
        self.stop()
        self.start()

    def set_password(self, user: str, mechanism: str, password: str) -> None:
        credentials = ScramCredentialInfo(MECHANISMS[mechanism], ITERATIONS)
        self._alter(UserScramCredentialUpsertion(user, credentials, password.encode()))

    def take_password(self, user: str, mechanism: str) -> None:
        self._alter(UserScramCredentialDeletion(user, MECHANISMS[mechanism]))

    def _alter(self, change: UserScramCredentialAlteration) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for future in admin.alter_user_scram_credentials([change]).values():
            future.result(TIMEOUT_S)

    def add_users(self, prefix: str) -> None:
        """Every user of the list with its rights, on topics and groups with this prefix."""
        admin, rights = AdminClient({"bootstrap.servers": self.bootstrap}), read_rights()
        credentials = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS)
        users = {right.user for right in rights}
        made = admin.alter_user_scram_credentials(
            [UserScramCredentialUpsertion(user, credentials, PASSWORD.encode()) for user in sorted(users)]
        )
        bindings = [binding(right, prefix) for right in rights]
        for future in [*made.values(), *admin.create_acls(bindings).values()]:
            future.result(TIMEOUT_S)

    def give(self, right: Right, prefix: str) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for future in admin.create_acls([binding(right, prefix)]).values():
            future.result(TIMEOUT_S)

    def take(self, right: Right, prefix: str) -> None:
        admin, taken = AdminClient({"bootstrap.servers": self.bootstrap}), binding(right, prefix)
        wanted = AclBindingFilter(
            taken.restype, taken.name, taken.resource_pattern_type, taken.principal, taken.host, taken.operation,
            taken.permission_type,
        )  # fmt: skip
        [future] = admin.delete_acls([wanted]).values()
        assert len(future.result(TIMEOUT_S)) == 1


def binding(right: Right, prefix: str) -> AclBinding:
    return AclBinding(
        KINDS[right.kind], prefix + right.name, ResourcePatternType.LITERAL, f"User:{right.user}", "*",
        OPERATIONS[right.operation], AclPermissionType.ALLOW,
    )  # fmt: skip


def standard_key(certificate: trustme.LeafCert) -> bytes:
    """The key in the form (PKCS #8) that Java reads."""
    key = load_pem_private_key(certificate.private_key_pem.bytes(), password=None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def kafka(certificates: Certificates) -> Iterator[TlsKafka]:
    yield from start_own(lambda jars: TlsKafka(jars, certificates), "TLS")


def login(kind: str, user: str, kafka: TlsKafka, certificates: Certificates) -> dict[str, str]:
    """The settings of a user by either way; the protocol follows from them."""
    common = {"kafka_bootstrap": kafka.address(kind), "kafka_ssl_cafile": certificates.cafile}
    if kind == "SCRAM":
        return common | {"kafka_sasl_username": user, "kafka_sasl_password": PASSWORD}
    certfile, keyfile = certificates.client(user)
    return common | {"kafka_ssl_certfile": certfile, "kafka_ssl_keyfile": keyfile}
