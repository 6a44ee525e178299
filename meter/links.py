"""Where texts and pages lead people: to the billing page and to support."""

from pydantic import Field

from meter.runtime.settings import Settings


class LinkSettings(Settings):
    billing_url: str | None = Field(None, pattern=r"^https?://[^\s\"<>]+$", description="link to manage billing")
    support_url: str | None = Field(None, pattern=r"^https?://[^\s\"<>]+$", description="link to contact support")
