"""`make containers`: builds the image, brings deploy/compose.yaml up, plays the demo's story and kills what runs.

What is killed is started again, and the books must agree at the end. Without a container registry stand-ins take the
place of the images of others. Exit codes: 0 all as it must be, 1 something differs or failed, 3 no containers here.

Example: python -m tests.containers --keep

With --record it writes how soon killed services were ready: the figures of deploy/README.md, The image.
With --stand-ins it only builds Postgres and Kafka for `make test` through testcontainers, and prints what to export.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.containers import KAFKA_IMAGE_VARIABLE, POSTGRES_IMAGE_VARIABLE
from deploy.local.demo.__main__ import NotSettledError
from meter.runtime.settings import Settings
from tests.bench.machine import describe_machine, read_commit
from tests.containers import guide, images, proofs
from tests.containers.engine import FailedError, inspect, missing, step
from tests.containers.stack import OPTIONAL, OURS, ROOT, SERVICES, ComposeStack, official_images

PYTHON = "python:3.12-slim"
IMAGE = "credit-meter-check"
RECORD = ROOT / "tests/containers/results.json"
LOG = ROOT / ".local/containers/services.log"
SERVERS = ("kafka", "postgres")
FIRST_KILL_S, BETWEEN_KILLS_S = 3, 2


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.containers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep", action="store_true", help="leave the stack running, and say how to remove it")
    parser.add_argument("--record", action="store_true", help=f"write what was measured to {RECORD.relative_to(ROOT)}")
    parser.add_argument("--stand-ins", action="store_true", help="build servers for `make test`, print what to export")
    options = parser.parse_args()
    if why := missing():
        print(why, file=sys.stderr)
        return 3
    if options.stand_ins:
        return export_stand_ins()
    # A broker that is killed makes the Kafka client talk; what matters is whether the books agree.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    start, ready_s = time.monotonic(), dict[str, float]()
    try:
        faults = check(ready_s, keep=options.keep)
    except (FailedError, NotSettledError) as error:
        print(f"{error}\nLogs of the containers, where there were any: {LOG}", file=sys.stderr)
        return 1
    for fault in faults:
        print(f"WRONG  {fault}", file=sys.stderr)
    if options.record and not faults:
        write_record(ready_s)
    verdict = "All as it must be" if not faults else f"{len(faults)} differences"
    print(f"{verdict}, after {time.monotonic() - start:.0f} s.")
    return 1 if faults else 0


def write_record(ready_s: dict[str, float]) -> None:
    record = {
        "commit": read_commit(), "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(), "ready_after_kill_s": ready_s,
    }  # fmt: skip
    RECORD.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"figures: {RECORD}")


def export_stand_ins() -> int:
    """stdout is for the shell, so what is built is told on stderr. No reaper: its image cannot be had here either."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            found = {wanted.folder: images.provide(wanted) for wanted in images.stand_ins(official_images(), PYTHON)
                     if wanted.folder in SERVERS}  # fmt: skip
    except FailedError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"export {KAFKA_IMAGE_VARIABLE}={found['kafka']} {POSTGRES_IMAGE_VARIABLE}={found['postgres']}")
    print("export METERING_TEST_KAFKA=testcontainers METERING_TEST_POSTGRES=testcontainers")
    print("export TESTCONTAINERS_RYUK_DISABLED=true")
    return 0


def check(ready_s: dict[str, float], *, keep: bool) -> list[str]:
    """What differs. `ready_s` takes, by service, how soon it was ready after it was killed and started."""
    named, base = provide_images()
    faults = proofs.check_size(named["meter"], base)
    with tempfile.TemporaryDirectory(prefix="credit-meter-") as folder:
        stack = ComposeStack(Path(folder), named)
        stack.prepare()
        stack.remove()  # what an interrupted run left
        try:
            with step("the stack is up and healthy"):
                stack.up()
            with step("privileges, health and metrics of the containers"):
                faults += proofs.check_all(stack)
            with step("the story, with every service and server killed on the way"):
                faults += asyncio.run(tell(stack, ready_s))
            with step("the commands of the guides"):
                faults += guide.check_commands(stack)
            with step("services drain on SIGTERM"):
                faults += [fault for service in SERVICES for fault in proofs.check_stop(stack, service)]
        except BaseException:
            proofs.write_logs(stack, LOG)
            raise
        finally:
            if not keep:
                with step("the stack is removed"):
                    stack.remove()
        return faults + ([] if keep else [f"left behind: {thing}" for thing in stack.left()])


def provide_images() -> tuple[dict[str, str], str]:
    """The image of each service, built or found, and the base of ours; what cannot be had is left out by name."""
    official = official_images()
    stand_ins = {wanted.official: images.provide(wanted) for wanted in images.stand_ins(official, PYTHON)}
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    ours = f"{IMAGE}:{version}"
    with step("the image of the project"):
        base = stand_ins[PYTHON]
        images.build(
            "--file", str(ROOT / "deploy/Dockerfile"), "--build-arg", f"PYTHON_IMAGE={base}", "--tag", ours, str(ROOT)
        )
    named = dict.fromkeys(OURS, ours)
    for service, image in official.items():
        if image in stand_ins:
            named[service] = stand_ins[image]
        elif service in OPTIONAL and inspect(image) is not None:
            named[service] = image
        elif service in OPTIONAL:
            print(f"left out: {service}, the engine has no {image}", flush=True)
    return named, base


async def tell(stack: ComposeStack, ready_s: dict[str, float]) -> list[str]:
    from tests.containers.story import play

    settings = Settings(kafka_bootstrap=f"localhost:{stack.ports.kafka}")

    async def kill(name: str, waiting: Sequence[str]) -> float:
        seconds = await asyncio.to_thread(proofs.kill_and_start, stack, name, waiting=waiting)
        print(f"killed and started: {name}; {' and '.join(waiting)} ready after {seconds:.1f} s", flush=True)
        return seconds

    async def kill_services() -> None:
        await asyncio.sleep(FIRST_KILL_S)
        for service in SERVICES:
            ready_s[service] = round(await kill(service, [service]), 1)
            await asyncio.sleep(BETWEEN_KILLS_S)

    async def kill_servers() -> None:
        for server in SERVERS:
            await kill(server, SERVICES)

    return await play(stack, settings, kill_services, kill_servers)


if __name__ == "__main__":
    sys.exit(main())
