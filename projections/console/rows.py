"""Rows that the console reads, as values."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """What one item used in a period. Reversals have negative amounts."""

    resource: str
    kind: str
    item: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage(Amount):
    """What for, and how much else."""

    deployment: str
    category: str
    status: str
    events: int
    tokens_in: Decimal
    tokens_out: Decimal
    seconds: Decimal
    last_used: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What was used of a kind in one hour or on one day."""

    at: datetime
    resource: str
    kind: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One deployment of an item, or an item that was never used."""

    kind: str
    id: str
    name: str
    status: str | None
    owner: str | None
    type: str | None
    language: str | None
    version: str | None
    reason: str | None
    deployed_at: datetime | None
    deployment: str
    first_used: datetime | None
    hardware: str | None
    replicas: int | None
    cpus: Decimal | None
    memory_gb: Decimal | None
    told: bool


def total(rows: Iterable[Amount]) -> Decimal:
    return sum((row.amount for row in rows), Decimal(0))


def latest(moments: Iterable[datetime | None]) -> datetime | None:
    return max((at for at in moments if at is not None), default=None)
