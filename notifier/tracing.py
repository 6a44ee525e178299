"""From the traces that producers asked for to the spans of notices and letters. Pure; used only while traces are on."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from meter.runtime.tracing import SPANS_TOGETHER, Span, TraceParent, find_traceparent
from notifier.decide import BalanceSnapshot
from notifier.letters import Lines
from notifier.model import LetterStep, LineMoved, LineTrace, NotifyPlan
from notifier.records import read_record
from schemas.records import Record

NOTICE: Final = "notice"
LETTER: Final = "letter"
LOGGED: Final = 8


class Told(NamedTuple):
    """A balance of a record whose producer asked for a trace."""

    account_id: str
    resource: str
    generation: int
    position: int


def read_parents(records: Iterable[Record]) -> dict[Told, TraceParent]:
    """Of the records with a `traceparent`; most have none, and are not read a second time."""
    found: dict[Told, TraceParent] = {}
    for record in records:
        parent = find_traceparent(record.value.decode(errors="replace")) if record.value is not None else None
        if parent is not None and isinstance(change := read_record(record), BalanceSnapshot):
            found[Told(change.account_id, change.resource, change.generation, change.position)] = parent
    return found


def trace_lines(records: Iterable[Record], steps: Iterable[LetterStep]) -> tuple[LineTrace, ...]:
    """Which producer's span a balance that reached another line follows from. It is kept beside the notices: letters
    are written later, and perhaps by another process."""
    parents = read_parents(records)
    return tuple(
        LineTrace(step.shard, step.account_id, step.resource, step.reached.epoch, step.reached.line, parent)
        for step in (steps if parents else ())
        if isinstance(step, LineMoved)
        and (parent := parents.get(Told(step.account_id, step.resource, step.generation, step.position))) is not None
    )


def notice_spans(plan: NotifyPlan, ended: datetime) -> list[Span]:
    """Of the lines that balances reached, from the moment at which their batch was planned."""
    return [
        Span(NOTICE, trace.parent, plan.at, ended, "consumer", attributes=describe(trace))
        for trace in plan.traces[:SPANS_TOGETHER]
    ]


def letter_parents(lines: Lines, traces: Sequence[LineTrace]) -> list[TraceParent]:
    """Of a letter that says these lines: what it follows from, the highest line first. Not what was kept of another
    line, or of another epoch."""
    said = [
        (shown.line, trace.parent)
        for trace in traces
        if (shown := lines.get(trace.resource)) is not None and (shown.epoch, shown.line) == (trace.epoch, trace.line)
    ]
    return list(dict.fromkeys(parent for _line, parent in sorted(said, key=lambda pair: pair[0], reverse=True)))


def letter_span(
    parents: Sequence[TraceParent],
    started: datetime,
    ended: datetime,
    outcome: Mapping[str, str | int],
    *,
    failed: str | None,
) -> Span:
    """A letter may tell of several lines: the trace of the highest goes on, the others are linked."""
    first, *others = parents
    return Span(LETTER, first, started, ended, "client", links=others, attributes=outcome, failed=failed)


def describe(trace: LineTrace) -> dict[str, str | int]:
    return {"metering.shard": trace.shard, "metering.resource": trace.resource, "metering.line": trace.line}
