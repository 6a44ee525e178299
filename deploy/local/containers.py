"""Postgres and Apache Kafka in containers, where a Docker engine answers and has the images or can pull them.

The host ports are fixed before the start: Kafka must know the address it advertises, and both keep it over a restart.
"""

import importlib.util
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from deploy.local import engine_probe, kafka_probe, postgres_probe
from deploy.local.child import POLL_S, UnavailableError
from deploy.local.ports import free_port

KAFKA_IMAGE = "apache/kafka:4.1.0"
POSTGRES_IMAGE = "postgres:18"
START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 15
KAFKA_PORT, CONTROLLER_PORT, POSTGRES_PORT = 9092, 9093, 5432


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
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ready():
            if time.monotonic() > deadline:
                raise UnavailableError(f"{self.image} did not answer at {self.host}:{self.port} in {START_TIMEOUT_S} s")
            time.sleep(POLL_S)

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
            made = DockerContainer(self.image, command=self._command)
            self._container = made.with_envs(**self._environment).with_bind_ports(self._inner_port, self.port)
            self._container.start()
        except (DockerException, OSError, TimeoutError) as error:
            raise UnavailableError(f"{self.image} cannot be started ({first_line(error)})") from error


class KafkaInContainer(Container):
    def __init__(self) -> None:
        port = free_port()
        environment = {
            "KAFKA_NODE_ID": "1",
            "KAFKA_PROCESS_ROLES": "broker,controller",
            "KAFKA_LISTENERS": f"PLAINTEXT://:{KAFKA_PORT},CONTROLLER://:{CONTROLLER_PORT}",
            "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{engine_host()}:{port}",
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": f"1@localhost:{CONTROLLER_PORT}",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
            "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
            "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
            "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
            "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
            "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
            "KAFKA_HEAP_OPTS": "-Xms128m -Xmx512m",
        }
        super().__init__(KAFKA_IMAGE, port, KAFKA_PORT, environment, None)

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
        super().__init__(POSTGRES_IMAGE, free_port(), POSTGRES_PORT, environment, command)

    def dsn(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@{self.host}:{self.port}/{database}"

    def start(self) -> None:
        self.start_container(lambda: postgres_probe.answers(self.host, self.port))


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
