"""Settings of every service, read from the environment (prefix METERING_) and validated all at once.

Packages extend `Settings` with their own fields. Nothing is read at import time.
"""

import os
import re
from typing import Final, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from meter.runtime.dsn import CHECKED_MODES, add_password, check_dsn, describe_hosts, host_names, parameter, require_tls
from meter.runtime.encryption import away, bootstrap_hosts, may_be_plain, read_hosts
from meter.runtime.endpoint import check_endpoint, endpoint_hosts, is_plain
from meter.runtime.environment import ENV_PREFIX, find_typos, follow_secrets, read_secret_files, read_values, variable
from meter.runtime.errors import SettingsError
from meter.runtime.secret_file import SecretFile

__all__ = ["ENV_PREFIX", "Settings", "load_settings"]

MIB = 1024 * 1024
S = TypeVar("S", bound="Settings")
LINK_PATTERN: Final = r"^https?://[^\s\"<>]+$"
PREFIX_PATTERN: Final = r"^[A-Za-z0-9._-]{0,100}$"
# What the forms of settings are, in words.
FORMS: Final = {
    LINK_PATTERN: "is no link that begins with https:// or http://",
    PREFIX_PATTERN: "is more than 100 characters or has others than A-Z a-z 0-9 . _ -",
}
NEXT: Final = "Correct them and repeat; the verb `settings` prints each with its default and meaning."


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    _secret_files: dict[str, SecretFile] = PrivateAttr(default_factory=dict)

    # In front of what depends on it: Postgres' address, Kafka's protocol, and the mail server's security.
    plaintext_hosts: str = Field(
        "",
        description="hosts, by commas, that may be talked to without TLS, beside this machine; services warn of them",
    )

    postgres_ssl_cafile: str | None = Field(
        None, description="PEM file of the authorities to trust; default: the system's"
    )
    postgres_password: SecretStr | None = Field(
        None, description="password for the database, where postgres_dsn has none"
    )
    # Behind the password and the authorities: its validator adds them.
    postgres_dsn: str = Field(
        "postgresql://localhost:5432/metering",
        repr=False,
        description="address of the database, libpq URI; sslmode is verify-full unless it says otherwise, or all "
        "hosts are this machine or in plaintext_hosts",
    )
    postgres_pool_size: int = Field(8, ge=2, le=100, description="connections one process may open")
    postgres_timeout_s: float = Field(30, gt=0, le=600, description="the longest a statement may take")
    postgres_lock_timeout_s: float = Field(10, gt=0, le=600, description="the longest a statement may wait for a lock")

    kafka_bootstrap: str = Field("localhost:9092", description="host:port of brokers, separated by commas")
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="how the brokers check the password"
    )
    kafka_sasl_username: str | None = Field(None, description="user name for the brokers")
    kafka_sasl_password: SecretStr | None = Field(None, description="password for the brokers")
    kafka_ssl_cafile: str | None = Field(
        None, description="PEM file of the authorities to trust; default: the system's"
    )
    kafka_ssl_certfile: str | None = Field(None, description="PEM file of the client's certificate")
    kafka_ssl_keyfile: str | None = Field(None, description="PEM file of the client's key")
    # Behind the brokers, the user and the authorities: its validator decides by them what `auto` is.
    kafka_security_protocol: Literal["auto", "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "auto",
        description="how to talk to the brokers: with TLS (SSL), with a password (SASL), both or neither; auto: with a "
        "password where kafka_sasl_username is set, with TLS unless all hosts are this machine or in plaintext_hosts",
    )
    kafka_idempotence: bool = Field(True, description="off only for brokers without the idempotent producer")
    kafka_compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field(
        "gzip", description="of what is published; gzip is what every client can read without a plug-in"
    )
    kafka_publish_timeout_s: float = Field(
        30,
        gt=0,
        le=600,
        description="the longest a publication may wait for its acks; below stall_s and twice postgres_timeout_s",
    )

    kafka_session_ms: int = Field(
        30_000, ge=1_000, le=300_000, description="silence after which the group drops a consumer"
    )
    kafka_rebalance_ms: int = Field(
        45_000,
        ge=1_000,
        le=55_000,
        description="time that consumers have to join again; below the 60 s of a request",
    )
    # The broker answers a fetch after this time, or earlier when the fetch is full. So there are a few larger batches
    # instead of many small ones, which cost services, database and broker many times as much. A partition that is
    # drained during a fetch for other partitions waits for this time, too.
    kafka_fetch_wait_ms: int = Field(
        40, ge=1, le=10_000, description="time for events to gather at the broker, while many come; beyond 2,000/s less"
    )

    topic_prefix: str = Field("", pattern=PREFIX_PATTERN, description="put before topic and group names")
    partitions: int = Field(
        12,
        ge=1,
        le=10_000,
        description="shards, and partitions of the topics that setup makes; more later by meter split alone",
    )
    replication_factor: int = Field(1, ge=1, le=10, description="of topics that setup creates")

    http_host: str = Field(
        "0.0.0.0",  # noqa: S104  # a container's health port is asked from outside
        description="address that /healthz, /readyz and /metrics are served on",
    )
    http_port: int = Field(8080, ge=0, le=65535, description="/healthz /readyz /metrics; 0 takes any free port")

    batch_events: int = Field(5000, ge=1, le=50_000, description="most records of one shard in one transaction")
    # Bytes as records take them in memory. With the parsed and encoded form of the batches in flight a process stays
    # below 250 MB, however large the backlog on the broker is.
    batch_bytes: int = Field(4 * MIB, ge=MIB // 16, le=64 * MIB, description="most bytes of records in one transaction")
    buffer_bytes: int = Field(
        32 * MIB,
        ge=MIB // 16,
        le=1024 * MIB,
        description="bytes of records buffered in memory, all shards together; at times up to twice as many",
    )
    compiled: bool = Field(
        True, description="use the compiled part where it is installed (schemas/native); all is the same either way"
    )
    poll_ms: int = Field(
        100, ge=1, le=10_000, description="longest wait for records while much comes; else half a second or more"
    )
    accept_lost_records: bool = Field(
        False, description="go on where retention removed records before they were read, and record the gap"
    )

    grace_s: float = Field(25, gt=0, le=600, description="time to drain after SIGTERM before a hard exit")
    stall_s: float = Field(
        60, gt=0, le=3600, description="the process exits when work waits and nothing is stored for this time"
    )
    retry_first_s: float = Field(0.2, gt=0, le=60, description="first pause before a reconnect")
    retry_max_s: float = Field(15, gt=0, le=600, description="longest pause before a reconnect")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="the least severe line to log")
    log_format: Literal["json", "console"] = Field("json", description="one JSON object a line, or text for people")
    traces_ssl_cafile: str | None = Field(
        None, description="PEM file of the authorities to trust; default: the system's"
    )
    traces_endpoint: str | None = Field(
        None,
        pattern=LINK_PATTERN,
        description="collector of the traces that producers ask for, like https://host:4318 (OTLP over HTTP)",
    )

    def secret(self, name: str) -> str | None:
        """A secret by its field, as it is now: that of its file, where it stands in one."""
        if (file := self.secret_file(name)) is not None:
            return file.read()
        given: SecretStr | None = getattr(self, name)
        return None if given is None else given.get_secret_value()

    def secret_file(self, name: str) -> SecretFile | None:
        return self._secret_files.get(name)

    def topic(self, name: str) -> str:
        """The name on the broker of a topic of `schemas.topics`."""
        return self.topic_prefix + name

    def group(self, name: str) -> str:
        """The name on the broker of a service's consumer group."""
        return f"{self.topic_prefix}credit-{name}"

    @field_validator("postgres_dsn")
    @classmethod
    def check_postgres_dsn(cls, dsn: str, info: ValidationInfo) -> str:
        password: SecretStr | None = info.data.get("postgres_password")
        checked = check_dsn(dsn)
        cafile = info.data.get("postgres_ssl_cafile")
        plain = may_be_plain(host_names(checked), read_hosts(info.data.get("plaintext_hosts", "")))
        if cafile or not plain or parameter(checked, "sslmode") in CHECKED_MODES:
            checked = require_tls(checked, cafile)
        return checked if password is None else add_password(checked, password.get_secret_value())

    @field_validator("kafka_security_protocol")
    @classmethod
    def choose_protocol(cls, protocol: str, info: ValidationInfo) -> str:
        if protocol != "auto":
            return protocol
        hosts = bootstrap_hosts(info.data.get("kafka_bootstrap", ""))
        plain = may_be_plain(hosts, read_hosts(info.data.get("plaintext_hosts", "")))
        tls = not plain or info.data.get("kafka_ssl_cafile") or info.data.get("kafka_ssl_certfile")
        if info.data.get("kafka_sasl_username"):
            return "SASL_SSL" if tls else "SASL_PLAINTEXT"
        return "SSL" if tls else "PLAINTEXT"

    @field_validator("traces_endpoint")
    @classmethod
    def check_traces_endpoint(cls, endpoint: str | None, info: ValidationInfo) -> str | None:
        return None if endpoint is None else check_endpoint(endpoint, read_hosts(info.data.get("plaintext_hosts", "")))

    def without_tls(self) -> dict[str, str]:
        """What is talked to in clear, or without a look at its certificate, on other machines: name → where and how."""
        found = {}
        if not self.kafka_security_protocol.endswith("SSL") and away(bootstrap_hosts(self.kafka_bootstrap)):
            found["kafka"] = f"{self.kafka_bootstrap} ({self.kafka_security_protocol})"
        mode = parameter(self.postgres_dsn, "sslmode") or "prefer"
        if mode not in CHECKED_MODES and away(host_names(self.postgres_dsn)):
            found["postgres"] = f"{describe_hosts(self.postgres_dsn)} (sslmode {mode})"
        endpoint = self.traces_endpoint
        if endpoint is not None and is_plain(endpoint) and away(endpoint_hosts(endpoint)):
            found["traces"] = endpoint
        return found

    @model_validator(mode="after")
    def check_sasl(self) -> Self:
        sasl = self.kafka_security_protocol.startswith("SASL")
        if sasl and (not self.kafka_sasl_username or self.kafka_sasl_password is None):
            raise ValueError("kafka_security_protocol with SASL needs kafka_sasl_username and kafka_sasl_password")
        if (self.kafka_ssl_certfile is None) != (self.kafka_ssl_keyfile is None):
            raise ValueError("kafka_ssl_certfile and kafka_ssl_keyfile belong together")
        return self

    def check_publish_timeout(self) -> None:
        """Of a service with an outbox: it publishes within a transaction, which Postgres ends after twice
        `postgres_timeout_s` without a statement, and under the eyes of the watchdog. Producers of applications, which
        share these settings, have neither. Raises SettingsError."""
        if self.kafka_publish_timeout_s >= min(self.stall_s, 2 * self.postgres_timeout_s):
            raise SettingsError(
                f"METERING_KAFKA_PUBLISH_TIMEOUT_S={self.kafka_publish_timeout_s:g} must be below "
                f"METERING_STALL_S={self.stall_s:g} and below twice METERING_POSTGRES_TIMEOUT_S="
                f"{self.postgres_timeout_s:g}: else the process or its transaction is ended while it still waits for "
                "Kafka. Lower it, or raise the others."
            )


def load_settings(kind: type[S]) -> S:
    """Read the settings of a service. Raises one SettingsError that names every fault by its variable."""
    secrets, unread = read_secret_files(kind, os.environ)
    faults = [*find_typos(kind, os.environ), *unread]
    try:
        settings = kind.model_validate(read_values(kind, os.environ) | secrets)
    except ValidationError as error:
        faults = [*explain_faults(kind, error), *faults]
    else:
        if not faults:
            settings._secret_files = follow_secrets(kind, os.environ, secrets)
            return settings
    raise SettingsError("settings are not usable:\n  " + "\n  ".join(faults) + f"\n{NEXT}")


def explain_faults(kind: type[BaseModel], error: ValidationError) -> list[str]:
    """One line per fault, with what the setting is for and without its value: some of them are secrets."""
    return [explain_fault_of(kind, fault) for fault in error.errors(include_url=False, include_input=False)]


def explain_fault_of(kind: type[BaseModel], fault: ErrorDetails) -> str:
    from schemas.faults import explain_fault  # who has no fault does not wait for it

    said = name_variables(kind, explain_fault(fault["type"], fault.get("ctx", {}), fault["msg"], FORMS))
    if not fault["loc"]:
        return said
    name = str(fault["loc"][0])
    field = kind.model_fields.get(name)
    what = (field.description or "").partition(";")[0] if field is not None else ""
    return f"{variable(name)}: {said}" + (f" ({what})" if what else "")


def name_variables(kind: type[BaseModel], text: str) -> str:
    """Settings by the variables that people set. A name of one word may be no name in a sentence."""
    names = "|".join(name for name in kind.model_fields if "_" in name)
    return re.sub(rf"\b({names})\b", lambda found: variable(found[0]), text)
