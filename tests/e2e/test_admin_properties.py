"""What deploy/README.md says stands in admin.properties: with it Kafka's own programs come in over TLS, as a user."""

# ruff: noqa: F811  # fixtures that are imported are named again by the tests that take them

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.certificates import Certificates
from tests.support.guides import ROOT
from tests.support.kafka_programs import write_programs
from tests.support.tls_kafka import TlsKafka, certificates, kafka, standard_key  # noqa: F401  # fixtures are arguments below

pytestmark = pytest.mark.xdist_group("admin_properties")

[GIVEN] = re.findall(r"```properties\n(.*?)```", (ROOT / "deploy/README.md").read_text(encoding="utf-8"), re.DOTALL)
USER, PASSWORD, AUTHORITIES = "admin", "its-password", "/etc/kafka/ca.pem"  # as the guide names them
ASKED = (
    ("kafka-topics.sh", "--command-config", "admin.properties", "--list"),
    ("kafka-transactions.sh", "--command-config", "admin.properties", "find-hanging", "--broker-id", "1"),
)
TIMEOUT_S = 180  # a Java of its own each


@pytest.fixture(scope="module", autouse=True)
def _user(kafka: TlsKafka) -> None:
    kafka.set_password(USER, "SCRAM-SHA-512", PASSWORD)


def ask(folder: Path, address: str, properties: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A program with this admin.properties beside it."""
    write_programs(folder, address)
    (folder / "admin.properties").write_text(properties, encoding="utf-8")
    program, *rest = words
    return subprocess.run(
        [folder / program, "--bootstrap-server", "kafka.example.com:9092", *rest],
        cwd=folder, capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
    )  # fmt: skip


@pytest.mark.parametrize("words", ASKED, ids=lambda words: words[0])
def test_a_password_is_taken(
    kafka: TlsKafka, certificates: Certificates, tmp_path: Path, words: tuple[str, ...]
) -> None:
    properties = GIVEN.replace(AUTHORITIES, certificates.cafile)
    assert properties != GIVEN
    done = ask(tmp_path, kafka.address("SCRAM"), properties, *words)
    assert done.returncode == 0, done.stdout + done.stderr


def test_another_password_is_refused(kafka: TlsKafka, certificates: Certificates, tmp_path: Path) -> None:
    """The test of the one above: it can fail."""
    properties = GIVEN.replace(AUTHORITIES, certificates.cafile).replace(f'"{PASSWORD}"', '"another"')
    done = ask(tmp_path, kafka.address("SCRAM"), properties, *ASKED[0])
    assert done.returncode != 0 and "uthentication failed" in done.stdout + done.stderr


def test_a_certificate_is_taken(kafka: TlsKafka, certificates: Certificates, tmp_path: Path) -> None:
    made = certificates.authority.issue_cert("admin.example.com", common_name=USER)
    both = tmp_path / "admin.both.pem"
    both.write_bytes(standard_key(made) + b"".join(blob.bytes() for blob in made.cert_chain_pems))
    kept = [line for line in GIVEN.splitlines() if not line.startswith("sasl.")]
    assert len(kept) == len(GIVEN.splitlines()) - 2
    lines = [*kept, "ssl.keystore.type=PEM", f"ssl.keystore.location={both}"]
    properties = "\n".join(lines).replace("=SASL_SSL", "=SSL").replace(AUTHORITIES, certificates.cafile)
    done = ask(tmp_path, kafka.address("MTLS"), properties, *ASKED[0])
    assert done.returncode == 0, done.stdout + done.stderr
