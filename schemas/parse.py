"""A Kafka record becomes an event to store or a rejection to record. Pure and total: the hot path of the product."""

from datetime import datetime

from schemas.records import Accepted, Limits, Record, Rejected
from schemas.slow import parse_slow

__all__ = ["Accepted", "Limits", "Record", "Rejected", "parse"]


def parse(record: Record, now: datetime, limits: Limits) -> Accepted | Rejected:
    """Judge one record of an input topic. `now` is the meter's clock, aware UTC. Never raises."""
    return parse_slow(record, now, limits)
