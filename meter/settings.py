"""Settings of the meter: what every service has, the free allowance, and what setup needs."""

from datetime import timedelta
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from meter.allowance import Allowance
from meter.runtime.settings import Settings
from schemas.amounts import MAX_USAGE, MICRO, format_amount, parse_amount
from schemas.limits import MAX_RUNS
from schemas.parsing.sources import compile_sources, parse_sources
from schemas.records import Limits

EVIDENCE_BYTES = 1 << 20
MOST_PARTS = 1024
# Citus hashes shards over the parts: 12 shards have rows in 9 of 12 parts, and in 12 of 48.
PARTS_FOR_A_SHARD = 4


class MeterSettings(Settings):
    free_model_credits: str = Field("75", description="model credits a new account gets; decimal, 0 for none")
    free_tool_runs: str = Field("10000", description="tool runs a new account gets; decimal, 0 for none")
    max_ahead_s: float = Field(3600, ge=0, le=86_400, description="how far an event's time may lie in the future")
    max_behind_s: float = Field(
        400 * 86_400, ge=86_400, le=36_525 * 86_400, description="how far an event's time may lie in the past"
    )
    max_usage_credits: str = Field(
        format_amount(MAX_USAGE), description="most model credits of one usage event; decimal, at most 10000000"
    )
    max_usage_runs: int = Field(MAX_USAGE // MICRO, ge=1, le=MAX_RUNS, description="most tool runs of one usage event")
    allowed_sources: str = Field(
        "{}",
        description='which source may charge which accounts, as JSON: {"//tools.example.com": "team-a-*"}; '
        "a source that is not listed then charges nobody; empty: any may charge any",
    )
    # Parsing and encoding a batch are two slices without a pause: 10,000 events keep each below 100 ms, so heartbeats
    # and health checks are never late.
    batch_events: int = Field(5000, ge=1, le=10_000, description="most records of one shard in one transaction")
    evidence_bytes: int = Field(
        EVIDENCE_BYTES,
        ge=0,
        le=1 << 30,
        description="bytes of refused and repeated records of a shard that are kept record by record in a minute; "
        "beyond them those of a batch are packed together, one row for each reason",
    )
    append_concurrency: int = Field(
        4,
        ge=1,
        le=64,
        description="shards appended at the same time, each holding a batch in memory; below the pool size",
    )
    anchor_s: float = Field(
        60, gt=0, le=86_400, description="pause between publications of the heads of the hash chains, where they moved"
    )

    @field_validator("free_model_credits", "free_tool_runs", "max_usage_credits")
    @classmethod
    def check_amount(cls, text: str) -> str:
        parse_amount(text)
        return text

    @field_validator("allowed_sources")
    @classmethod
    def check_sources(cls, text: str) -> str:
        compile_sources(parse_sources(text))
        return text

    def limits(self) -> Limits:
        return Limits(
            max_ahead=timedelta(seconds=self.max_ahead_s),
            max_behind=timedelta(seconds=self.max_behind_s),
            partitions=self.partitions,
            max_credits=parse_amount(self.max_usage_credits),
            max_runs=self.max_usage_runs * MICRO,
            sources=compile_sources(parse_sources(self.allowed_sources)),
        )

    def allowance(self) -> Allowance:
        return Allowance(parse_amount(self.free_model_credits), parse_amount(self.free_tool_runs))


class SetupSettings(MeterSettings):
    """Passwords are set where given, and left alone where not (certificates, peer authentication)."""

    distribute: Literal["none", "citus"] = Field(
        "none", description="citus: distribute the tables over the nodes of a Citus cluster by shard, for good"
    )
    distribute_parts: int | None = Field(
        None,
        ge=1,
        le=MOST_PARTS,
        description="pieces of each table that can lie on different nodes; default: four times the partitions",
    )
    setup_reader_connections: int = Field(
        50, ge=1, le=10_000, description="most connections of credit_reader at a time, all readers together"
    )
    setup_reader_timeout_s: float = Field(
        10, gt=0, le=3600, description="the longest a statement of credit_reader may take, unless it asks for more"
    )
    setup_password_owner: SecretStr | None = Field(
        None, description="password that setup gives credit_owner, as which it can be run from then on"
    )
    setup_password_meter: SecretStr | None = Field(None, description="password that setup gives credit_meter")
    setup_password_projections: SecretStr | None = Field(
        None, description="password that setup gives credit_projections"
    )
    setup_password_notifier: SecretStr | None = Field(None, description="password that setup gives credit_notifier")
    setup_password_support: SecretStr | None = Field(None, description="password that setup gives credit_support")
    setup_password_reader: SecretStr | None = Field(None, description="password that setup gives credit_reader")
    setup_password_console: SecretStr | None = Field(None, description="password that setup gives credit_console")
    setup_password_pruner: SecretStr | None = Field(None, description="password that setup gives credit_pruner")

    @property
    def parts(self) -> int:
        return self.distribute_parts or min(PARTS_FOR_A_SHARD * self.partitions, MOST_PARTS)
