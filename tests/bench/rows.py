"""Rows of meter.events made from the workload itself, for what is measured without the services."""

import json
from datetime import datetime
from typing import Any

from meter.store.layout import EVENT_COLUMNS
from schemas.identity import identity_key
from schemas.topics import USAGE, partition_for
from tests.bench.events import MICRO, Message

CODES = {
    "usage.model_inference.v1": 1,
    "usage.guardrail.v1": 2,
    "usage.custom_script.v1": 3,
    "usage.tool_run.v1": 4,
}
Row = tuple[Any, ...]


def make_rows(messages: list[Message], partitions: int) -> list[Row]:
    """One row per sound, new message, positions contiguous per shard, in the order of meter.events' columns."""
    rows: list[Row] = []
    seen: set[str] = set()
    heads = dict.fromkeys(range(partitions), 0)
    for offset, message in enumerate(messages):
        event = decode(message)
        if event is None or event["id"] in seen:
            continue
        seen.add(event["id"])
        shard = partition_for(message.key, partitions)
        heads[shard] += 1
        rows.append(make_row(event, shard, heads[shard], offset))
    return rows


def decode(message: Message) -> dict[str, Any] | None:
    """The event, or None where the record is garbage."""
    try:
        event: dict[str, Any] = json.loads(message.value)
        sound = event["subject"].encode() == message.key and event["type"] in CODES and len(event["id"]) == 36
        return event if sound and amount_of(event) >= 0 else None
    except ValueError:
        return None


def amount_of(event: dict[str, Any]) -> int:
    """Micro-units."""
    data = event["data"]
    if "tool" in data:
        return int(data["runs"]) * MICRO
    whole, _, decimals = data["credits"].partition(".")
    return int(whole + decimals.ljust(6, "0"))


def make_row(event: dict[str, Any], shard: int, position: int, offset: int) -> Row:
    data, code = event["data"], CODES[event["type"]]
    moment = datetime.fromisoformat(event["time"])
    values = {
        "position": position,
        "amount": amount_of(event),
        "kafka_offset": offset,
        "occurred_at": moment,
        "recorded_at": moment,
        "event_id": None,
        "shard": shard,
        "type": code,
        "resource": 2 if code == 4 else 1,
        "account_id": event["subject"],
        "name": data.get("model") or data.get("guardrail") or data.get("script") or data.get("tool"),
        "source": event["source"],
        "data": json.dumps(data, separators=(",", ":")),
        "extensions": None,
        "id": None,
        "event_key": identity_key(USAGE, event["subject"], event["source"], event["id"]),
    }
    return tuple(values[column] for column in EVENT_COLUMNS)
