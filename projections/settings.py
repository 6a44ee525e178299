"""Settings of the projections: what every service has, and how much is folded at a time."""

from pydantic import Field

from meter.runtime.settings import Settings
from meter.thresholds import ThresholdSettings


class ProjectionsSettings(Settings):
    # So many events of the largest amount still add up to a BIGINT.
    fold_events: int = Field(50_000, ge=1, le=900_000, description="most events folded in one transaction")
    fold_workers: int = Field(2, ge=1, le=64, description="transactions folded at the same time; below the pool size")
    fold_pause_ms: int = Field(
        8, ge=0, le=10_000, description="shortest pause after a transaction, so that the next one finds more to fold"
    )
    usage_events: int = Field(
        200_000, ge=1, le=5_000_000, description="most events of the log whose usage is folded in one transaction"
    )
    usage_pause_s: float = Field(
        0.5,
        ge=0.01,
        le=60,
        description="pause between two folds of usage: larger pieces cost less, and usage is as much behind",
    )
    fold_poll_s: float = Field(0.5, gt=0, le=60, description="longest time between two looks without a notification")


class VerifySettings(ThresholdSettings, ProjectionsSettings):
    """With the notifier's thresholds. Only `verify` and `explain` read them, so a wrong value stops no service."""
