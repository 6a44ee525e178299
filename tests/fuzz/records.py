"""Records as any producer can write them: sound events in both modes, changed in a byte, a value, a header or a key."""

import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from meter.sealing import MEMBER
from schemas.events import INPUT_TYPES
from schemas.records import Record
from schemas.topics import ACCOUNTS, USAGE
from tests.support import builders

NOW: Final = builders.NOON
NOW_MS: Final = int(NOW.timestamp() * 1000)
MOST_RECORDS: Final = 6
ACCOUNT_IDS: Final = ("acct-1", "acct-2", "a", "x" * 128)
# Values that readers of JSON, numbers, texts and times stumble over.
HARD_VALUES: Final[tuple[Any, ...]] = (
    None, True, 0, -1, 1.5, 1e308, 10**40, "", "0", "-0", "00.1", "1e3", "0.0000001", "9999999.999999", "10000000",
    "١", "NaN", "\x00", "\ud800", "é" * 200, "2026-02-30T00:00:00Z", "2026-11-24T12:00:00", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999+23:59", [], {}, [[]], {"a": {"b": 1}}, ["owner@example.com"], "/credit-meter/meter",
    "acct-1\n", "x" * 70_000,
)  # fmt: skip
HARD_BYTES: Final = (
    b"\x00", b"\xff", b"\xc3\x28", b"\xef\xbb\xbf", b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\u0000",
    b"\\ud800", b"1e999", b"-", b"NaN", b"Infinity", b"//", b" ", b"\n", b'"id":"2",', b"[" * 40, b"9" * 40,
)  # fmt: skip
HARD_HEADERS: Final = (
    ("content-type", b"application/cloudevents+json"), ("content-type", b"\xff"), ("ce_id", b""), ("ce_id", b"\xff"),
    ("CE_ID", b"1"), ("ce_specversion", b"2.0"), ("", b""), ("\\xff", b"x"), ("ce_source", None),
    ("metering-rerouted", b"0/1"),
    ("metering-waited", b"0/1"), ("traceparent", b"00-" + b"0" * 32), ("ce_data", b"{}"), ("h", b"v" * 70_000),
)  # fmt: skip
CREDITS: Final = {"resource": "model_credits", "amount": "1", "reason": "failed_run"}
# Data of the types that have no builder of their own.
OTHERS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("account.plan_changed.v1", {"plan": "team"}), ("account.contacts_changed.v1", {"contacts": ["a@example.com"]}),
    ("account.renamed.v1", {"display_name": "Example", "time_zone": "Europe/Berlin"}), ("account.closed.v1", {}),
    ("account.reopened.v1", {}), ("account.forgotten.v1", {"reason": "request"}),
    ("credits.revoked.v1", CREDITS | {"revokes": builders.event_id(1), "reference": "r-1"}),
    ("usage.reversed.v1", CREDITS | {"reverses": builders.event_id(2)}),
    ("item.changed.v1", {"kind": "model", "id": "a", "name": "A", "status": "deployed", "owner": "Example"}),
)  # fmt: skip
MAKERS: Final[tuple[tuple[str, Callable[..., dict[str, Any]]], ...]] = (
    (USAGE, builders.model_inference), (USAGE, builders.guardrail), (USAGE, builders.custom_script),
    (USAGE, builders.tool_run), (ACCOUNTS, builders.opened), (ACCOUNTS, builders.granted),
    *((INPUT_TYPES[type].topic, partial(builders.event, type, data)) for type, data in OTHERS),
)  # fmt: skip
# Of every type: a type that has no such field may carry it all the same, with anything in it.
FIELDS: Final = sorted({name for type in INPUT_TYPES.values() for name in type.model.model_fields} | {MEMBER, "extra"})


def draw_records(draw: random.Random) -> list[Record]:
    """A batch of one partition; offsets ascend and may leave gaps."""
    records, offset = [], draw.randrange(100)
    topic = draw.choice((USAGE, USAGE, ACCOUNTS))
    for _ in range(draw.randint(1, MOST_RECORDS)):
        records.append(draw_record(draw, topic, offset))
        offset += draw.choice((1, 1, 1, 2, 5))
    return records


def draw_record(draw: random.Random, topic: str, offset: int) -> Record:
    """Half are changed once, some several times."""
    record = sound_record(draw, topic, offset)
    for _ in range(draw.choice((0, 1, 1, 2, 4))):
        record = draw.choice(CHANGES)(draw, record)
    return record


def sound_record(draw: random.Random, topic: str, offset: int) -> Record:
    own, make = draw.choice(MAKERS)
    account = draw.choice(ACCOUNT_IDS)
    id_ = builders.event_id(draw.randrange(20)) if draw.random() < 0.7 else f"order-{draw.randrange(5)}"
    envelope = make(account_id=account, id=id_)
    envelope["data"] = dict(envelope["data"])
    if draw.random() < 0.3:
        change_json(draw, envelope)
    timestamp = draw.choice((NOW_MS, NOW_MS, -1, 0, 2**62))
    key = account.encode() if draw.random() < 0.9 else None
    topic = own if draw.random() < 0.7 else topic
    if draw.random() < 0.3:
        return binary(envelope, Record(topic, 0, offset, timestamp, key, None, ()))
    return Record(topic, 0, offset, timestamp, key, dump(envelope), builders.STRUCTURED)


def dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def binary(envelope: dict[str, Any], record: Record) -> Record:
    """The same event in binary mode, with its attributes in headers."""
    own = {name: value for name, value in envelope.items() if name not in ("data", "datacontenttype")}
    headers = [(f"ce_{name}", str(value).encode("utf-8", "surrogatepass")) for name, value in own.items()]
    headers.append(("content-type", b"application/json"))
    return record._replace(value=dump(envelope.get("data")), headers=tuple(headers))


def change_json(draw: random.Random, envelope: dict[str, Any]) -> None:
    """Give a value of the envelope or of its data another, or take it away, or add one."""
    data = envelope.get("data")
    place = data if isinstance(data, dict) and data and draw.random() < 0.6 else envelope
    name = draw.choice([*place, *draw.sample(FIELDS, 2)])
    if draw.random() < 0.2:
        place.pop(name, None)
    else:
        place[name] = draw.choice(HARD_VALUES)


def change_value(draw: random.Random, record: Record) -> Record:
    return record._replace(value=change_bytes(draw, record.value or b""))


def change_bytes(draw: random.Random, data: bytes) -> bytes:
    at = draw.randint(0, len(data))
    match draw.randrange(5):
        case 0:
            return data[:at] + draw.choice(HARD_BYTES) + data[at:]
        case 1:
            return data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :]
        case 2:
            return data[:at] + data[at + draw.randrange(20) :]
        case 3:
            return data[:at]
        case _:
            begin = draw.randint(0, at)
            return data[:at] + data[begin:at][:4096] + data[at:]


def drop_value(_draw: random.Random, record: Record) -> Record:
    return record._replace(value=None)


def change_key(draw: random.Random, record: Record) -> Record:
    hard = (None, b"", b"acct-2", b"\xff\xfe", b"k" * 2_000, (record.key or b"") + b" ")
    return record._replace(key=draw.choice(hard))


def change_header(draw: random.Random, record: Record) -> Record:
    headers: list[Any] = list(record.headers)
    at = draw.randint(0, len(headers))
    if headers and draw.random() < 0.5:
        name, value = headers.pop(min(at, len(headers) - 1))
        if draw.random() < 0.6:
            headers.insert(at, (name, change_bytes(draw, value or b"")))
    else:
        headers.insert(at, draw.choice(HARD_HEADERS))
    return record._replace(headers=tuple(headers))


CHANGES: Final = (change_value, change_value, change_header, change_key, drop_value)


def smaller_records(records: list[Record]) -> Iterator[list[Record]]:
    """Fewer records, then shorter fields."""
    for count in range(len(records)):
        if len(records) > 1:
            yield [*records[:count], *records[count + 1 :]]
    for index, record in enumerate(records):
        for simpler in smaller_record(record):
            yield [*records[:index], simpler, *records[index + 1 :]]


def smaller_record(record: Record) -> Iterator[Record]:
    for at in range(len(record.headers)):
        yield record._replace(headers=(*record.headers[:at], *record.headers[at + 1 :]))
    value = record.value or b""
    size = len(value) // 2
    while size:
        for begin in range(0, len(value), size):
            yield record._replace(value=value[:begin] + value[begin + size :])
        size //= 2
