"""Which servers the tests run on: started by this run, or running already (METERING_TEST_STACK)."""

import os
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from deploy.local.choice import pick
from deploy.local.stack import (
    Addresses,
    describe,
    explain_choice,
    foresee,
    kafka_candidates,
    postgres_candidates,
)
from tests.support.citus import CITUS, citus_dsn

CLUSTER = "citus"  # for METERING_TEST_POSTGRES: the cluster of METERING_TEST_CITUS_DSN, which runs already
KAFKA, POSTGRES, STACK = "METERING_TEST_KAFKA", "METERING_TEST_POSTGRES", "METERING_TEST_STACK"


def is_forced() -> bool:
    return any(os.environ.get(variable) for variable in (KAFKA, POSTGRES, STACK))


class WrongStackError(Exception):
    """What is forced by the environment cannot be had."""


def is_cluster() -> bool:
    return os.environ.get(POSTGRES) == CLUSTER


def cluster_dsn() -> str:
    """Raises WrongStackError."""
    if (dsn := citus_dsn()) is None:
        raise WrongStackError(f"{POSTGRES}={CLUSTER} forces a cluster, and {CITUS} names none")
    return dsn


def running_stack() -> Addresses | None:
    """The stack of METERING_TEST_STACK, checked against what is forced."""
    file = os.environ.get(STACK)
    if not file:
        return None
    try:
        addresses = Addresses.read(Path(file))
    except (OSError, ValueError, TypeError) as error:
        raise WrongStackError(
            f"{STACK}={file} cannot be read ({error}): write one with `python -m deploy.local.stack --write FILE`"
        ) from error
    for variable, kind in ((KAFKA, addresses.kafka_kind), (POSTGRES, addresses.postgres_kind)):
        if os.environ.get(variable, kind) != kind:
            raise WrongStackError(f"{variable} forces {os.environ[variable]}, but {STACK} has {kind}")
    return addresses


class Server(NamedTuple):
    address: str  # Postgres: the DSN of the superuser; Kafka: the bootstrap address
    kind: str
    choice: str  # what was picked and why, for people


class Servers:
    """The servers of one run, each started when it is first asked for: many tests need only one of them."""

    def __init__(self, used: dict[str, str]) -> None:
        """`used` is filled in: what was picked and why, by the server's name."""
        self._running = running_stack()
        self._closing = ExitStack()
        self.used = used

    @cached_property
    def postgres(self) -> Server:
        return self._note("postgres", self._find_postgres())

    @cached_property
    def kafka(self) -> Server:
        return self._note("kafka", self._find_kafka())

    @property
    def addresses(self) -> Addresses:
        postgres, kafka = self.postgres, self.kafka
        return Addresses(postgres.address, postgres.kind, kafka.address, kafka.kind, dict(self.used))

    def close(self) -> None:
        self._closing.close()

    def _find_postgres(self) -> Server:
        if (running := self._running) is not None:
            return Server(running.postgres_dsn, running.postgres_kind, running.picked["postgres"])
        if is_cluster():
            return Server(cluster_dsn(), CLUSTER, "citus, running already")
        picked = pick(postgres_candidates(), os.environ.get(POSTGRES) or None)
        self._closing.callback(picked.server.close)
        return Server(picked.server.dsn(), picked.server.kind, describe(picked))

    def _find_kafka(self) -> Server:
        if (running := self._running) is not None:
            return Server(running.kafka_bootstrap, running.kafka_kind, running.picked["kafka"])
        picked = pick(kafka_candidates(), os.environ.get(KAFKA) or None)
        self._closing.callback(picked.server.close)
        return Server(picked.server.bootstrap, picked.server.kind, describe(picked))

    def _note(self, name: str, server: Server) -> Server:
        self.used[name] = server.choice
        return server


def describe_choice() -> list[str]:
    """For pytest's header: what will be used. Starts nothing. Raises WrongStackError when a forced part is missing."""
    running = running_stack()
    if running is not None:
        return [f"{name}: {choice}, running already" for name, choice in running.picked.items()]
    lines = []
    postgres = None if is_cluster() else os.environ.get(POSTGRES) or None
    for name, seen in foresee(os.environ.get(KAFKA) or None, postgres).items():
        if name == "postgres" and is_cluster():
            cluster_dsn()
            lines.append(f"postgres: {CLUSTER}, running already")
            continue
        if seen.name is None:
            raise WrongStackError(f"no {name} can be had: {'; '.join(seen.passed_over)}")
        lines.append(f"{name}: {explain_choice(seen.name, seen.passed_over)}")
    return lines
