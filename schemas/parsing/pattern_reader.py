"""The short cut of `parse` for usage events of the usual forms. It takes a thirtieth of the reference's time.

It accepts an event or leaves it to `reference_reader`; only the reference rejects. Property tests check that the two
agree. Patterns (`layouts`) read what is compact or has the blanks of Python's `json.dumps`, in ASCII without escapes:
one what our own client writes, others the orders of other producers. A pattern has each attribute once and in a fixed
order, so no key can be repeated. It searches text, which is several times faster than searching bytes. What does not
match goes to `json_reader`.

Of an id, a source, a type and a subject a pattern finds the end alone: what is looked up of each tells whether it is
one, and `[^"]` takes a third of the time of a list of characters.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from schemas.events import CODES
from schemas.identity import FIRST_UUID_KEY, is_id, text_key
from schemas.parsing.cache import accounts_of, amounts, source_hashes
from schemas.parsing.json_reader import UNREADABLE, read_any_order
from schemas.parsing.layouts import Layouts
from schemas.records import Accepted, Limits, Record, Rerouted
from schemas.resources import RESOURCE_CODES, Resource
from schemas.topics import REROUTED_HEADER, USAGE

Reader = Callable[[Record], Accepted | Rerouted | None]

# No header that is accepted here is longer, so comparing the size of the value is enough.
HEADER_BYTES: Final = 128
STRUCTURED: Final = tuple(
    ("content-type", media)
    for media in (
        b"application/cloudevents+json; charset=utf-8",
        b"application/cloudevents+json",
        b"application/cloudevents+json; charset=UTF-8",
    )
)

_layouts: Final = Layouts()
_CREDITS: Final = RESOURCE_CODES[Resource.MODEL_CREDITS]
_TOOL_RUNS: Final = RESOURCE_CODES[Resource.TOOL_RUNS]
# Codes of type and resource, and the field of the name.
KINDS: Final[Mapping[str, tuple[int, int, str]]] = {
    "usage.model_inference.v1": (CODES["usage.model_inference.v1"], _CREDITS, "model"),
    "usage.guardrail.v1": (CODES["usage.guardrail.v1"], _CREDITS, "guardrail"),
    "usage.custom_script.v1": (CODES["usage.custom_script.v1"], _CREDITS, "script"),
    "usage.tool_run.v1": (CODES["usage.tool_run.v1"], _TOOL_RUNS, "tool"),
}
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_read_time: Final = datetime.fromisoformat
_read_hex: Final = bytes.fromhex
_new_tuple: Final = tuple.__new__


def times_of(now: datetime, limits: Limits) -> tuple[datetime, datetime]:
    """The earliest and the latest time that an event may have."""
    return now - min(limits.max_behind, now - _FIRST), now + limits.max_ahead


def read_by_pattern(record: Record, now: datetime, limits: Limits) -> Accepted | Rerouted | None:
    """The event, exactly as `read_by_reference` would give it; None where the reference has to judge."""
    return make_reader(now, limits)(record)


def make_reader(now: datetime, limits: Limits) -> Reader:
    """`read_by_pattern` for the records of one batch: what is the same for all of them is looked up once."""
    earliest, latest = times_of(now, limits)
    most_bytes, most_credits, most_runs = limits.max_bytes - HEADER_BYTES, limits.max_credits, limits.max_runs
    accounts, known = accounts_of(limits.partitions), _layouts.known

    def read(record: Record) -> Accepted | Rerouted | None:
        topic, partition, offset, _, key, value, headers = record
        if topic != USAGE or not value or len(value) > most_bytes:
            return None
        if headers and not (headers[0] in STRUCTURED and (len(headers) == 1 or _is_sent_on(headers))):
            return None
        try:
            json = value.decode()
            first = known[0]  # nearly always the one; `find` would take a tenth of the time more
            match = first.match(json) if first.is_plain else None
            found: tuple[Any, str | None] | None = (match.group(*first.groups), None) if match else _layouts.find(json)
            if found:
                (event_id, source, type, subject, time, text, credits, field, name, runs), extensions = found
                code, resource, wanted = KINDS[type]
                if field != wanted:
                    return None
                # Without credits `amounts` gets None and raises TypeError.
                amount = amounts[credits if resource == _CREDITS else runs or "1"]
            else:
                event_id, source, subject, time, text, code, resource, amount, name, extensions, order = read_any_order(
                    json
                )
                _layouts.learn(order, json)
            account_id, expected, account = accounts[key or subject.encode()]
            occurred_at = _read_time(time)
            source_hash = source_hashes[source]
        except UNREADABLE:
            return None
        if (
            subject != account_id
            or not earliest <= occurred_at <= latest
            or amount > (most_credits if resource == _CREDITS else most_runs)
        ):
            return None
        try:
            uuid = _read_hex(event_id.replace("-", "")) if event_id[8:24:5] == "----" and len(event_id) == 36 else b""
        except ValueError:
            uuid = b""
        # 16 bytes of 32 digits: no blank stands between them, which `fromhex` would leave out.
        if len(uuid) == 16:
            if uuid < FIRST_UUID_KEY:
                return None
            event_id = event_id.lower()
            key = uuid + (account ^ source_hash).to_bytes(16)
        elif is_id(event_id) and "\\" not in event_id:
            key = text_key(topic, account_id, source, event_id)
        else:
            return None
        if partition != expected:
            return None if len(headers) > 1 else Rerouted(record, expected, account_id, source)
        return _new_tuple(
            Accepted,
            (
                topic, offset, event_id, account_id, code, resource, amount, name, occurred_at, source, text,
                extensions, key,
            ),
        )  # fmt: skip

    return read


def _is_sent_on(headers: Sequence[tuple[str, bytes]]) -> bool:
    """Whether the only other header is the meter's own."""
    return len(headers) == 2 and headers[1][0] == REROUTED_HEADER
