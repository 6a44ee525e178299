"""Records for the parser. They keep the contract except where an argument breaks it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.parsing.parse import Accepted, Limits, Record, Rejected, Remarked, parse
from schemas.topics import ACCOUNTS, USAGE, partition_for

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
LIMITS = Limits(partitions=12, max_ahead=timedelta(hours=1), max_bytes=65_536)
ACCOUNT = "acct-1"
EVENT_ID = "019b76da-a800-79ab-aa7b-5bf55eb561a4"
STRUCTURED = (("content-type", b"application/cloudevents+json"),)

EXAMPLES: dict[str, dict[str, Any]] = {
    "usage.model_inference.v1": {
        "credits": "0.25", "model": "sage-3", "deployment": "eu-1", "input_tokens": 12, "output_tokens": 34,
    },
    "usage.guardrail.v1": {"credits": "0.000001", "guardrail": "toxicity"},
    "usage.custom_script.v1": {"credits": "3", "script": "score-lead"},
    "usage.tool_run.v1": {"tool": "search_web", "runs": 2, "status": "ok"},
    "item.changed.v1": {
        "kind": "model", "id": "sage-3", "name": "Sage 3", "status": "deployed", "owner": "Ann", "type": "base",
        "version": "3", "deployed_at": "2026-02-01T00:00:00Z",
    },
    "account.opened.v1": {"plan": "free", "contacts": ["ann@example.com"], "display_name": "Ann's", "time_zone": "UTC"},
    "account.plan_changed.v1": {"plan": "team"},
    "account.contacts_changed.v1": {"contacts": []},
    "account.renamed.v1": {"display_name": "Ann & Co", "time_zone": "Europe/Berlin"},
    "account.closed.v1": {},
    "account.reopened.v1": {},
    "account.forgotten.v1": {"reason": "request of 3 May"},
    "credits.granted.v1": {"resource": "tool_runs", "amount": "100", "reason": "top_up", "reference": "ticket 1"},
    "credits.revoked.v1": {
        "resource": "tool_runs", "amount": "50", "reason": "chargeback", "reference": "ticket 2", "revokes": EVENT_ID,
    },
    "usage.reversed.v1": {"resource": "model_credits", "amount": "0.25", "reason": "failed run", "reverses": EVENT_ID},
}  # fmt: skip


def make_event(type: Any = "usage.guardrail.v1", data: Any = None, **attributes: Any) -> dict[str, Any]:
    """A CloudEvent as a dict; an attribute given as None is left out."""
    event = {
        "specversion": "1.0",
        "id": EVENT_ID,
        "source": "https://agents.example.com/assistant-1",
        "type": type,
        "subject": ACCOUNT,
        "time": "2026-03-01T11:59:59.123456Z",
        "datacontenttype": "application/json",
        **attributes,
        "data": EXAMPLES.get(str(type), {}) if data is None else data,
    }
    return {name: value for name, value in event.items() if value is not None}


def to_bytes(event: Any) -> bytes:
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def make_record(
    value: bytes | None,
    *,
    key: bytes | None = ACCOUNT.encode(),
    topic: str = USAGE,
    partition: int | None = None,
    headers: Sequence[tuple[str, bytes]] = STRUCTURED,
) -> Record:
    chosen = partition_for(key or b"", LIMITS.partitions) if partition is None else partition
    return Record(topic, chosen, 7, 1_772_000_000_000, key, value, headers)


def record_of(event: dict[str, Any], **record: Any) -> Record:
    """The record of an event, on the topic of its type."""
    topic = USAGE if str(event.get("type")) in EXAMPLES and str(event["type"]) in list(EXAMPLES)[:5] else ACCOUNTS
    return make_record(to_bytes(event), **{"topic": topic, **record})


def accept(record: Record, limits: Limits = LIMITS) -> Accepted:
    """The event of a record that is taken, with or without remarks."""
    result = parse(record, NOW, limits)
    if isinstance(result, Remarked):
        return result.event
    assert isinstance(result, Accepted), result
    return result


def reject(record: Record, limits: Limits = LIMITS) -> Rejected:
    result = parse(record, NOW, limits)
    assert isinstance(result, Rejected), result
    assert result.record is record
    assert 0 < len(result.detail) <= 500
    assert result.reason.advice
    return result


def with_data(text: str) -> bytes:
    """A guardrail event around data given as JSON text."""
    return to_bytes(make_event(data="?")).replace(b'"?"', text.encode("utf-8", "surrogatepass"))
