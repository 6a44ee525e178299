"""Settings of the notifier: thresholds, texts, sender and links, the mail server, and how long to try."""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, TypeAdapter, ValidationError, field_validator, model_validator

from meter.links import LinkSettings
from meter.runtime.encryption import away, may_be_plain, read_hosts
from meter.runtime.settings import LINK_PATTERN
from meter.thresholds import ThresholdSettings
from notifier.decide import Thresholds
from notifier.mail.limits import DayLimits
from notifier.sender import Sender
from schemas.fields import Address

SmtpSecurity = Literal["auto", "none", "starttls", "tls"]
STANDARD_PORTS: dict[str, int] = {"auto": 25, "none": 25, "starttls": 587, "tls": 465}
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")


class NotifierSettings(ThresholdSettings, LinkSettings):
    # Each change may queue an email per contact: smaller batches than the meter's keep transactions short.
    batch_events: int = Field(500, ge=1, le=5_000, description="most changes of one shard in one transaction")
    # Changes are few beside events, so more fetches cost little, and people wait for what follows from them: at a tenth
    # of the sustained rate a banner is there 24 ms sooner than with the 40 of the other services, at the same cost.
    kafka_fetch_wait_ms: int = Field(
        20,
        ge=1,
        le=10_000,
        description="time for changes to gather at the broker, while many come; beyond 2,000/s less",
    )

    templates_dir: Path | None = Field(
        None, description="directory with *.j2 files that take the place of the ones in notifier/templates"
    )

    mail_from: str = Field("credits@localhost.localdomain", description="address that the emails are from")
    mail_from_name: str = Field("Credit Meter", max_length=100, description="name beside that address")
    mail_reply_to: str | None = Field(None, description="address for answers")
    mail_product: str = Field("the agent platform", max_length=100, description="what the account belongs to, in texts")
    support_email: str | None = Field(None, description="address of support, where there is no support_url")
    unsubscribe_url: str | None = Field(
        None,
        pattern=LINK_PATTERN,
        description="link to get no more letters, also in the header List-Unsubscribe; {account} and {contact} in it "
        "become the account id and the contact's id in events",
    )

    smtp_host: str = Field("localhost", description="mail server")
    smtp_port: int | None = Field(None, ge=1, le=65_535, description="default: 25, with starttls 587, with tls 465")
    smtp_security: SmtpSecurity = Field(
        "auto",
        description="tls, starttls, none, or auto: starttls, which only this machine and plaintext_hosts may lack",
    )
    smtp_verify: bool = Field(True, description="check the server's certificate; off only for tests")
    smtp_cafile: str | None = Field(None, description="PEM file of the authorities to trust; default: the system's")
    smtp_certfile: str | None = Field(None, description="PEM file of the client's certificate")
    smtp_keyfile: str | None = Field(None, description="PEM file of the client's key")
    smtp_username: str | None = Field(None, description="user name for the mail server")
    smtp_password: SecretStr | None = Field(None, description="password for the mail server")
    smtp_helo: str | None = Field(None, description="name given in EHLO; default: the domain of mail_from")
    smtp_connections: int = Field(4, ge=1, le=50, description="connections one process may open at any time")
    smtp_connections_max: int = Field(
        20, ge=1, le=50, description="connections one process may open while letters are late; see mail_overdue_s"
    )
    smtp_idle_s: float = Field(20, gt=0, le=300, description="an unused connection is closed after this time")
    smtp_timeout_s: float = Field(30, gt=0, le=300, description="the longest wait for a reply other than the last")
    smtp_dot_timeout_s: float = Field(
        600, gt=0, le=1800, description="the longest wait for the reply to the body; RFC 5321 asks for 10 minutes"
    )

    mail_attempts: int = Field(30, ge=1, le=1000, description="tries per email before it is given up")
    mail_retry_first_s: float = Field(30, gt=0, le=3600, description="pause after the first failed try of an email")
    mail_retry_max_s: float = Field(3600, gt=0, le=86_400, description="longest pause between tries of an email")
    mail_trouble_first_s: float = Field(
        1, gt=0, le=600, description="pause of all sending when the mail server is not reachable or refuses us"
    )
    mail_trouble_max_s: float = Field(300, gt=0, le=3600, description="longest such pause")
    mail_pause_s: float = Field(
        3, ge=0, le=3600, description="how long a letter waits, so that a burst of lines becomes one letter"
    )
    mail_lost_replies: int = Field(
        3, ge=1, le=100, description="lost replies to the final dot after which a letter counts as told"
    )
    mail_day_limit: int = Field(
        50, ge=1, le=10_000, description="most letters to one contact of an account in 24 hours; the next one waits"
    )
    mail_address_day_limit: int = Field(
        200, ge=1, le=1_000_000, description="most letters to one address in 24 hours, of all accounts together"
    )
    mail_account_day_limit: int = Field(
        1000, ge=1, le=1_000_000, description="most letters of one account in 24 hours, to all contacts together"
    )
    mail_keep_days: float = Field(
        30, gt=0, le=3650, description="how long a letter keeps its bytes after its end: address, name and text"
    )
    mail_overdue_s: float = Field(
        10, ge=0, le=3600, description="a letter is late that has been due for so long: one more connection is opened"
    )
    mail_poll_s: float = Field(1, gt=0, le=60, description="how often to look for emails that are due")

    @field_validator("mail_from", "mail_reply_to", "support_email")
    @classmethod
    def check_address(cls, value: str | None) -> str | None:
        try:
            return value if value is None else TypeAdapter[str](Address).validate_python(value)
        except ValidationError:
            raise ValueError("is not one plain email address, like credits@example.com") from None

    @field_validator("mail_from_name", "mail_product")
    @classmethod
    def check_line(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("has control characters")
        return value

    @field_validator("smtp_host", "smtp_helo")
    @classmethod
    def check_host(cls, value: str | None) -> str | None:
        if value is not None and not _HOST.fullmatch(value):
            raise ValueError("is no host name or address")
        return value

    @model_validator(mode="after")
    def check_smtp(self) -> Self:
        if (self.smtp_username is None) != (self.smtp_password is None):
            raise ValueError("smtp_username and smtp_password belong together")
        if (self.smtp_certfile is None) != (self.smtp_keyfile is None):
            raise ValueError("smtp_certfile and smtp_keyfile belong together")
        return self

    @property
    def thresholds(self) -> Thresholds:
        return Thresholds.of(self.banner_thresholds, self.email_thresholds)

    @property
    def day_limits(self) -> DayLimits:
        return DayLimits(self.mail_day_limit, self.mail_address_day_limit, self.mail_account_day_limit)

    @property
    def sender(self) -> Sender:
        return Sender(
            address=self.mail_from,
            name=self.mail_from_name,
            reply_to=self.mail_reply_to,
            product=self.mail_product,
            billing_url=self.billing_url,
            support_url=self.support_url,
            support_email=self.support_email,
            unsubscribe_url=self.unsubscribe_url,
        )

    @property
    def smtp_address(self) -> tuple[str, int]:
        return self.smtp_host, self.smtp_port or STANDARD_PORTS[self.smtp_security]

    @property
    def smtp_demands(self) -> SmtpSecurity:
        """`auto` insists on STARTTLS where what is sent leaves this machine."""
        plain = may_be_plain([self.smtp_host], read_hosts(self.plaintext_hosts))
        return "starttls" if self.smtp_security == "auto" and not plain else self.smtp_security

    def without_tls(self) -> dict[str, str]:
        encrypted = self.smtp_demands in ("starttls", "tls") and self.smtp_verify
        if encrypted or not away([self.smtp_host]):
            return super().without_tls()
        how = self.smtp_security if self.smtp_verify else "certificate not checked"
        return super().without_tls() | {"smtp": f"{self.smtp_host} ({how})"}

    @property
    def claim_s(self) -> float:
        """Longer than everything that happens between a claim and the final dot, each step at its longest."""
        return 10 * self.smtp_timeout_s + 30
