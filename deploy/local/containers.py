"""Postgres and Apache Kafka in containers, where a Docker engine answers and has the images or can pull them.

The host ports are fixed before the start: Kafka must know the address it advertises, and both keep it over a restart.
METERING_TEST_KAFKA_IMAGE and METERING_TEST_POSTGRES_IMAGE take other images than the official ones.
"""

import importlib.util
import os
import time
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from deploy.local import apache_kafka, engine_probe, kafka_probe, postgres_probe
from deploy.local.child import LOG_TAIL_LINES, UnavailableError
from deploy.local.patience import Patience
from deploy.local.ports import free_port

KAFKA_IMAGE = "apache/kafka:4.1.0"
POSTGRES_IMAGE = "postgres:18"
KAFKA_IMAGE_VARIABLE, POSTGRES_IMAGE_VARIABLE = "METERING_TEST_KAFKA_IMAGE", "METERING_TEST_POSTGRES_IMAGE"
# A broker takes 5 s of processor time to start: minutes, where much else runs. A second of it in 90 s is progress.
STILL_S, MOST_S, STEP_CPU_S = 90, 600, 1.0
CHECK_S = 0.2  # each check asks the engine twice
STOP_TIMEOUT_S = 15
SHARED_MEMORY = "256m"  # of Postgres' parallel queries; an engine gives 64 MB
ENDED: Final = ("exited", "dead")
KAFKA_PORT, CONTROLLER_PORT, POSTGRES_PORT = 9092, 9093, 5432
INNER = "INNER://localhost:19092"
KAFKA_DATA = "/tmp/kafka-data"  # inside of the container, which is gone with the run


class Container:
    """A container on a fixed host port. testcontainers' reaper removes it when this process ends, however that is."""

    kind = "testcontainers"

    def __init__(
        self, image: str, port: int, inner_port: int, environment: dict[str, str], command: str | None
    ) -> None:
        self.image = image
        self.port = port
        self._inner_port = inner_port
        self._environment = environment
        self._command = command
        self._container: Any = None

    @property
    def version(self) -> str:
        return self.image

    @property
    def host(self) -> str:
        return engine_host()

    def start_container(self, ready: Callable[[], bool]) -> None:
        if self._container is None:
            self._run()
        else:
            self._wrapped.start()
        patience = Patience(still_s=STILL_S, most_s=MOST_S, step=STEP_CPU_S)
        while not ready():
            self._check_running()
            patience.note(self._cpu_s())
            if (why := patience.over) is not None:
                said = f"{self.image} did not answer at {self.host}:{self.port}: {why}"
                raise UnavailableError(f"{said}. The end of its log:\n{self._log_tail()}")
            time.sleep(CHECK_S)

    def _check_running(self) -> None:
        """Raises UnavailableError at once where the container has ended: nothing more will come of it."""
        self._wrapped.reload()
        if self._wrapped.status in ENDED:
            code = self._wrapped.attrs["State"]["ExitCode"]
            raise UnavailableError(
                f"the container of {self.image} ended with code {code} while it started. The end of its log:\n"
                f"{self._log_tail()}"
            )

    def _cpu_s(self) -> float:
        """Processor seconds of the container so far."""
        used = self._wrapped.client.api.stats(self._wrapped.id, stream=False, one_shot=True)
        return float(used["cpu_stats"]["cpu_usage"].get("total_usage", 0)) / 1e9

    def _log_tail(self) -> str:
        return str(self._wrapped.logs(tail=LOG_TAIL_LINES).decode(errors="replace").strip())

    def stop(self) -> None:
        self._wrapped.stop(timeout=STOP_TIMEOUT_S)

    def crash(self) -> None:
        self._wrapped.kill()

    def pause(self) -> None:
        self._wrapped.pause()

    def resume(self) -> None:
        self._wrapped.unpause()

    def close(self) -> None:
        if self._container is not None:
            self._container.stop()

    @property
    def _wrapped(self) -> Any:
        return self._container.get_wrapped_container()

    def _run(self) -> None:
        from docker.errors import DockerException  # type: ignore[import-untyped]
        from testcontainers.core.container import DockerContainer

        try:
            made = DockerContainer(self.image, command=self._command, shm_size=SHARED_MEMORY)
            self._container = made.with_envs(**self._environment).with_bind_ports(self._inner_port, self.port)
            self._container.start()
        except (DockerException, OSError, TimeoutError) as error:
            raise UnavailableError(f"{self.image} cannot be started ({first_line(error)})") from error


class KafkaInContainer(Container):
    def __init__(self) -> None:
        port = free_port()
        environment = {variable(name): value for name, value in apache_kafka.PROPERTIES.items()} | {
            "KAFKA_LISTENERS": f"PLAINTEXT://:{KAFKA_PORT},CONTROLLER://:{CONTROLLER_PORT},{INNER}",
            # The broker sends the markers of transactions to itself: by an address that it reaches from inside.
            "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{engine_host()}:{port},{INNER}",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,INNER:PLAINTEXT",
            "KAFKA_INTER_BROKER_LISTENER_NAME": "INNER",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": f"1@localhost:{CONTROLLER_PORT}",
            "KAFKA_LOG_DIRS": KAFKA_DATA,
            "KAFKA_HEAP_OPTS": "-Xms128m -Xmx512m",
        }
        super().__init__(os.environ.get(KAFKA_IMAGE_VARIABLE) or KAFKA_IMAGE, port, KAFKA_PORT, environment, None)

    @property
    def bootstrap(self) -> str:
        return f"{self.host}:{self.port}"

    def start(self) -> None:
        self.start_container(lambda: kafka_probe.answers(self.host, self.port))


class PostgresInContainer(Container):
    def __init__(self) -> None:
        # Trust, as the embedded one: the tests log in as every role. fsync and synchronous_commit keep their defaults.
        environment = {"POSTGRES_HOST_AUTH_METHOD": "trust"}
        command = "postgres -c max_connections=200 -c shared_buffers=256MB -c max_wal_size=2GB -c timezone=UTC"
        image = os.environ.get(POSTGRES_IMAGE_VARIABLE) or POSTGRES_IMAGE
        super().__init__(image, free_port(), POSTGRES_PORT, environment, command)

    def dsn(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@{self.host}:{self.port}/{database}"

    def start(self) -> None:
        self.start_container(lambda: postgres_probe.answers(self.host, self.port))


def variable(property_name: str) -> str:
    """The variable by which Kafka's images take a property."""
    return f"KAFKA_{property_name.upper().replace('.', '_')}"


@cache
def missing() -> str | None:
    """Why containers cannot be had here, or None. Asks the engine once; pulls nothing."""
    if importlib.util.find_spec("testcontainers") is None:
        return "the package testcontainers is not installed"
    return None if engine_probe.answers() else "no Docker engine answers"


@cache
def engine_host() -> str:
    """Where the published ports of containers are."""
    from testcontainers.core.docker_client import DockerClient

    client = DockerClient()
    try:
        return str(client.host())
    finally:
        client.client.close()


def first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
