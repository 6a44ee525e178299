"""Where texts and pages lead people: to the billing page and to support."""

from pydantic import Field

from meter.runtime.settings import LINK_PATTERN, Settings


class LinkSettings(Settings):
    billing_url: str | None = Field(None, pattern=LINK_PATTERN, description="link to manage billing")
    support_url: str | None = Field(None, pattern=LINK_PATTERN, description="link to contact support")
