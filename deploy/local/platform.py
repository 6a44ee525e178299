"""The whole platform on one machine: servers, mail sink, setup and the services under their own roles."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.mail import MailSink
from deploy.local.ports import free_port
from deploy.local.services import ROLES, ServiceProcess, run_command, run_services
from deploy.local.stack import Addresses, Stack

SERVICES = ("meter", "projections", "notifier", "console")
PARTITIONS = 4
DATABASE = "postgres"
# The embedded broker has no idempotent producer, and keeps members of a group waiting for whole sessions.
EMBEDDED = {"kafka_idempotence": "false", "kafka_session_ms": "1000"}


@dataclass(frozen=True)
class Platform:
    addresses: Addresses
    mail: MailSink
    services: dict[str, ServiceProcess]
    partitions: int
    admin: dict[str, str]  # settings with every right, for setup and support's commands


@contextmanager
def run_platform(logs: Path, *, kafka: str | None = None, partitions: int = PARTITIONS) -> Iterator[Platform]:
    """Start everything, ready to use; stop everything at the end, however it ends. Raises UnavailableError."""
    with ExitStack() as stack:
        servers = stack.enter_context(Stack.start(kafka=kafka, postgres="embedded" if kafka == "embedded" else None))
        mail = MailSink()
        stack.callback(mail.close)
        mail.start()
        addresses = servers.addresses
        admin = common_settings(addresses, mail, partitions)
        run_command(("meter", "setup"), admin)
        settings = {name: admin | {"postgres_dsn": addresses.dsn(DATABASE, ROLES[name])} for name in SERVICES}
        services = stack.enter_context(run_services(SERVICES, settings, logs))
        yield Platform(addresses, mail, services, partitions, admin)


def common_settings(addresses: Addresses, mail: MailSink, partitions: int) -> dict[str, str]:
    return {
        "postgres_dsn": addresses.dsn(DATABASE),
        "kafka_bootstrap": addresses.kafka_bootstrap,
        **(EMBEDDED if addresses.kafka_kind == "embedded" else {}),
        "partitions": str(partitions),
        "smtp_host": mail.host,
        "smtp_port": str(mail.port),
        "mail_from": "credits@example.com",
        "console_port": str(free_port()),
        "console_secret": secrets.token_urlsafe(32),
        "billing_url": "https://example.com/billing",
        "support_url": "https://example.com/support",
    }


def console_lines(platform: Platform, account_id: str) -> list[str]:
    """Where the console is, and a token to paste there: never in the address, which logs and histories keep."""
    token = run_command(("projections", "token", account_id), platform.admin).strip()
    return [
        f"{'console at':<12} http://127.0.0.1:{platform.admin['console_port']}",
        f"{'its token':<12} for {account_id}, one hour; any other account: projections token ACCOUNT",
        token,
    ]


def address_lines(platform: Platform, names: Sequence[str] = SERVICES) -> list[str]:
    """Where everything is, for people."""
    reader = platform.addresses.dsn(DATABASE, "credit_reader")
    return [
        *(f"{name:<12} {choice}" for name, choice in platform.addresses.picked.items()),
        f"{'kafka at':<12} {platform.addresses.kafka_bootstrap}",
        f"{'postgres at':<12} {platform.addresses.dsn(DATABASE)}   (read balances: {reader})",
        f"{'smtp at':<12} {platform.mail.host}:{platform.mail.port}   (sends nothing on; how to read letters: below)",
        *(f"{name:<12} http://127.0.0.1:{platform.services[name].port}/readyz" for name in names),
    ]
