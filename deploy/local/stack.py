"""The servers one machine needs to run or test everything: a Postgres and a Kafka, each the best that can be had here.

python -m deploy.local.stack                  start them, print their addresses, stop at Ctrl-C
python -m deploy.local.stack --write FILE     and write the addresses for METERING_TEST_STACK=FILE
"""

import argparse
import contextlib
import json
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

from deploy.local import apache_kafka, containers, embedded_kafka, postgres
from deploy.local.child import UnavailableError
from deploy.local.choice import Candidate, Forecast, Picked, forecast, pick

S = TypeVar("S", "KafkaServer", "PostgresServer")


class Server(Protocol):
    """A server on an address and with data that it keeps until it is closed."""

    kind: str

    @property
    def version(self) -> str: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def crash(self) -> None:
        """End at once, without goodbye."""

    def pause(self) -> None:
        """Freeze: connections stay open and nothing answers."""

    def resume(self) -> None: ...
    def close(self) -> None: ...


class KafkaServer(Server, Protocol):
    @property
    def bootstrap(self) -> str: ...


class PostgresServer(Server, Protocol):
    def dsn(self, database: str = "postgres", user: str = "postgres") -> str: ...


@dataclass(frozen=True)
class Addresses:
    """Where a running stack is, and what was picked for it."""

    postgres_dsn: str  # of the superuser, to the database `postgres`
    postgres_kind: str
    kafka_bootstrap: str
    kafka_kind: str
    picked: Mapping[str, str]

    def dsn(self, database: str, user: str | None = None) -> str:
        return change_dsn(self.postgres_dsn, database, user)

    @classmethod
    def read(cls, file: Path) -> Self:
        return cls(**json.loads(file.read_text(encoding="utf-8")))

    def write(self, file: Path) -> None:
        """Whole or not at all: others read it as soon as it is there."""
        partial = file.with_name(f"{file.name}.partial")
        partial.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        partial.replace(file)


def change_dsn(dsn: str, database: str, user: str | None = None) -> str:
    """The same server, another database, perhaps as somebody else."""
    parts = urlsplit(dsn)
    netloc = parts.netloc if user is None else f"{user}@{parts.netloc.rpartition('@')[2]}"
    return urlunsplit(parts._replace(netloc=netloc, path=f"/{database}"))


class Stack:
    """Running servers. `close` stops them and removes their data; so does the end of this process, of any kind."""

    def __init__(self, kafka: Picked[KafkaServer], postgres: Picked[PostgresServer]) -> None:
        self.kafka = kafka.server
        self.postgres = postgres.server
        self.picked = {"kafka": describe(kafka), "postgres": describe(postgres)}

    @classmethod
    def start(cls, *, kafka: str | None = None, postgres: str | None = None) -> Self:
        """Start the best Kafka and Postgres there are, or the named ones. Raises UnavailableError."""
        picked_postgres = pick(postgres_candidates(), postgres)
        try:
            picked_kafka = pick(kafka_candidates(), kafka)
        except BaseException:
            picked_postgres.server.close()
            raise
        return cls(picked_kafka, picked_postgres)

    @property
    def addresses(self) -> Addresses:
        return Addresses(
            postgres_dsn=self.postgres.dsn(),
            postgres_kind=self.postgres.kind,
            kafka_bootstrap=self.kafka.bootstrap,
            kafka_kind=self.kafka.kind,
            picked=self.picked,
        )

    def close(self) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(self.postgres.close)
            stack.callback(self.kafka.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def kafka_candidates() -> Sequence[Candidate[KafkaServer]]:
    return (
        Candidate("testcontainers", containers.missing, start_kafka_container),
        Candidate("apache", apache_kafka.missing, start_apache_kafka),
        Candidate("embedded", embedded_kafka.missing, start_embedded_kafka),
    )


def postgres_candidates() -> Sequence[Candidate[PostgresServer]]:
    return (
        Candidate("testcontainers", containers.missing, start_postgres_container),
        Candidate("embedded", postgres.missing, start_embedded_postgres),
    )


def start_kafka_container() -> KafkaServer:
    return started(containers.KafkaInContainer())


def start_postgres_container() -> PostgresServer:
    return started(containers.PostgresInContainer())


def start_apache_kafka() -> KafkaServer:
    return started(apache_kafka.ApacheKafka(apache_kafka.fetch_jars()))


def start_embedded_kafka() -> KafkaServer:
    return started(embedded_kafka.EmbeddedKafka())


def start_embedded_postgres() -> PostgresServer:
    return started(postgres.EmbeddedPostgres())


def started(server: S) -> S:
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    return server


def foresee(kafka: str | None, postgres: str | None) -> dict[str, Forecast]:
    """What `Stack.start` will pick, as far as a quick look can tell."""
    return {"kafka": forecast(kafka_candidates(), kafka), "postgres": forecast(postgres_candidates(), postgres)}


def describe(picked: Picked[KafkaServer] | Picked[PostgresServer]) -> str:
    return explain_choice(f"{picked.name} ({picked.server.version})", picked.passed_over)


def explain_choice(name: str, passed_over: Sequence[str]) -> str:
    return name + "".join(f"; not {reason}" for reason in passed_over)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.stack", description="Start Postgres and Kafka.")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the addresses there, for METERING_TEST_STACK")
    parser.add_argument("--kafka", choices=[candidate.name for candidate in kafka_candidates()])
    parser.add_argument("--postgres", choices=[candidate.name for candidate in postgres_candidates()])
    options = parser.parse_args(arguments)
    try:
        with Stack.start(kafka=options.kafka, postgres=options.postgres) as stack:
            serve(stack, options.write)
    except UnavailableError as error:
        print(f"no stack: {error}", file=sys.stderr)
        return 3
    return 0


def serve(stack: Stack, file: Path | None) -> None:
    """Print and write the addresses, and wait for Ctrl-C or SIGTERM."""
    for name, choice in stack.picked.items():
        print(f"{name}: {choice}")
    print(f"postgres at {stack.addresses.postgres_dsn}\nkafka at {stack.addresses.kafka_bootstrap}", flush=True)
    over = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: over.set())
    if file is not None:
        stack.addresses.write(file)
    over.wait()
    if file is not None:
        file.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
