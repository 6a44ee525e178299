"""The short cut of `schemas.parse` for usage events that are plainly good: about a tenth of the reference's time.

It only ever says yes, or nothing; whatever looks odd is left to `schemas.slow`, which alone rejects. A property test
holds the two together. Three ideas make it cheap and safe:

* A value without a backslash has no escapes: no NUL, no surrogate, no quote hidden in a string. If it is printable too,
  so is every string in it.
* If writing the parsed value again gives the same bytes, then no key stood twice and every number is what was sent.
* Keys and amounts repeat, so what follows from one alone (account id and partition, micro-units) is remembered.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from schemas.amounts import MICRO, parse_amount
from schemas.envelope import ACCOUNT, ATTRIBUTE, MAX_SOURCE_CHARS, NIL_ID
from schemas.fields import MAX_NAME_CHARS
from schemas.inputs import MAX_RUNS, MAX_TOKENS
from schemas.records import Accepted, Limits, Record
from schemas.topics import USAGE, partition_for

# Latest keys and amounts remembered: about 10 MB each at most.
REMEMBERED_KEYS: Final = 65_536
REMEMBERED_AMOUNTS: Final = 65_536
# Longest headers let through here, so that the size of the value alone decides.
_HEADER_BYTES: Final = 128
_STRUCTURED: Final = tuple(
    ("content-type", media)
    for media in (
        b"application/cloudevents+json",
        b"application/cloudevents+json; charset=utf-8",
        b"application/cloudevents+json; charset=UTF-8",
    )
)
_CORE: Final = frozenset({"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"})

_is_uuid: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
# Characters 4, 7, 10, 13, 16 and 19 of a time in UTC by its length: without a fraction, or with 1 to 6 digits of it.
# `fromisoformat` checks the rest.
_TIME_MARKS: Final = {20: "--T::Z", **dict.fromkeys(range(22, 28), "--T::.")}
_new_tuple: Final = tuple.__new__

Facts = tuple[int, int, int, str]  # codes of type and resource, amount in micro-units, name


def parse_fast(record: Record, now: datetime, limits: Limits) -> Accepted | None:
    """The event, exactly as `parse_slow` would give it; None where that has to judge."""
    topic, partition, offset, _, key, value, headers = record
    if topic != USAGE or not value or not key or b"\\" in value or len(value) + _HEADER_BYTES > limits.max_bytes:
        return None
    try:
        if headers and not (len(headers) == 1 and headers[0] in _STRUCTURED):
            return None
        event = orjson.loads(value)
        account_id, expected = _PLACES[limits.partitions][key]
        event_id, time, source, data = event["id"], event["time"], event["source"], event["data"]
        if (
            event["subject"] != account_id
            or partition != expected
            or event["specversion"] != "1.0"
            or not _is_uuid(event_id)
            or event_id == NIL_ID
            or time[4:20:3] != _TIME_MARKS.get(len(time))
            or time[-1] != "Z"
            or type(source) is not str
            or not 0 < len(source) <= MAX_SOURCE_CHARS
            or orjson.dumps(event) != value
            or not ((value.isascii() and b"\x7f" not in value) or value.decode().isprintable())
        ):
            return None
        occurred_at = datetime.fromisoformat(time)
        facts = _READERS[event["type"]](data)
        if facts is None or (occurred_at > now and occurred_at - now > limits.max_ahead):
            return None
        extensions = None if len(event) == 8 and event["datacontenttype"] == "application/json" else _extend(event)
    except _ODD:
        return None
    code, resource, amount, name = facts
    return _new_tuple(
        Accepted,
        (
            topic, offset, event_id, account_id, code, resource, amount, name, occurred_at, source,
            orjson.dumps(data).decode(), extensions,
        ),
    )  # fmt: skip


# What odd but readable JSON leads to above: a missing field, a list for an object, a number for text, no such date.
_ODD: Final = (KeyError, TypeError, ValueError, AttributeError, IndexError)


class _Places(dict[bytes, tuple[str, int]]):
    """Account id and partition of the latest keys. Raises ValueError for what is no account id."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions

    def __missing__(self, key: bytes) -> tuple[str, int]:
        account_id = key.decode("ascii")
        if not ACCOUNT.fullmatch(account_id):
            raise ValueError("not an account id")
        if len(self) >= REMEMBERED_KEYS:
            self.clear()
        place = self[key] = account_id, partition_for(key, self._partitions)
        return place


class _PlacesByPartitions(dict[int, _Places]):
    def __missing__(self, partitions: int) -> _Places:
        places = self[partitions] = _Places(partitions)
        return places


_PLACES: Final = _PlacesByPartitions()


def _extend(event: Mapping[str, Any]) -> str | None:
    """JSON text of the attributes beyond the core. Raises ValueError for anything but text, whole numbers, booleans."""
    if event.get("datacontenttype", "application/json") != "application/json":
        raise ValueError("another content type")
    others = {name: value for name, value in event.items() if name not in _CORE}
    for name, value in others.items():
        if type(value) not in (str, int, bool) or not ATTRIBUTE.fullmatch(name) or name == "data_base64":
            raise ValueError("not a plain attribute")
    return orjson.dumps(others).decode() if others else None


class _Amounts(dict[str, int]):
    """Micro-units of the latest amounts. Raises ValueError for what is no amount."""

    def __missing__(self, text: str) -> int:
        amount = parse_amount(text)
        if len(self) >= REMEMBERED_AMOUNTS:
            self.clear()
        self[text] = amount
        return amount


_AMOUNTS: Final = _Amounts()


def _read_amount(credits: object) -> int:
    """Micro-units. Raises ValueError where the reference has to look: a bool must not be taken for a number."""
    if type(credits) is str:
        return _AMOUNTS[credits]
    if type(credits) in (int, float):
        return parse_amount(str(credits))
    raise ValueError("neither text nor a number")


def _is_name(text: object) -> bool:
    return type(text) is str and 0 < len(text) <= MAX_NAME_CHARS


def _read_inference(data: Mapping[str, Any]) -> Facts | None:
    amount, name, fields = _read_amount(data["credits"]), data["model"], 2
    if "deployment" in data:
        deployment, fields = data["deployment"], fields + 1
        if type(deployment) is not str or not 0 < len(deployment) <= MAX_NAME_CHARS:
            return None
    if "input_tokens" in data:
        tokens, fields = data["input_tokens"], fields + 1
        if type(tokens) is not int or not 0 <= tokens <= MAX_TOKENS:
            return None
    if "output_tokens" in data:
        tokens, fields = data["output_tokens"], fields + 1
        if type(tokens) is not int or not 0 <= tokens <= MAX_TOKENS:
            return None
    if len(data) != fields or type(name) is not str or not 0 < len(name) <= MAX_NAME_CHARS:
        return None
    return 1, 1, amount, name


def _reader_of(code: int, field: str) -> Callable[[Mapping[str, Any]], Facts | None]:
    def read(data: Mapping[str, Any]) -> Facts | None:
        amount, name = _read_amount(data["credits"]), data[field]
        return (code, 1, amount, name) if len(data) == 2 and _is_name(name) else None

    return read


def _read_tool_run(data: Mapping[str, Any]) -> Facts | None:
    name, runs, fields = data["tool"], 1, 1
    if "runs" in data:
        runs, fields = data["runs"], fields + 1
        if type(runs) is not int or not 1 <= runs <= MAX_RUNS:
            return None
    if "status" in data:
        fields += 1
        if not _is_name(data["status"]):
            return None
    return (4, 2, runs * MICRO, name) if len(data) == fields and _is_name(name) else None


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Facts | None]]] = {
    "usage.model_inference.v1": _read_inference,
    "usage.guardrail.v1": _reader_of(2, "guardrail"),
    "usage.custom_script.v1": _reader_of(3, "script"),
    "usage.tool_run.v1": _read_tool_run,
}
