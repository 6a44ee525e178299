"""What tests share: waiting, databases, builders of events and records, real processes."""

from tests.support.waiting import until, until_sync

__all__ = ["until", "until_sync"]
