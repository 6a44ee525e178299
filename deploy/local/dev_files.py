"""What `make dev` leaves for other shells: a file to be sourced for each role, and lines that send a first event."""

import fcntl
import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.client.build import write_tree
from deploy.local.platform import DATABASE, Platform
from deploy.local.services import ROLES

ENV = "env.sh"
LOCK = "lock"
# People work as support does; what that role may not do must be asked for by name.
PEOPLE = "credit_support"
OTHERS = {f"as-{name}.sh": role for name, role in ROLES.items()} | {
    f"as-{name}.sh": f"credit_{name}" for name in ("reader", "pruner")
}
ADMIN = "as-admin.sh"
CLIENT = "python"  # holds the package of the producers' client, as its wheel would install it
# On one line: pasted with its indentation it is still Python.
PYTHON_EVENT = (
    "from credit_meter_client import SyncUsageProducer; "
    'usage = SyncUsageProducer(source="//example.com/shell"); '
    'usage.tool_run("acct-1", tool="web-search"); usage.close()'
)


class TakenError(Exception):
    """Another stack uses the directory."""


@contextmanager
def claimed(directory: Path) -> Iterator[None]:
    """The directory is ours until the end; its files to be sourced go with the stack that they lead to."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            free = "third" if directory.name == "dev-second" else "second"
            raise TakenError(f"a stack runs in {directory} already; another one: make dev NAME={free}") from None
        try:
            yield
        finally:
            for name in (ENV, ADMIN, *OTHERS):
                (directory / name).unlink(missing_ok=True)


def write_env_files(platform: Platform, directory: Path) -> None:
    write_tree(directory / CLIENT)
    dsns = {ENV: PEOPLE, **OTHERS}
    for name, role in dsns.items():
        settings = platform.admin | {"postgres_dsn": platform.addresses.dsn(DATABASE, role)}
        write_env_file(directory / name, settings, f"as {role}")
    write_env_file(directory / ADMIN, platform.admin, "as the superuser, for `meter setup`")


def write_env_file(file: Path, settings: Mapping[str, str], who: str) -> None:
    programs = shlex.quote(str(Path(sys.executable).parent))
    client = shlex.quote(str((file.parent / CLIENT).absolute()))
    lines = [
        f"# The stack of `make dev`, {who}. To be sourced.",
        put_in_front("PATH", programs),
        put_in_front("PYTHONPATH", client),  # `import credit_meter_client`
        *(f"export METERING_{name.upper()}={shlex.quote(value)}" for name, value in sorted(settings.items())),
    ]
    beside = file.with_suffix(".part")
    beside.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(beside, file)  # whoever sources it meanwhile reads the old file or the new one


def put_in_front(variable: str, directory: str) -> str:
    """A line of shell; sourced twice, the variable stays as it is. Behind another stack it comes in front again."""
    there = f"${{{variable}:+:${variable}}}"
    return f'case "${{{variable}:-}}:" in {directory}:*) ;; *) export {variable}={directory}"{there}" ;; esac'


def first_steps(platform: Platform) -> list[str]:
    """Commands for the first account and the first event. Without `time`, Kafka's timestamp counts."""
    event = {
        "specversion": "1.0", "id": "first-1", "source": "//example.com/shell", "type": "usage.tool_run.v1",
        "subject": "acct-1", "data": {"tool": "web-search"},
    }  # fmt: skip
    address = platform.addresses.kafka_bootstrap
    return [
        "meter open acct-1 --contact owner@example.com",
        f"echo {shlex.quote('acct-1|' + json.dumps(event))} |",
        f"    kcat -P -b {address} -t metering.usage -K'|' -H content-type=application/cloudevents+json",
        "# or with the client for Python, which takes its settings from the environment:",
        f"python -c {shlex.quote(PYTHON_EVENT)}",
        "projections show acct-1",
    ]
