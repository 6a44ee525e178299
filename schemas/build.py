"""Events as bytes and back: structured CloudEvents JSON, for producers and for our own services."""

import os
import time as clock
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from pydantic import BaseModel

from schemas.amounts import Micro, format_amount, format_number
from schemas.events import INPUT_TYPES, EventData, Model
from schemas.parsing.envelope import (
    read_attributes,
    read_data,
    read_id,
    read_source,
    read_subject,
    read_time,
    read_type,
)
from schemas.parsing.reference_reader import validate_data
from schemas.reasons import InvalidEventError, Reason
from schemas.times import format_time

# Our own number types must not be written as what they derive from: Micro(500000) is "0.5".
_OPTIONS: Final = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME
# The headers of a record that holds what `encode_event` makes; SDKs that read Kafka ask for the content type.
STRUCTURED_HEADERS: Final = (("content-type", b"application/cloudevents+json"),)
_VERSION_AND_VARIANT: Final = 7 << 76 | 2 << 62
# What every event has beside its extensions, and the argument that it is given in; None: it is always the same.
_OWN_MEMBERS: Final[Mapping[str, str | None]] = MappingProxyType(
    {
        "specversion": None, "id": "event_id", "source": "source", "type": "type", "subject": "account_id",
        "time": "time", "datacontenttype": None, "data": "data", "data_base64": "data",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Envelope:
    """CloudEvents attributes of a decoded event. `extensions` is JSON object text, or None."""

    id: str
    type: str
    source: str
    account_id: str
    time: datetime
    extensions: str | None


class Decoded(NamedTuple):
    envelope: Envelope
    data: EventData


def new_event_id() -> str:
    """A UUID of version 7 (RFC 9562) with a microsecond-grade clock, so that ids of one producer ascend.

    Ascending ids keep inserts at the right edge of the index, however long the history grows.
    """
    milliseconds, rest = divmod(clock.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    random = int.from_bytes(os.urandom(8), "big") >> 2
    return str(UUID(int=milliseconds << 80 | fraction << 64 | _VERSION_AND_VARIANT | random))


def encode_event(
    type: str,
    account_id: str,
    data: BaseModel | Mapping[str, Any],
    *,
    event_id: str,
    time: datetime,
    source: str,
    extensions: Mapping[str, str | int | bool] | None = None,
) -> bytes:
    """Canonical bytes: the same event always gives the same bytes. Writes what it is given; `parse` is the judge.

    Raises InvalidEventError for what JSON cannot hold, for what is no time, and for extensions that are none.
    """
    _refuse_own_members(extensions or {})
    try:
        written = format_time(time)
    except ValueError as error:
        raise InvalidEventError(Reason.INVALID_TIME, f"time: {error}") from None
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": type,
        "subject": account_id,
        "time": written,
        "datacontenttype": "application/json",
        **(extensions or {}),
        "data": data.model_dump(mode="json", exclude_none=True) if isinstance(data, BaseModel) else dict(data),
    }
    try:
        return orjson.dumps(event, default=_plain, option=_OPTIONS)
    except orjson.JSONEncodeError as error:
        reason = Reason.INVALID_TEXT if "UTF-8" in str(error) else Reason.INVALID_DATA
        raise InvalidEventError(reason, f"cannot be written as JSON: {error.__cause__ or error}") from None


def _refuse_own_members(extensions: Mapping[str, object]) -> None:
    """An extension must not take the place of what the event itself says."""
    for name in extensions:
        if name in _OWN_MEMBERS:
            argument = _OWN_MEMBERS[name]
            instead = "it is always the same" if argument is None else f"give it as {argument}"
            raise InvalidEventError(
                Reason.INVALID_DATA, f"extensions: {name} belongs to the event itself: leave it out there, {instead}"
            )


@cache
def _models() -> Mapping[str, Model]:
    """By type. Models of outputs are loaded for the first event that is read: whoever sends needs none."""
    from schemas.output_types import OUTPUT_TYPES

    inputs = {event.type: event.model for event in INPUT_TYPES.values()}
    return inputs | {event.type: event.model for event in OUTPUT_TYPES.values()}


def _plain(value: object) -> object:
    if isinstance(value, Micro):
        return format_amount(value)
    if isinstance(value, Decimal) and value.is_finite():
        return format_number(value)
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} has no JSON form here")


def decode_event(value: bytes) -> Decoded:
    """Read an event of any known type, input or output, in structured mode. Strict; raises InvalidEventError."""
    attributes = read_attributes(value, ())
    kind = read_type(attributes)
    models = _models()
    if kind not in models:
        raise InvalidEventError(Reason.UNKNOWN_TYPE, f"type {kind[:100]!a}")
    envelope = Envelope(
        id=read_id(attributes),
        type=kind,
        source=read_source(attributes),
        account_id=read_subject(attributes),
        time=read_time(attributes),
        extensions=attributes.extensions(),
    )
    return Decoded(envelope, validate_data(models[kind], read_data(attributes)))
