"""`make dev`: the servers, the mail sink and the services on this machine, left running until Ctrl-C.

python -m deploy.local.dev                    on the embedded servers
python -m deploy.local.dev --kafka apache     on Apache Kafka, where Java and Maven are
python -m deploy.local.dev --name second      beside one that runs already
"""

import argparse
import re
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from deploy.local.child import UnavailableError
from deploy.local.dev_files import ADMIN, ENV, OTHERS, TakenError, claimed, first_steps, write_env_files
from deploy.local.mail import Mail
from deploy.local.platform import Platform, address_lines, console_lines, run_platform
from deploy.local.services import COMMANDS, ServiceFailedError, ServiceProcess
from deploy.local.stack import kafka_candidates

HOME = Path(".local")
LOOK_S = 0.5
ACCOUNT = "acct-1"  # of the README's examples


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.dev", description="Run the whole system here.")
    kinds = [candidate.name for candidate in kafka_candidates()]
    parser.add_argument("--kafka", choices=kinds, default="embedded", help="default: embedded")
    parser.add_argument("--name", type=stack_name, help="what tells this stack from others in this folder")
    options = parser.parse_args(arguments)
    directory = HOME / (f"dev-{options.name}" if options.name else "dev")
    over = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: over.set())
    try:
        with claimed(directory), run_platform(directory, kafka=options.kafka) as platform:
            write_env_files(platform, directory)
            print("\n".join(describe(platform, directory)), flush=True)
            ended = watch(platform, directory, over)
            print("The services drain.", flush=True)
            return 1 if ended else 0
    except TakenError as error:
        print(error, file=sys.stderr)
        return 1
    except UnavailableError as error:
        print(f"the servers cannot be had here: {error}", file=sys.stderr)
        return 3
    except ServiceFailedError as error:
        print(error, file=sys.stderr)
        return 1


def stack_name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]{1,20}", text):
        raise argparse.ArgumentTypeError("1 to 20 small letters and digits")
    return text


def describe(platform: Platform, directory: Path) -> list[str]:
    """The addresses, how to take the settings over, and the first event."""
    return [
        *address_lines(platform),
        f"{'logs in':<12} {directory}",
        f"{'letters':<12} go nowhere: each is a line here, with its address, its subject and how to read it",
        *console_lines(platform, ACCOUNT),
        "",
        "In another shell, in this folder:",
        f"  . {directory / ENV}",
        *(f"  {line}" for line in first_steps(platform)),
        f"The other roles, in {directory}:",
        f"  {', '.join((*OTHERS, ADMIN))}",
        "",
        "Ctrl-C stops everything and removes its data.",
    ]


def watch(platform: Platform, directory: Path, over: threading.Event) -> set[str]:
    """Show mails as they come, and which service ends, until it is over; the names of those that have ended.

    The others go on: somebody may want to see what happens without one, or start their own in its place. Raises
    ServiceFailedError when none is left.
    """
    shown, ended = 0, set[str]()
    while not over.wait(LOOK_S):
        for service in platform.services.values():
            if service.name not in ended and not service.running:
                ended.add(service.name)
                print(describe_end(service, directory), flush=True)
        if len(ended) == len(platform.services):
            raise ServiceFailedError("no service is left: everything stops")
        for mail in platform.mail.mails[shown:]:
            print(describe_mail(mail), flush=True)
            shown += 1
    return ended


def describe_mail(mail: Mail) -> str:
    """Whom it was for, its subject, and the command that shows its text. A Message-ID begins with the letter's id."""
    email_id = mail.message_id.strip("<>").partition("@")[0].partition(".")[0]
    subject, show = mail.message["Subject"], f"notifier emails show {email_id} --text"
    return f"letter to {', '.join(mail.recipients)}: {subject}\n  its text: {show}"


def describe_end(service: ServiceProcess, directory: Path) -> str:
    """Which one ended, how, where it says why, and how to go on."""
    code = service.exit_code or 0
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    start = f". {directory / f'as-{service.name}.sh'} && {' '.join(COMMANDS.get(service.name, (service.name, 'run')))}"
    return f"{service.name} {how}; the others go on. Its log: {service.log}. Start it again in another shell: {start}"


if __name__ == "__main__":
    sys.exit(main())
