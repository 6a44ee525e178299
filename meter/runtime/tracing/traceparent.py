"""The producer's `traceparent`, as W3C and the distributed tracing extension of CloudEvents write it. Pure.

https://www.w3.org/TR/trace-context/#traceparent-header
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/extensions/distributed-tracing.md
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

ATTRIBUTE: Final = "traceparent"
# Version, trace, span, flags. A later version may add to the end; what version 00 has, it has too.
_FORM: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?", re.DOTALL)
_MEMBER: Final = re.compile(r'"traceparent"[ \t\r\n]*:[ \t\r\n]*"([0-9a-f-]{55})["-]')
_SAMPLED: Final = 1
# Of a version that does not exist yet. Longer ones are nobody's.
_MOST_CHARS: Final = 256


class TraceParent(NamedTuple):
    """The span that a producer was in when it sent an event, and wants to see continued."""

    trace_id: int
    span_id: int

    @property
    def trace(self) -> str:
        """As people and logs write it."""
        return f"{self.trace_id:032x}"

    def __str__(self) -> str:
        return f"00-{self.trace}-{self.span_id:016x}-01"


def read_traceparent(text: str) -> TraceParent | None:
    """None for what breaks the form, and where the producer does not sample: then nothing is recorded here either."""
    found = _FORM.fullmatch(text) if len(text) <= _MOST_CHARS else None
    if found is None:
        return None
    version, trace, span, flags = found.groups()
    if version == "ff" or (version == "00" and found.end(4) != len(text)):
        return None
    parent = TraceParent(int(trace, 16), int(span, 16))
    return parent if all(parent) and int(flags, 16) & _SAMPLED else None


def find_traceparent(json_text: str | None) -> TraceParent | None:
    """Of the JSON text of an event or of its extensions. A search and no parser: inside of a text quotes are escaped,
    so nothing there looks like a member; whoever escapes letters of the name has no trace."""
    found = _MEMBER.search(json_text) if json_text else None
    return None if found is None else read_traceparent(found[1])


def header_traceparent(headers: Sequence[tuple[str, bytes | None]]) -> TraceParent | None:
    """Of a record's headers: the attribute in binary mode, or what instrumentation of Kafka clients adds."""
    for wanted in (f"ce_{ATTRIBUTE}", ATTRIBUTE):
        for name, value in headers:
            if name.lower() == wanted and value is not None:
                return read_traceparent(value[: _MOST_CHARS + 1].decode("latin-1"))
    return None
