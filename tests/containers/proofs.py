"""What is claimed of the containers, asked of them while they run. Each function returns the faults it found."""

import http.client
import re
import time
from collections.abc import Sequence
from pathlib import Path

from meter.runtime.settings import Settings
from tests.containers.engine import FailedError, docker, inspect
from tests.containers.stack import COMPOSE, ROOT, SERVICES, ComposeStack
from tests.containers.story import get

PORT = int(Settings.model_fields["http_port"].default)
READY_TIMEOUT_S = 180
SIZE = re.compile(r"The image is (\d+) MB larger than the Python it is built from")
POLL_S = 0.1
# Prints the ids and capabilities of process 1 and of this one, and whether the root file system takes a file.
ASK = """
import os
for process in ("1", "self"):
    wanted = ("Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")
    for line in open(f"/proc/{process}/status"):
        name, _, value = line.partition(":")
        if name in wanted:
            print(process, name, *value.split())
try:
    open("/written", "w")
except OSError as error:
    print("root", "refused", error.errno)
else:
    print("root", "written")
"""
NONE = "0000000000000000"


def check_privileges(stack: ComposeStack, service: str) -> list[str]:
    """User 10001, no capability whatever a program gets hold of, nothing to gain, and nowhere to write."""
    said = stack.compose("exec", "--no-TTY", service, "python", "-c", ASK).splitlines()
    faults = []
    for line in said:
        where, name, *values = line.split()
        wanted = {"Uid": {"10001"}, "Gid": {"10001"}, "NoNewPrivs": {"1"}, "refused": {"30"}}.get(name, {NONE})
        if set(values) != wanted:
            faults.append(f"{service}: {where} has {name} {values}, must be {wanted}")
    if len(said) != 17:
        faults.append(f"{service}: {len(said)} answers instead of 17: {said}")
    return faults


def check_engine(stack: ComposeStack, service: str) -> list[str]:
    """What the engine was told of a container is what compose.yaml says."""
    host = stack.state(service)["HostConfig"]
    wanted = COMPOSE["services"][service].get("read_only", False)
    faults = [] if host["ReadonlyRootfs"] is wanted else [f"{service}: its root file system is read-only: {not wanted}"]
    if host["CapDrop"] != ["ALL"]:
        faults.append(f"{service}: drops {host['CapDrop']} and not all capabilities")
    if not any(option.startswith("no-new-privileges") for option in host["SecurityOpt"]):
        faults.append(f"{service}: may gain privileges")
    return faults


def check_answers(stack: ComposeStack, service: str) -> list[str]:
    """/healthz, /readyz and /metrics over the published port."""
    host, port = stack.address(service, PORT)
    for path in ("/healthz", "/readyz"):
        get(host, port, path)  # raises on anything but success
    metrics = get(host, port, "/metrics").decode()
    return [] if "\nmetering_build_info{" in metrics else [f"{service}: /metrics does not say what was built"]


def check_all(stack: ComposeStack) -> list[str]:
    faults = [
        fault for service in SERVICES for fault in (*check_privileges(stack, service), *check_answers(stack, service))
    ]
    return faults + [
        fault
        for service in stack.images
        if service not in ("setup", "support")
        for fault in check_engine(stack, service)
    ]


def kill_and_start(stack: ComposeStack, name: str, *, waiting: Sequence[str]) -> float:
    """Seconds from the start of what was killed until these services are ready."""
    stack.kill(name)
    stack.compose("start", name)
    start = time.monotonic()
    for service in waiting:
        wait_ready(stack, service)
    return time.monotonic() - start


def wait_ready(stack: ComposeStack, service: str) -> None:
    address, start = stack.address(service, PORT), time.monotonic()
    while True:
        try:
            get(*address, "/readyz")
        except (OSError, http.client.HTTPException):
            if time.monotonic() - start > READY_TIMEOUT_S:
                raise FailedError(f"{service} was not ready within {READY_TIMEOUT_S} s") from None
            time.sleep(POLL_S)
        else:
            return


def check_stop(stack: ComposeStack, service: str) -> list[str]:
    """SIGTERM drains, and the process says that all is well."""
    docker("stop", stack.container(service))
    code = stack.state(service)["State"]["ExitCode"]
    return [] if code == 0 else [f"{service} ended with {code} on SIGTERM"]


def check_size(image: str, base: str) -> list[str]:
    """Whether the guide still says what the image adds to its Python, within a tenth."""
    whole_mb, base_mb = (int((inspect(name) or {"Size": 0})["Size"]) / 1e6 for name in (image, base))
    print(f"image {whole_mb:.0f} MB, {whole_mb - base_mb:.0f} MB above its Python", flush=True)
    found = SIZE.search((ROOT / "deploy/README.md").read_text(encoding="utf-8"))
    if found is not None and abs(whole_mb - base_mb - int(found[1])) <= int(found[1]) / 10:
        return []
    said = "nothing" if found is None else f"{found[1]} MB"
    return [f"the image adds {whole_mb - base_mb:.0f} MB to its Python, deploy/README.md says {said}"]


def write_logs(stack: ComposeStack, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(stack.logs(), encoding="utf-8")
