"""Events put straight into the log, as the meter would have."""

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from meter.runtime.postgres import Pool
from projections.plan import plan
from projections.store import FoldStore
from schemas.events import CODES
from schemas.identity import OWN_SOURCE
from schemas.resources import RESOURCE_CODES, Resource
from schemas.topics import partition_for

SHARDS = 3
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MICRO = 1_000_000
MOST = 20_000  # events in one transaction: all that a test puts into the log
FREE = "free_allowance"
INFERENCE, GUARDRAIL, SCRIPT, TOOL, REVERSED = (
    CODES[f"usage.{kind}.v1"] for kind in ("model_inference", "guardrail", "custom_script", "tool_run", "reversed")
)
OPENED, PLAN, CONTACTS, RENAMED, CLOSED, REOPENED = (
    CODES[f"account.{change}.v1"]
    for change in ("opened", "plan_changed", "contacts_changed", "renamed", "closed", "reopened")
)
GRANTED, REVOKED = CODES["credits.granted.v1"], CODES["credits.revoked.v1"]
CREDITS, RUNS = (RESOURCE_CODES[resource] for resource in (Resource.MODEL_CREDITS, Resource.TOOL_RUNS))
NAMES = {CREDITS: "model_credits", RUNS: "tool_runs"}
COLUMNS = (
    "position", "amount", "kafka_offset", "occurred_at", "recorded_at", "id", "event_key", "shard", "type", "resource",
    "account_id", "name", "source", "data", "extensions",
)  # fmt: skip
NEW_GENERATION = """
WITH begun AS (
    INSERT INTO meter.generations (shard, generation, batch, from_position, usage_offset, accounts_offset, head,
                                   usage_known, accounts_known, position_known, begun_at, begun_by, reason)
    SELECT shard, 2, next_batch, next_position, usage_offset, accounts_offset, head, 0, 0, 0, now(), 'tests', 'tried'
    FROM meter.shards
)
UPDATE meter.shards SET generation = 2
"""


@dataclass(frozen=True, kw_only=True)
class Event:
    account_id: str
    type: int
    resource: int | None = None
    amount: int = 0  # micro-units
    name: str = ""
    occurred_at: datetime = NOON
    data: Mapping[str, Any] = field(default_factory=dict)
    reverses: "Event | None" = None  # the usage that it takes back, where the meter links them

    @property
    def free(self) -> bool:
        """Whether the meter derived it from an opening."""
        return self.name == FREE

    @property
    def shard(self) -> int:
        return partition_for(self.account_id.encode(), SHARDS)


def used(account_id: str, credits: float, name: str = "small-chat", **more: Any) -> Event:
    return Event(
        account_id=account_id, type=INFERENCE, resource=CREDITS, amount=round(credits * MICRO), name=name, **more
    )


def tool(account_id: str, runs: int = 1, name: str = "web-search") -> Event:
    return Event(account_id=account_id, type=TOOL, resource=RUNS, amount=runs * MICRO, name=name)


def granted(account_id: str, amount: int, resource: int = CREDITS, reason: str = "top_up") -> Event:
    data = {"resource": NAMES[resource], "amount": str(amount), "reason": reason, "reference": reason}
    return Event(account_id=account_id, type=GRANTED, resource=resource, amount=amount * MICRO, name=reason, data=data)


def reversed_(account_id: str, amount: int, resource: int = CREDITS) -> Event:
    data = {"resource": NAMES[resource], "amount": str(amount), "reason": "failed_run"}
    return Event(
        account_id=account_id, type=REVERSED, resource=resource, amount=amount * MICRO, name="failed_run", data=data
    )


def reversal_of(used: Event, amount: int, **more: Any) -> Event:
    """Of one event of usage, in micro-units, as the meter links it."""
    assert used.resource is not None
    return Event(
        account_id=used.account_id, type=REVERSED, resource=used.resource, amount=amount, name="failed_run",
        data={"resource": NAMES[used.resource], "amount": f"{amount / MICRO:.6f}", "reason": "failed_run"},
        reverses=used, **more,
    )  # fmt: skip


def reverse(event: Event, amount: int, after: timedelta) -> Event:
    return Event(
        account_id=event.account_id, type=REVERSED, resource=event.resource, amount=amount, name="failed_run",
        occurred_at=event.occurred_at + after, reverses=event,
    )  # fmt: skip


def revoked(account_id: str, amount: int, resource: int = CREDITS) -> Event:
    data = {"resource": NAMES[resource], "amount": str(amount), "reason": "chargeback", "reference": "INV-2"}
    return Event(
        account_id=account_id, type=REVOKED, resource=resource, amount=amount * MICRO, name="chargeback", data=data
    )


def opened(account_id: str, plan: str = "free", contacts: Iterable[str] = ("owner@example.com",)) -> list[Event]:
    """Opening with its two free grants, as the meter stores it."""
    data = {"plan": plan, "contacts": list(contacts), "display_name": f"Name of {account_id}"}
    return [
        Event(account_id=account_id, type=OPENED, name=plan, data=data),
        granted(account_id, 75, CREDITS, FREE),
        granted(account_id, 10_000, RUNS, FREE),
    ]


def plan_changed(account_id: str, plan: str) -> Event:
    return Event(account_id=account_id, type=PLAN, name=plan, data={"plan": plan})


def contacts_changed(account_id: str, *contacts: str) -> Event:
    return Event(account_id=account_id, type=CONTACTS, data={"contacts": list(contacts)})


def renamed(account_id: str, **names: object) -> Event:
    return Event(account_id=account_id, type=RENAMED, data=names)


def closed(account_id: str) -> Event:
    return Event(account_id=account_id, type=CLOSED)


def reopened(account_id: str) -> Event:
    return Event(account_id=account_id, type=REOPENED)


def item(account_id: str, id: str, name: str, **more: Any) -> Event:
    data = {"kind": "model", "id": id, "name": name, "status": "deployed", **more}
    return Event(account_id=account_id, type=CODES["item.changed.v1"], name=id, data=data)


async def fold_all(pool: Pool, most_events: int = 40) -> int:
    """Fold balances until nothing is left; how many transactions it took. Small ones cut the log at many places."""
    store, count = FoldStore(pool, most_events=most_events), 0
    while await store.fold(plan) is not None:
        count += 1
    return count


def take_batch(events: list[Event], count: int) -> list[Event]:
    """Remove about the first `count` events: the meter never commits an opening without its free grants."""
    while count < len(events) and events[count].free:
        count += 1
    batch = events[:count]
    del events[:count]
    return batch


class EventLog:
    """Writes batches; positions ascend without gaps per shard."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._next: Counter[int] = Counter()
        self._positions: dict[int, int] = {}  # by the identity of the event, which `events` keeps alive
        self.events: list[Event] = []

    async def set_up(self, projections: Sequence[str] = ("balance", "usage")) -> None:
        await self._pool.execute("INSERT INTO meter.shards (shard) SELECT generate_series(0, $1::int - 1)", SHARDS)
        await self._pool.execute(
            "INSERT INTO projections.cursors (projection, shard) SELECT p, generate_series(0, $1::int - 1) "
            "FROM unnest($2::text[]) AS p",
            SHARDS,
            projections,
        )
        if await self._pool.fetchval("SELECT to_regclass('projections.rebuild_shards') IS NOT NULL"):  # else older
            await self._pool.execute(
                "INSERT INTO projections.rebuild_shards (shard) SELECT generate_series(0, $1::int - 1)", SHARDS
            )
        await self._pool.execute(
            "INSERT INTO projections.outbox_shards (shard) SELECT generate_series(0, $1::int - 1)", SHARDS
        )

    async def append(self, *events: Event) -> None:
        """One transaction, as one batch of the meter for each shard."""
        rows = [self._row(event) for event in events]
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.copy_records_to_table("events", schema_name="meter", columns=COLUMNS, records=rows)
            await connection.copy_records_to_table(
                "reversals", schema_name="meter", columns=("shard", "position", "reverses", "amount"),
                records=[self._link(event) for event in events if event.reverses is not None],
            )  # fmt: skip
            for shard in {event.shard for event in events}:
                await connection.execute(
                    "UPDATE meter.shards SET next_position = $2 WHERE shard = $1", shard, self._next[shard] + 1
                )
                await connection.execute("SELECT pg_notify('meter_events', $1)", str(shard))
        self.events += events

    def _link(self, event: Event) -> tuple[int, ...]:
        return event.shard, self._positions[id(event)], self._positions[id(event.reverses)], event.amount

    def _row(self, event: Event) -> tuple[object, ...]:
        self._next[event.shard] += 1
        position = self._positions[id(event)] = self._next[event.shard]
        event_id = uuid.uuid4()
        recorded_at = NOON + timedelta(milliseconds=position)
        return (
            position, event.amount, position, event.occurred_at, recorded_at, str(event_id), event_id.bytes + bytes(16),
            event.shard, event.type, event.resource, event.account_id, event.name,
            OWN_SOURCE if event.free else "//tests.example.com", json.dumps(event.data), None,
        )  # fmt: skip
