"""New secrets for Kafka while a service runs, by the steps of deploy/OPERATING.md, New secrets.

Without a restart of the service: its password, its certificate, and the authorities.
"""

# ruff: noqa: F811  # fixtures that are imported are named again by the tests that take them

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiokafka.errors import KafkaError

from meter.client import UsageProducer
from meter.runtime.errors import LoginRefusedError
from meter.runtime.postgres import Pool
from meter.runtime.settings import Settings
from tests.support.certificates import Certificates
from tests.support.meter import set_up_meter
from tests.support.own_kafka import stack  # noqa: F401  # fixtures are arguments below
from tests.support.processes import Processes, ServiceProcess
from tests.support.readiness import is_ready, is_unready
from tests.support.tls_kafka import PASSWORD, TlsKafka, certificates, kafka  # noqa: F401  # fixtures are arguments below
from tests.support.waiting import until

# In their order: the last test has this file's Kafka show other certificates.
pytestmark = pytest.mark.xdist_group("tls_kafka")

WAIT_S = 120
USER = "credit-meter"
NEW_PASSWORD = "changed once"
STORED = "SELECT count(*) FROM meter.events"


@pytest.fixture
async def stored(pool: Pool, values: dict[str, Any]) -> Any:
    """Sends one more event in clear, and waits until the meter has stored it."""
    sent = 0

    async def one_more(service: ServiceProcess) -> None:
        nonlocal sent
        async with UsageProducer(Settings(**values), source="//tests.example.com") as usage:
            await usage.tool_run("acct-1", tool="web-search")
            await usage.flush()
        sent += 1

        async def all_of_them() -> bool:
            return bool(await pool.fetchval(STORED) == sent)

        await until(all_of_them, WAIT_S, service.output)

    return one_more


async def test_a_password_without_a_restart(
    kafka: TlsKafka, certificates: Certificates, processes: Processes, values: dict[str, Any], topic_prefix: str,
    tmp_path: Path, stored: Any,
) -> None:  # fmt: skip
    """Every connection is made anew after the change, as the broker's own restart does it."""
    await set_up_meter(values)
    kafka.add_users(topic_prefix)
    password, cafile = tmp_path / "password", tmp_path / "ca.pem"
    certificates.authority.cert_pem.write_to_path(str(cafile))
    password.write_text(PASSWORD)
    own = {
        "kafka_bootstrap": kafka.address("SCRAM"), "kafka_ssl_cafile": str(cafile), "kafka_sasl_username": USER,
        "kafka_sasl_password_file": str(password),
    }  # fmt: skip
    meter = processes.start("meter", **own)
    await stored(meter)
    kafka.set_password(USER, "SCRAM-SHA-512", NEW_PASSWORD)
    await stored(meter)  # connections that stand go on
    kafka.restart()
    refusal = f"refuses the login of METERING_KAFKA_SASL_USERNAME={USER} with SCRAM-SHA-512"
    await until(partial(is_unready, meter, "kafka", refusal), WAIT_S, meter.output)
    password.write_text(NEW_PASSWORD)
    await stored(meter)
    await until(partial(is_ready, meter), WAIT_S, meter.output)
    assert meter.logged("service_refused") == [] and len(meter.logged("service_started")) == 1
    assert NEW_PASSWORD not in meter.output() and PASSWORD not in meter.output()
    meter.terminate()
    assert meter.wait() == 0, meter.output()


class Files:
    """Where a service has its certificates, to be replaced."""

    def __init__(self, folder: Path) -> None:
        self.authority, self.certificate, self.key = (str(folder / name) for name in ("ca.pem", "tls.crt", "tls.key"))

    def replace_own(self, certificates: Certificates) -> None:
        """First the key, then the certificate: the pair is taken when both belong together."""
        made, key = certificates.client(USER)
        shutil.copy(key, self.key)
        shutil.copy(made, self.certificate)

    def trust(self, *authorities: trustme.CA) -> None:
        Path(self.authority).write_bytes(b"".join(one.cert_pem.bytes() for one in authorities))


async def test_certificates_and_authorities_without_a_restart(
    kafka: TlsKafka, certificates: Certificates, processes: Processes, values: dict[str, Any], topic_prefix: str,
    tmp_path: Path, stored: Any,
) -> None:  # fmt: skip
    await set_up_meter(values)
    kafka.add_users(topic_prefix)
    files, folder = Files(tmp_path), tmp_path / "next"
    folder.mkdir()
    following = Certificates(folder)
    files.trust(certificates.authority)
    files.replace_own(certificates)
    meter = processes.start(
        "meter", kafka_bootstrap=kafka.address("MTLS"), kafka_ssl_cafile=files.authority,
        kafka_ssl_certfile=files.certificate, kafka_ssl_keyfile=files.key,
    )  # fmt: skip
    await stored(meter)
    files.trust(certificates.authority, following.authority)
    kafka.show(following, trusted=(certificates.authority, following.authority))
    await stored(meter)  # the broker has its new certificate, the meter its old one
    files.replace_own(following)
    kafka.show(following, trusted=(following.authority,))
    await stored(meter)  # nobody takes the old authority any more
    files.trust(following.authority)
    kafka.show(following, trusted=(following.authority,))
    await stored(meter)
    assert meter.logged("service_refused") == [] and len(meter.logged("service_started")) == 1
    files.trust(certificates.authority)
    with pytest.raises((KafkaError, LoginRefusedError)):  # so each of these steps counted
        await ask(values, kafka, files)
    meter.terminate()
    assert meter.wait() == 0, meter.output()


async def ask(values: dict[str, Any], kafka: TlsKafka, files: Files) -> None:
    own = {
        "kafka_bootstrap": kafka.address("MTLS"), "kafka_ssl_cafile": files.authority,
        "kafka_ssl_certfile": files.certificate, "kafka_ssl_keyfile": files.key,
    }  # fmt: skip
    async with UsageProducer(Settings(**(values | own)), source="//tests.example.com") as usage:
        await usage.tool_run("acct-2", tool="web-search")
        await usage.flush()
