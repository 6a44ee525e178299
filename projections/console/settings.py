"""Settings of the console: where it listens, who may look, and how often it looks."""

import ipaddress
import re
from pathlib import Path
from typing import Final, Literal, Self
from zoneinfo import available_timezones

from pydantic import Field, SecretStr, field_validator, model_validator

from meter.links import LinkSettings

Algorithm = Literal["HS256", "RS256", "ES256", "EdDSA"]
MIN_SECRET_CHARS: Final = 32
ORIGIN: Final = r"^https?://[A-Za-z0-9.\-\[\]:]+$"


class ConsoleSettings(LinkSettings):
    console_host: str = Field("127.0.0.1", description="address of the console; without keys only a loopback address")
    console_port: int = Field(8090, ge=0, le=65_535, description="port of the console; 0 takes any free port")

    console_algorithm: Algorithm = Field("HS256", description="the one algorithm that tokens are signed with")
    console_secret: SecretStr | None = Field(None, description="key of HS256, at least 32 characters")
    console_key_file: Path | None = Field(
        None, description="keys of the other algorithms: a JWK set or a PEM file; public keys are enough"
    )
    console_audience: str = Field("credit-console", min_length=1, description="the `aud` that a token must have")
    console_leeway_s: int = Field(30, ge=0, le=300, description="how far the issuer's clock may differ from ours")
    console_origins: tuple[str, ...] = Field(
        (), description="origins whose pages may ask with a token, separated by commas: https://app.example.com"
    )

    console_requests: int = Field(600, ge=10, le=1_000_000, description="most requests of one client in a minute")
    console_pages: int = Field(
        2_000, ge=1, le=100_000,
        description="most pages of one process that are kept live; of one account a tenth of them, and 5 at least",
    )  # fmt: skip
    console_poll_ms: int = Field(
        500, ge=500, le=60_000, description="pause between two looks at the balances of all live pages"
    )
    console_stale_s: int = Field(
        10, ge=1, le=3600, description="figures further behind the log than this are not shown as sure"
    )
    console_zone: str = Field("UTC", description="time zone of the days of accounts that have none of their own")

    @field_validator("console_origins", mode="before")
    @classmethod
    def split_origins(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("console_origins")
    @classmethod
    def check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [origin for origin in value if not re.fullmatch(ORIGIN, origin)]:
            raise ValueError(f"has {len(wrong)} of {len(value)} that are no origin like https://app.example.com")
        return value

    @field_validator("console_zone")
    @classmethod
    def check_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("is no time zone like Europe/Berlin")
        return value

    @model_validator(mode="after")
    def check_keys(self) -> Self:
        if self.console_secret is not None and len(self.console_secret.get_secret_value()) < MIN_SECRET_CHARS:
            raise ValueError(f"console_secret has fewer than {MIN_SECRET_CHARS} characters")
        if self.console_secret is not None and (self.console_algorithm != "HS256" or self.console_key_file is not None):
            raise ValueError(
                "console_secret is the key of HS256: set console_algorithm, and either it or console_key_file"
            )
        if self.console_key_file is not None and self.console_algorithm == "HS256":
            raise ValueError("console_key_file holds keys of RS256, ES256 or EdDSA: set console_algorithm")
        if not self.has_keys and not is_loopback(self.console_host):
            raise ValueError(
                "without keys it listens on a loopback address only: set console_secret, or console_host to 127.0.0.1"
            )
        return self

    @property
    def has_keys(self) -> bool:
        return self.console_secret is not None or self.console_key_file is not None


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
