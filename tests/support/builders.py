"""Events and records with usual values; a test names only what it is about.

Written by hand and not with `schemas.build`, so that the product does not check itself.
"""

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from schemas.records import Record
from schemas.topics import ACCOUNTS, USAGE, partition_for

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
STRUCTURED = (("content-type", b"application/cloudevents+json"),)
ACCOUNT = "acct-1"


def event_id(number: int) -> str:
    """A UUID (version 7 in form) that counts with the number, for readable failures."""
    return str(uuid.UUID(int=(0x0193_A1F2_7C00 << 80) | (7 << 76) | (2 << 62) | number))


def event(type_: str, data: dict[str, Any], account_id: str = ACCOUNT, **attributes: Any) -> dict[str, Any]:
    """A CloudEvents envelope. A further attribute replaces or adds; None removes."""
    envelope: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "//tests.example.com/builder",
        "type": type_,
        "subject": account_id,
        "time": NOON.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": data,
    }
    return {name: value for name, value in (envelope | attributes).items() if value is not None}


def model_inference(credits: str = "0.25", account_id: str = ACCOUNT, **attributes: Any) -> dict[str, Any]:
    data = {"credits": credits, "model": "small-chat", "input_tokens": 812, "output_tokens": 96}
    return event("usage.model_inference.v1", data, account_id, **attributes)


def guardrail(credits: str = "0.01", account_id: str = ACCOUNT, **attributes: Any) -> dict[str, Any]:
    return event("usage.guardrail.v1", {"credits": credits, "guardrail": "pii"}, account_id, **attributes)


def custom_script(credits: str = "1", account_id: str = ACCOUNT, **attributes: Any) -> dict[str, Any]:
    return event("usage.custom_script.v1", {"credits": credits, "script": "nightly"}, account_id, **attributes)


def tool_run(runs: int = 1, account_id: str = ACCOUNT, **attributes: Any) -> dict[str, Any]:
    return event("usage.tool_run.v1", {"tool": "web-search", "runs": runs}, account_id, **attributes)


def opened(
    account_id: str = ACCOUNT, plan: str = "free", contacts: Sequence[str] = ("owner@example.com",), **attributes: Any
) -> dict[str, Any]:
    return event("account.opened.v1", {"plan": plan, "contacts": list(contacts)}, account_id, **attributes)


def granted(
    amount: str = "100", resource: str = "model_credits", account_id: str = ACCOUNT, **attributes: Any
) -> dict[str, Any]:
    data = {"resource": resource, "amount": amount, "reason": "top_up", "reference": "INV-1042"}
    return event("credits.granted.v1", data, account_id, **attributes)


def reversed_(
    reverses: str, amount: str = "1", resource: str = "model_credits", account_id: str = ACCOUNT, **attributes: Any
) -> dict[str, Any]:
    data = {"resource": resource, "amount": amount, "reason": "failed_run", "reverses": reverses}
    return event("usage.reversed.v1", data, account_id, **attributes)


def encode(envelope: dict[str, Any]) -> bytes:
    return json.dumps(envelope, separators=(",", ":"), ensure_ascii=False).encode()


def record(
    envelope: dict[str, Any] | bytes,
    offset: int = 0,
    *,
    partitions: int = 3,
    key: bytes | None = None,
    topic: str | None = None,
    partition: int | None = None,
    headers: Sequence[tuple[str, bytes]] = STRUCTURED,
) -> Record:
    """The record a well-behaved producer would send for the event: topic, key and partition follow from it."""
    if isinstance(envelope, bytes):
        own_key, own_topic, value = ACCOUNT.encode(), USAGE, envelope
    else:
        own_key = str(envelope.get("subject", ACCOUNT)).encode()
        own_topic = USAGE if str(envelope.get("type", "")).startswith("usage.") else ACCOUNTS
        if envelope.get("type") == "usage.reversed.v1":
            own_topic = ACCOUNTS
        value = encode(envelope)
    key = own_key if key is None else key
    partition = partition_for(key, partitions) if partition is None else partition
    return Record(topic or own_topic, partition, offset, int(NOON.timestamp() * 1000), key, value, headers)
