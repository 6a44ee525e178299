"""A mail server with a bad certificate gets no letter and is said to be at fault; the letter goes once it is mended."""

from pathlib import Path
from typing import Any

import trustme

from deploy.local.stack import Addresses
from meter.client import AccountsProducer, UsageProducer
from meter.runtime.postgres import Pool
from meter.runtime.settings import Settings
from tests.e2e.running import ROLES
from tests.support.certificates import NAME, Certificates, server_context
from tests.support.processes import Processes
from tests.support.waiting import until
from tests.unit.notifier.scripted import Script, serving

WAIT_S = 90
TOLD = "SELECT count(*) FROM notifier.emails WHERE state = 'accepted'"


async def test_a_bad_certificate_is_said_and_the_letter_waits(
    processes: Processes, stack: Addresses, values: dict[str, Any], settings: Settings, pool: Pool, tmp_path: Path
) -> None:
    assert processes.run("meter", "setup").returncode == 0
    certificates, script = Certificates(tmp_path), Script()
    bad = {
        "that is not trusted": trustme.CA().issue_cert(NAME),
        "for another host name": certificates.other_name(),
        "that has expired": certificates.expired(),
    }
    database = str(values["postgres_dsn"]).rpartition("/")[2]
    async with serving(script):
        smtp = {
            "smtp_host": NAME, "smtp_port": str(script.port), "smtp_security": "starttls",
            "smtp_cafile": certificates.cafile, "mail_pause_s": "0.1", "mail_poll_s": "0.1",
            "mail_trouble_first_s": "0.1", "mail_trouble_max_s": "0.5",
        }  # fmt: skip
        services = {
            name: processes.spawn(name, postgres_dsn=stack.dsn(database, role), **(smtp if name == "notifier" else {}))
            for name, role in ROLES.items()
        }
        notifier = services["notifier"]
        show(script, bad["that has expired"])
        async with (
            AccountsProducer(settings, source="//tests.example.com") as accounts,
            UsageProducer(settings, source="//tests.example.com") as usage,
        ):
            await accounts.opened("acct-1", plan="free", contacts=["owner@example.com"])
            await usage.model_inference("acct-1", credits="45", model="small-chat")
        for words, certificate in bad.items():

            def said(words: str = words, certificate: trustme.LeafCert = certificate) -> bool:
                show(script, certificate)
                lines = [str(line.get("detail")) for line in notifier.logged() if line["level"] in ("warning", "error")]
                return any(f"the mail server shows a certificate {words}" in line for line in lines)

            await until(said, WAIT_S, notifier.output)
        assert notifier.get("/readyz")[0] == 503
        assert script.bodies == [] and await pool.fetchval(TOLD) == 0

        async def told() -> bool:
            show(script, certificates.server())
            return bool(await pool.fetchval(TOLD) == 1)

        await until(told, WAIT_S, notifier.output)
        assert len(script.bodies) == 1
        for service in services.values():
            service.terminate()
        assert [service.wait() for service in services.values()] == [0, 0, 0]


def show(script: Script, certificate: trustme.LeafCert) -> None:
    """From the next connection on; a script leaves out STARTTLS once it was used."""
    script.tls, script.extensions = server_context(certificate), ("STARTTLS",)
