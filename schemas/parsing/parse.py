"""A Kafka record becomes an event to store, a record to send on, or a rejection. Pure and total: the hot path."""

from collections.abc import Sequence
from datetime import datetime

from schemas.parsing.compiled_reader import read_compiled, read_rows_compiled
from schemas.parsing.pattern_reader import make_reader, read_by_pattern
from schemas.parsing.reference_reader import read_by_reference
from schemas.parsing.sources import judge_source
from schemas.reasons import Reason
from schemas.records import (
    Accepted,
    Limits,
    Outcome,
    Parsed,
    Record,
    Rejected,
    Remark,
    Remarked,
    Rerouted,
    event_of,
    part,
)

__all__ = ["Accepted", "Limits", "Record", "Rejected", "Remark", "Remarked", "Rerouted", "parse", "parse_all"]


def parse(record: Record, now: datetime, limits: Limits) -> Outcome:
    """Judge one record of an input topic. `now` is the meter's clock, aware UTC. Never raises."""
    outcome = read_by_pattern(record, now, limits) or _judge(record, now, limits)
    return judge_source(outcome, record, limits)


def parse_all(records: Sequence[Record], now: datetime, limits: Limits) -> list[Outcome]:
    """`parse` for each record of a batch, in order, by the fastest reader that takes it."""
    read = make_reader(now, limits)
    found = read_compiled(records, now, limits)
    if found is None:
        outcomes = [read(record) or _judge(record, now, limits) for record in records]
    else:
        outcomes = [
            event or read(record) or _judge(record, now, limits) for event, record in zip(found, records, strict=True)
        ]
    if limits.sources is None:
        return outcomes
    return [judge_source(outcome, record, limits) for outcome, record in zip(outcomes, records, strict=True)]


def parse_rows(records: Sequence[Record], now: datetime, limits: Limits) -> Parsed:
    """`parse` for each record of a batch, by the fastest reader that takes it: the events by themselves."""
    others: list[Outcome] = []
    read = make_reader(now, limits)

    def judge(record: Record) -> Accepted | None:
        outcome = read(record) or _judge(record, now, limits)
        if type(outcome) is Accepted:
            return outcome
        others.append(outcome)
        return event_of(outcome)

    rows = read_rows_compiled(records, now, limits, judge) if limits.sources is None else None
    return part(parse_all(records, now, limits)) if rows is None else Parsed(rows, others)


def _judge(record: Record, now: datetime, limits: Limits) -> Outcome:
    try:
        return read_by_reference(record, now, limits)
    except Exception as error:
        # A bug here must not stop the shard for good: it costs one record, whose bytes are kept for a replay.
        return Rejected(record, Reason.INVALID_DATA, f"the parser failed: {type(error).__name__}: {error}"[:500])
