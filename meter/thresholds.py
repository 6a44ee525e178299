"""The lines that notices are drawn at, as settings: the notifier draws by them, `projections verify` checks by them."""

from pydantic import Field, field_validator

from meter.runtime.settings import Settings
from schemas.exhaustion import DEFAULT_BANNER_THRESHOLDS, DEFAULT_EMAIL_THRESHOLDS

# An empty variable counts as one that is not set.
NO_THRESHOLDS = "none"


class ThresholdSettings(Settings):
    banner_thresholds: tuple[int, ...] = Field(
        DEFAULT_BANNER_THRESHOLDS, description="percents of exhaustion with a banner, separated by commas"
    )
    email_thresholds: tuple[int, ...] = Field(
        DEFAULT_EMAIL_THRESHOLDS,
        description="percents of exhaustion with an email, separated by commas; none for no emails",
    )

    @field_validator("banner_thresholds", "email_thresholds", mode="before")
    @classmethod
    def split_percents(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return () if value == NO_THRESHOLDS else tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("banner_thresholds", "email_thresholds")
    @classmethod
    def check_percents(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 1 <= percent <= 100 for percent in value):
            raise ValueError("has others than whole percents from 1 to 100")
        if len(set(value)) < len(value):
            raise ValueError("has a threshold twice")
        return tuple(sorted(value))
