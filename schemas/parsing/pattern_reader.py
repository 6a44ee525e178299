"""The short cut of `parse` for usage events of the usual forms. It takes a thirtieth of the reference's time.

It accepts an event or leaves it to `reference_reader`; only the reference rejects. Property tests check that the two
agree. One pattern reads what our own client writes: fields in the order of `schemas.build`, compact or with the blanks
of Python's `json.dumps`, ASCII without escapes. The pattern has each key once and in a fixed order, so no key can be
repeated. It searches text, which is several times faster than searching bytes. What does not match goes to
`json_reader`.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from schemas.events import CODES
from schemas.fields import MAX_NAME_CHARS
from schemas.identity import (
    MAX_ID_CHARS,
    MAX_SOURCE_CHARS,
    NO_TIME,
    OWN_SOURCE,
    hash_source,
    is_uuid,
    text_key,
    uuid_key,
)
from schemas.parsing.cache import find_account, find_amount
from schemas.parsing.json_reader import UNREADABLE, read_any_order
from schemas.records import Accepted, Limits, Record, Rerouted
from schemas.resources import RESOURCE_CODES, Resource
from schemas.topics import REROUTED_HEADER, USAGE

# No header that is accepted here is longer, so comparing the size of the value is enough.
_HEADER_BYTES: Final = 128
_STRUCTURED: Final = tuple(
    ("content-type", media)
    for media in (
        b"application/cloudevents+json; charset=utf-8",
        b"application/cloudevents+json",
        b"application/cloudevents+json; charset=UTF-8",
    )
)

# Every repeat is possessive (`++`), because backtracking could not find another match. What may be missing is an empty
# alternative (`|)`). Both cost less than the usual form.
_TWO: Final = "[0-9]{2}+"
_TIME: Final = rf"[0-9]{{4}}+-{_TWO}-{_TWO}T{_TWO}:{_TWO}:{_TWO}(?:\.[0-9]{{1,6}}+|)Z"
# Printable ASCII without quote and backslash: JSON text and the string it encodes are the same.
_PLAIN: Final = r"[ !#-\[\]-~]"
# Capitals make it three ranges. `re` turns three into a bitmap, which takes half the time of two ranges.
_HEX: Final = "[0-9A-Fa-f]"
_UUID: Final = rf"{_HEX}{{8}}+-{_HEX}{{4}}+-{_HEX}{{4}}+-{_HEX}{{4}}+-{_HEX}{{12}}+"
# A name or an id that begins with a blank may be nothing but blanks: the reference judges it.
_SOLID: Final = r"[!#-\[\]-~]"
_ID: Final = rf"{_SOLID}{_PLAIN}{{0,{MAX_ID_CHARS - 1}}}+"
_SOLID_NAME: Final = rf"{_SOLID}{_PLAIN}{{0,{MAX_NAME_CHARS - 1}}}+"
# Numbers below MAX_TOKENS and MAX_RUNS. The reference judges all others.
_TOKENS: Final = "(?:0|[1-9][0-9]{0,14}+)"
_RUNS: Final = "[1-9][0-9]{0,5}+"
# One pattern reads all types: a field that belongs to another type is kept, as any field beyond the contract is. The
# pattern does not check type and amount.
_COMPACT: Final = (
    rf'\{{"specversion":"1\.0","id":"(?:({_UUID})|({_ID}))","source":"({_PLAIN}{{1,{MAX_SOURCE_CHARS}}}+)","type":"([^"]*+)",'
    rf'"subject":"([^"]*+)","time":"({_TIME})","datacontenttype":"application/json",'
    rf'"data":(\{{(?:"credits":"([0-9.]++)","|")(model|guardrail|script|tool)":"({_SOLID_NAME})"(?:,"deployment":"{_SOLID_NAME}"|)'
    rf'(?:,"input_tokens":{_TOKENS}|)(?:,"output_tokens":{_TOKENS}|)(?:,"runs":({_RUNS})|)(?:,"status":"{_SOLID_NAME}"|)\}})\}}'
)
_match_compact: Final = re.compile(_COMPACT).fullmatch
_match_spaced: Final = re.compile(_COMPACT.replace('":', '": ').replace(',"', ', "')).fullmatch
_CREDITS: Final = RESOURCE_CODES[Resource.MODEL_CREDITS]
_TOOL_RUNS: Final = RESOURCE_CODES[Resource.TOOL_RUNS]
# Codes of type and resource, and the field of the name.
_KINDS: Final[Mapping[str, tuple[int, int, str]]] = {
    "usage.model_inference.v1": (CODES["usage.model_inference.v1"], _CREDITS, "model"),
    "usage.guardrail.v1": (CODES["usage.guardrail.v1"], _CREDITS, "guardrail"),
    "usage.custom_script.v1": (CODES["usage.custom_script.v1"], _CREDITS, "script"),
    "usage.tool_run.v1": (CODES["usage.tool_run.v1"], _TOOL_RUNS, "tool"),
}
_read_time: Final = datetime.fromisoformat
_new_tuple: Final = tuple.__new__


def read_by_pattern(record: Record, now: datetime, limits: Limits) -> Accepted | Rerouted | None:
    """The event, exactly as `read_by_reference` would give it; None where the reference has to judge."""
    topic, partition, offset, _, key, value, headers = record
    if topic != USAGE or not value or len(value) + _HEADER_BYTES > limits.max_bytes:
        return None
    if headers and not (headers[0] in _STRUCTURED and (len(headers) == 1 or _is_sent_on(headers))):
        return None
    try:
        json = value.decode()
        match = _match_compact(json) or _match_spaced(json)
        if match:
            uuid, event_id, source, type, subject, time, text, credits, field, name, runs = match.groups()
            code, resource, wanted = _KINDS[type]
            if field != wanted:
                return None
            # Without credits `find_amount` gets None and raises AttributeError.
            amount, extensions = find_amount(credits if resource == _CREDITS else runs or "1"), None
        else:
            event_id, source, subject, time, text, code, resource, amount, name, extensions = read_any_order(json)
            uuid = event_id if is_uuid(event_id) else None
        account_id, expected, account = find_account(key or subject.encode(), limits.partitions)
        occurred_at = _read_time(time)
    except UNREADABLE:
        return None
    if (
        subject != account_id
        or source == OWN_SOURCE
        # Whole days, rounded down: below 0 for a time ahead. Comparing integers is cheaper than comparing durations.
        or (days := (now - occurred_at).days) >= limits.max_behind.days
        or (days < 0 and occurred_at - now > limits.max_ahead)
        or amount > (limits.max_credits if resource == _CREDITS else limits.max_runs)
    ):
        return None
    if uuid:
        if uuid.startswith(NO_TIME):
            return None
        event_id = uuid.lower()
        key = uuid_key(event_id, account, hash_source(source))
    else:
        key = text_key(topic, account_id, source, event_id)
    if partition != expected:
        return None if len(headers) > 1 else Rerouted(record, expected, account_id, source)
    return _new_tuple(
        Accepted,
        (topic, offset, event_id, account_id, code, resource, amount, name, occurred_at, source, text, extensions, key),
    )


def _is_sent_on(headers: Sequence[tuple[str, bytes]]) -> bool:
    """Whether the only other header is the meter's own."""
    return len(headers) == 2 and headers[1][0] == REROUTED_HEADER
