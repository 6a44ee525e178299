"""`make dev`: the servers, the mail sink and the services on this machine, left running until Ctrl-C.

python -m deploy.local.dev                    on the embedded servers
python -m deploy.local.dev --kafka apache     on Apache Kafka, where Java and Maven are
"""

import argparse
import shlex
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from deploy.local.child import UnavailableError
from deploy.local.platform import Platform, address_lines, console_lines, run_platform
from deploy.local.services import ServiceFailedError
from deploy.local.stack import kafka_candidates

LOGS = Path(".local/dev")
LOOK_S = 0.5
ACCOUNT = "acct-1"  # of the README's examples


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.dev", description="Run the whole system here.")
    kinds = [candidate.name for candidate in kafka_candidates()]
    parser.add_argument("--kafka", choices=kinds, default="embedded", help="default: embedded")
    options = parser.parse_args(arguments)
    over = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: over.set())
    try:
        with run_platform(LOGS, kafka=options.kafka) as platform:
            print("\n".join(describe(platform)), flush=True)
            watch(platform, over)
            print("The services drain.", flush=True)
    except UnavailableError as error:
        print(f"the servers cannot be had here: {error}", file=sys.stderr)
        return 3
    except ServiceFailedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def describe(platform: Platform) -> list[str]:
    """The addresses, and the settings to give commands and clients of one's own."""
    settings = [f"export METERING_{name.upper()}={shlex.quote(value)}" for name, value in platform.admin.items()]
    return [
        *address_lines(platform),
        f"{'logs in':<12} {LOGS}",
        *console_lines(platform, ACCOUNT),
        "",
        "In another shell, for meter, projections and notifier:",
        f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH",
        *settings,
        "",
        "Ctrl-C stops everything and removes its data.",
    ]


def watch(platform: Platform, over: threading.Event) -> None:
    """Show mails as they come, until it is over or a service ends. Raises ServiceFailedError."""
    shown = 0
    while not over.wait(LOOK_S):
        for service in platform.services.values():
            service.check()
        for mail in platform.mail.mails[shown:]:
            print(f"mail to {', '.join(mail.recipients)}: {mail.message['Subject']}", flush=True)
            shown += 1


if __name__ == "__main__":
    sys.exit(main())
