"""Plans to append, built by hand."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from meter.allowance import Allowance
from meter.content import RESOURCES
from meter.plan import NOTHING_UNREAD, AppendPlan, plan_append
from schemas.amounts import format_amount
from schemas.events import CODES
from schemas.identity import identity_key
from schemas.reasons import Reason
from schemas.records import Accepted, Outcome, Record, Rejected, Remarked, Rerouted
from schemas.topics import ACCOUNTS, USAGE

MOMENT = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
MODEL_INFERENCE, TOOL_RUN = CODES["usage.model_inference.v1"], CODES["usage.tool_run.v1"]
OPENED, GRANTED = CODES["account.opened.v1"], CODES["credits.granted.v1"]
REVOKED, REVERSED = CODES["credits.revoked.v1"], CODES["usage.reversed.v1"]


def usage(offset: int, **changes: Any) -> Accepted:
    fields: dict[str, Any] = {
        "topic": USAGE,
        "offset": offset,
        "event_id": str(uuid4()),
        "account_id": "acc-1",
        "type": MODEL_INFERENCE,
        "resource": 1,
        "amount": 250_000,
        "name": "large",
        "occurred_at": MOMENT,
        "source": "/example/gateway",
        "data": '{"credits":"0.25","model":"large"}',
        "extensions": None,
    }
    fields |= changes
    if "key" not in fields:
        fields["key"] = identity_key(*(fields[name] for name in ("topic", "account_id", "source", "event_id")))
    return Accepted(**fields)


def opened(offset: int, **changes: Any) -> Accepted:
    fields = {
        "topic": ACCOUNTS,
        "type": OPENED,
        "resource": None,
        "amount": 0,
        "name": "free",
        "data": '{"plan":"free","contacts":["owner@example.com"]}',
    }
    return usage(offset, **(fields | changes))


def granted(offset: int, amount: int, resource: int = 1, **changes: Any) -> Accepted:
    return moved(offset, GRANTED, amount, resource, {"reference": "ticket 1"}, **changes)


def revoked(offset: int, amount: int, resource: int = 1, *, revokes: str | None = None, **changes: Any) -> Accepted:
    more = {"reference": "ticket 2"} | ({} if revokes is None else {"revokes": revokes})
    return moved(offset, REVOKED, amount, resource, more, **changes)


def reversal(
    offset: int, amount: int, reverses: str, resource: int = 1, *, reverses_source: str | None = None, **changes: Any
) -> Accepted:
    more = {"reverses": reverses} | ({} if reverses_source is None else {"reverses_source": reverses_source})
    return moved(offset, REVERSED, amount, resource, more, **changes)


def moved(offset: int, type: int, amount: int, resource: int, more: dict[str, str], **changes: Any) -> Accepted:
    """An event of billing or support that moves credits or runs."""
    data = {"resource": RESOURCES[resource], "amount": format_amount(amount), "reason": "test"} | more
    fields = {"topic": ACCOUNTS, "type": type, "resource": resource, "amount": amount, "name": "test"}
    return usage(offset, **(fields | {"source": "/example/support", "data": json.dumps(data)} | changes))


def record(topic: str, offset: int, **changes: Any) -> Record:
    fields: dict[str, Any] = {
        "topic": topic,
        "partition": 0,
        "offset": offset,
        "timestamp_ms": 1_772_368_215_000,
        "key": b"acc-1",
        "value": b"{}",
        "headers": [],
    }
    return Record(**(fields | changes))


def rejected(topic: str, offset: int, reason: Reason = Reason.NOT_JSON, **changes: Any) -> Rejected:
    return Rejected(record(topic, offset, **changes), reason, "it is no JSON")


def rerouted(topic: str, offset: int, partition: int = 1, **changes: Any) -> Rerouted:
    return Rerouted(record(topic, offset, **changes), partition, "acc-1", "/example/gateway")


def plan(
    *results: Outcome,
    shard: int = 0,
    start: tuple[int, int] = (0, 0),
    end: tuple[int, int] | None = None,
    allowance: Allowance | None = None,
    at: datetime = MOMENT,
    unread: Mapping[str, Sequence[Rejected]] = NOTHING_UNREAD,
    usage_end: int = 0,
    usage_ends: tuple[int, ...] = (),
    room: int | None = None,
) -> AppendPlan:
    """A plan for these results; `start` and `end` are (usage, accounts). Without `end` the range ends with the last."""
    by_topic: dict[str, list[Outcome]] = {USAGE: [], ACCOUNTS: []}
    for result in results:
        by_topic[place_of(result)[0]].append(result)
    begin = {USAGE: start[0], ACCOUNTS: start[1]}
    return plan_append(
        shard=shard,
        records=records_of(by_topic),
        results=by_topic,
        start=begin,
        end={USAGE: end[0], ACCOUNTS: end[1]} if end else ends_of(by_topic, begin),
        recorded_at=at,
        allowance=allowance or Allowance(),
        unread=unread,
        usage_end=usage_end,
        usage_ends=usage_ends,
        room=room,
    )


def place_of(result: Outcome) -> tuple[str, int]:
    if isinstance(result, Rejected | Rerouted):
        return result.record.topic, result.record.offset
    if isinstance(result, Remarked):
        return result.event.topic, result.event.offset
    return result.topic, result.offset


def records_of(by_topic: Mapping[str, Sequence[Outcome]]) -> dict[str, list[Record]]:
    return {
        topic: [r.record if isinstance(r, Rejected | Rerouted) else record(topic, place_of(r)[1]) for r in results]
        for topic, results in by_topic.items()
    }


def ends_of(by_topic: Mapping[str, Sequence[Outcome]], begin: Mapping[str, int]) -> dict[str, int]:
    return {topic: place_of(results[-1])[1] + 1 if results else begin[topic] for topic, results in by_topic.items()}
