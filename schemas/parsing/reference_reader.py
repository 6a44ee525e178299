"""The reference reader: checks every rule of the contract one after the other, cheap ones first. About 100 µs."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError

from schemas.amounts import MICRO, format_amount
from schemas.events import (
    INPUT_TYPES,
    USAGE_CODES,
    AccountClosed,
    AccountForgotten,
    AccountOpened,
    AccountRenamed,
    AccountReopened,
    ContactsChanged,
    CreditsGranted,
    CreditsRevoked,
    CustomScript,
    EventData,
    EventType,
    Guardrail,
    ItemChanged,
    ModelInference,
    PlanChanged,
    ToolRun,
    UsageReversed,
)
from schemas.faults import explain_fault
from schemas.fields import AMOUNT, TEXT
from schemas.identity import identity_key
from schemas.parsing.envelope import (
    Attributes,
    header_bytes,
    read_attributes,
    read_data,
    read_foreign_source,
    read_id,
    read_subject,
    read_time,
    read_type,
)
from schemas.parsing.for_information import find_left_out, leave_out_contacts, leave_out_unstorable
from schemas.parsing.json_text import Member
from schemas.reasons import InvalidEventError, Reason
from schemas.records import Accepted, Limits, Outcome, Record, Rejected, Remarked, Rerouted
from schemas.resources import RESOURCE_CODES, Resource
from schemas.times import format_time, say_beyond, say_span, say_time
from schemas.topics import OWN_HEADERS, REROUTED_HEADER, partition_for

MAX_DETAIL_CHARS: Final = 500
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = 253_402_300_799_999  # the end of the year 9999
_CREDITS: Final = RESOURCE_CODES[Resource.MODEL_CREDITS]
_RUNS: Final = RESOURCE_CODES[Resource.TOOL_RUNS]

_NAMES: Final = ("model", "guardrail", "script", "tool", "reason", "reference", "id", "name")

Facts = tuple[int | None, int, str]  # resource code, amount in micro-units, name


def read_by_reference(record: Record, now: datetime, limits: Limits) -> Outcome:
    """What `schemas.parsing.parse.parse` promises, without the short cut."""
    try:
        return _accept(record, now, limits)
    except InvalidEventError as error:
        return Rejected(record, error.reason, error.detail[:MAX_DETAIL_CHARS])


def _accept(record: Record, now: datetime, limits: Limits) -> Accepted | Remarked | Rerouted:
    attributes = read_attributes(_check_size(record, limits), record.headers)
    event = _find_type(read_type(attributes), record.topic)
    event_id, source, account_id = read_id(attributes), read_foreign_source(attributes), read_subject(attributes)
    _check_key(record, account_id)
    attributes = _add_time(attributes, record)
    occurred_at = _check_time(read_time(attributes), now, limits)
    attributes, remarks = leave_out_contacts(event, attributes)
    attributes, unstorable = leave_out_unstorable(event, attributes)
    data = _check_rules(validate_data(event.model, read_data(attributes)))
    remarks += unstorable + find_left_out(data, read_data(attributes))
    resource, amount, name = read_facts(data)
    if event.code in USAGE_CODES:
        _check_usage(resource, amount, limits)
    partition = partition_for(account_id.encode(), limits.partitions)
    if record.partition != partition:
        _refuse_second_trip(record, partition, limits.partitions)
        return Rerouted(record, partition, account_id, source)
    accepted = Accepted(
        topic=record.topic,
        offset=record.offset,
        event_id=event_id,
        account_id=account_id,
        type=event.code,
        resource=resource,
        amount=amount,
        name=name,
        occurred_at=occurred_at,
        source=source,
        data=attributes.data_text,
        extensions=attributes.extensions(),
        key=identity_key(record.topic, account_id, source, event_id),
    )
    return Remarked(accepted, remarks) if remarks else accepted


def _check_size(record: Record, limits: Limits) -> bytes:
    if not record.value:
        raise InvalidEventError(Reason.EMPTY, "the record has no value")
    size = len(record.value) + header_bytes(header for header in record.headers if header[0] not in OWN_HEADERS)
    if size > limits.max_bytes:
        raise InvalidEventError(Reason.TOO_LARGE, f"{size} bytes, at most {limits.max_bytes}")
    return record.value


def _find_type(type: str, topic: str) -> EventType:
    event = INPUT_TYPES.get(type)
    if event is None:
        raise InvalidEventError(Reason.UNKNOWN_TYPE, f"type {type[:100]!a}")
    if event.topic != topic:
        raise InvalidEventError(Reason.WRONG_TOPIC, f"{type} belongs to {event.topic}, not {topic}")
    return event


def _check_key(record: Record, account_id: str) -> None:
    """A key that is there says the same as the subject. Raises InvalidEventError."""
    if record.key and record.key != account_id.encode():
        raise InvalidEventError(Reason.KEY_MISMATCH, f"key {record.key[:128]!a}, subject {account_id!a}")


def _refuse_second_trip(record: Record, partition: int, shards: int) -> None:
    """What was sent on once and is wrong again would travel for ever. Raises InvalidEventError."""
    origin = next((value for name, value in record.headers if name == REROUTED_HEADER), None)
    if origin is not None and not was_for_fewer_shards(origin, shards):
        raise InvalidEventError(
            Reason.WRONG_PARTITION,
            f"partition {record.partition}, but murmur2 of the account gives {partition}; it was sent on before, from "
            f"{(origin or b'')[:64]!a}",
        )


def was_for_fewer_shards(origin: bytes, shards: int) -> bool:
    """Whether it was sent to what was the right partition then, and there are more shards since."""
    counted = origin.split(b"/")[2:3]
    return bool(counted) and counted[0].isdigit() and int(counted[0][:9]) < shards


def _add_time(attributes: Attributes, record: Record) -> Attributes:
    """A missing time becomes Kafka's timestamp, and the extension `timefrom` says so. Raises InvalidEventError."""
    if "time" in attributes.members:
        return attributes
    if not 0 <= record.timestamp_ms <= _LAST_MS:
        raise InvalidEventError(Reason.INVALID_TIME, "time is missing, and the record has no timestamp")
    time = format_time(_EPOCH + timedelta(milliseconds=record.timestamp_ms))
    added = {"time": Member(time, f'"{time}"'), "timefrom": Member("kafka", '"kafka"')}
    return replace(attributes, members={**attributes.members, **added})


def _check_time(occurred_at: datetime, now: datetime, limits: Limits) -> datetime:
    if (ahead := occurred_at - now) > limits.max_ahead:
        far, most = say_beyond(ahead, limits.max_ahead), say_span(limits.max_ahead)
        detail = f"time {say_time(occurred_at)} is {far} ahead of the meter's clock; at most {most} is taken"
        raise InvalidEventError(Reason.TIME_AHEAD, detail)
    if (old := now - occurred_at) > limits.max_behind:
        far, most = say_beyond(old, limits.max_behind), say_span(limits.max_behind)
        detail = f"time {say_time(occurred_at)} is {far} old; at most {most} is taken"
        raise InvalidEventError(Reason.TIME_BEHIND, detail)
    return occurred_at


def _check_usage(resource: int | None, amount: int, limits: Limits) -> None:
    most, unit = (limits.max_credits, "credits") if resource == _CREDITS else (limits.max_runs, "runs")
    if amount > most:
        detail = f"{format_amount(amount)} {unit} in one event, at most {format_amount(most)}"
        raise InvalidEventError(Reason.AMOUNT_ABOVE_LIMIT, detail)


def validate_data(model: type[EventData], data: Mapping[str, Any]) -> EventData:
    """The typed data of an event. Raises InvalidEventError with the first fault."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(map(str, first["loc"]))
    said = explain_fault(first["type"], first.get("ctx", {}), first["msg"])
    raise InvalidEventError(_reason_of(first["type"], field), f"{field}: {said}")


def _reason_of(kind: str, field: str) -> Reason:
    if field.startswith("contacts"):
        return Reason.INVALID_CONTACTS
    return {AMOUNT: Reason.INVALID_AMOUNT, TEXT: Reason.INVALID_TEXT}.get(kind, Reason.INVALID_DATA)


def _check_rules(data: EventData) -> EventData:
    """Rules that events stored before them may break, so the models do not have them. Raises InvalidEventError."""
    required = type(data).model_fields
    for name in (field for field in _NAMES if field in required and required[field].is_required()):
        if not getattr(data, name).strip():
            raise InvalidEventError(Reason.INVALID_DATA, f"{name}: is blank, and blank is no name")
    if isinstance(data, UsageReversed) and data.reverses is None:
        raise InvalidEventError(Reason.INVALID_DATA, "reverses: a reversal names the event of usage that it takes back")
    moved = data if isinstance(data, CreditsGranted | CreditsRevoked | UsageReversed) else None
    if moved is not None and moved.resource is Resource.TOOL_RUNS and moved.amount % MICRO:
        raise InvalidEventError(Reason.INVALID_AMOUNT, "amount: tool runs are whole")
    return data


def read_facts(data: EventData) -> Facts:
    """What the event store keeps in columns of their own."""
    return _FACTS[type(data)](data)


_FACTS: Final[Mapping[type[EventData], Callable[[Any], Facts]]] = MappingProxyType(
    {
        ModelInference: lambda data: (_CREDITS, int(data.credits), data.model),
        Guardrail: lambda data: (_CREDITS, int(data.credits), data.guardrail),
        CustomScript: lambda data: (_CREDITS, int(data.credits), data.script),
        ToolRun: lambda data: (_RUNS, data.runs * MICRO, data.tool),
        ItemChanged: lambda data: (None, 0, data.id),
        AccountOpened: lambda data: (None, 0, data.plan),
        AccountRenamed: lambda _: (None, 0, ""),  # the name is personal data: it stays in the data alone
        AccountClosed: lambda _: (None, 0, ""),
        AccountForgotten: lambda data: (None, 0, data.reason),
        AccountReopened: lambda _: (None, 0, ""),
        PlanChanged: lambda data: (None, 0, data.plan),
        ContactsChanged: lambda _: (None, 0, ""),
        CreditsGranted: lambda data: (RESOURCE_CODES[data.resource], int(data.amount), data.reason),
        CreditsRevoked: lambda data: (RESOURCE_CODES[data.resource], int(data.amount), data.reason),
        UsageReversed: lambda data: (RESOURCE_CODES[data.resource], int(data.amount), data.reason),
    }
)
