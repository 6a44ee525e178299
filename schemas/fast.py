"""The short cut of `schemas.parse` for usage events that are plainly good: about a tenth of the reference's time.

It only ever says yes, or nothing; whatever looks odd is left to `schemas.slow`, which alone rejects. A property test
holds the two together. Three ideas make it cheap and safe:

* A value without a backslash has no escapes: no NUL, no surrogate, no quote hidden in a string.
* If writing the parsed value again gives the same bytes, then no key stood twice and every number is what was sent.
* Keys repeat, so what follows from a key alone (account id, partition) is remembered for the latest ones.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from schemas.amounts import MAX_AMOUNT, MICRO
from schemas.envelope import ACCOUNT, ATTRIBUTE, MAX_SOURCE_CHARS, NIL_ID
from schemas.inputs import MAX_RUNS, MAX_TOKENS
from schemas.records import Accepted, Limits, Record
from schemas.topics import USAGE, partition_for

# Latest keys remembered: about 10 MB at most.
REMEMBERED_KEYS: Final = 65_536
# Longest headers let through here, so that the size of the value alone decides.
_HEADER_BYTES: Final = 128
_STRUCTURED: Final = frozenset(
    ("content-type", media)
    for media in (
        b"application/cloudevents+json",
        b"application/cloudevents+json; charset=utf-8",
        b"application/cloudevents+json; charset=UTF-8",
    )
)
_CORE: Final = frozenset({"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"})

_is_uuid: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
# Characters 4, 7, 10, 13, 16 and 19 of a time in UTC, without and with a fraction; `fromisoformat` checks the rest.
_TIME_MARKS: Final = frozenset({"--T::Z", "--T::."})
_TIME_CHARS: Final = frozenset({20, *range(22, 28)})  # no fraction, or 1 to 6 digits of it
_new_tuple: Final = tuple.__new__
_SCALE: Final = (MICRO, *(10 ** (6 - decimals) for decimals in range(1, 7)))

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
            or time[4:20:3] not in _TIME_MARKS
            or time[-1] != "Z"
            or len(time) not in _TIME_CHARS
            or not 0 < len(source) <= MAX_SOURCE_CHARS
            or not source.isprintable()
            or orjson.dumps(event) != value
        ):
            return None
        occurred_at = datetime.fromisoformat(time)
        facts = _READERS[event["type"]](data)
        if facts is None or occurred_at - now > limits.max_ahead:
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


def _read_amount(credits: object) -> int:
    """Micro-units, or -1 where the reference has to look."""
    text = credits if type(credits) is str else str(credits) if type(credits) in (int, float) else ""
    whole, point, fraction = text.partition(".")
    digits = whole + fraction
    if not digits.isdigit() or not digits.isascii() or len(whole) > 12 or len(fraction) > 6:
        return -1
    if point and not (whole and fraction):
        return -1
    amount = int(digits) * _SCALE[len(fraction)]
    return amount if amount <= MAX_AMOUNT else -1


def _is_name(text: Any) -> bool:
    """Printable, so without control characters. Raises AttributeError or TypeError for other things than text."""
    return 0 < len(text) <= 256 and text.isprintable()


def _is_count(tokens: Any) -> bool:
    return type(tokens) is int and 0 <= tokens <= MAX_TOKENS


def _read_inference(data: Mapping[str, Any]) -> Facts | None:
    amount, name, fields = _read_amount(data["credits"]), data["model"], 2
    if "deployment" in data:
        if not _is_name(data["deployment"]):
            return None
        fields += 1
    if "input_tokens" in data:
        if not _is_count(data["input_tokens"]):
            return None
        fields += 1
    if "output_tokens" in data:
        if not _is_count(data["output_tokens"]):
            return None
        fields += 1
    if len(data) != fields or amount < 0 or not _is_name(name):
        return None
    return 1, 1, amount, name


def _reader_of(code: int, field: str) -> Callable[[Mapping[str, Any]], Facts | None]:
    def read(data: Mapping[str, Any]) -> Facts | None:
        amount, name = _read_amount(data["credits"]), data[field]
        if len(data) != 2 or amount < 0 or not _is_name(name):
            return None
        return code, 1, amount, name

    return read


def _read_tool_run(data: Mapping[str, Any]) -> Facts | None:
    name, runs, fields = data["tool"], 1, 1
    if "runs" in data:
        runs = data["runs"]
        if type(runs) is not int or not 1 <= runs <= MAX_RUNS:
            return None
        fields += 1
    if "status" in data:
        if not _is_name(data["status"]):
            return None
        fields += 1
    if len(data) != fields or not _is_name(name):
        return None
    return 4, 2, runs * MICRO, name


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Facts | None]]] = {
    "usage.model_inference.v1": _read_inference,
    "usage.guardrail.v1": _reader_of(2, "guardrail"),
    "usage.custom_script.v1": _reader_of(3, "script"),
    "usage.tool_run.v1": _read_tool_run,
}
