"""Bytes of records through the pure core: whatever they are, each offset has one outcome, and nothing raises."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from meter.allowance import Allowance
from meter.bounds import ALONE_BYTES, bound_evidence
from meter.content import content_of
from meter.corrections import GRANTED, REVOKED, Facts, Move, NamedUsage, move_of, settle_corrections
from meter.floods import KEPT_KEY_BYTES, cut_original
from meter.packing import read_whole, unpack
from meter.plan import AppendPlan, plan_append
from meter.settle import settle
from meter.store.evidence import duplicate_rows, rejection_columns, rerouted_columns
from meter.store.layout import encode_rows
from schemas.codes import USAGE_CODES
from schemas.parsing.parse import parse_all, parse_rows
from schemas.parsing.pattern_reader import read_by_pattern
from schemas.parsing.reference_reader import read_by_reference
from schemas.records import MAX_EVENT_BYTES, Accepted, Limits, OffsetRanges, Record, Rejected
from schemas.topics import ACCOUNTS, USAGE
from tests.fuzz.records import NOW, draw_records, smaller_records
from tests.fuzz.stored import find_unread

LIMITS: Final = Limits(partitions=1)
LATER: Final = 1_000  # offsets behind, the same records come again


class RecordLevel:
    name, unit, drawn = "record", "records", 0

    def draw(self, draw: random.Random) -> list[Record]:
        records = draw_records(draw)
        self.drawn += len(records)
        return records

    def smaller(self, drawn: list[Record]) -> Iterator[list[Record]]:
        return smaller_records(drawn)

    def show(self, drawn: list[Record]) -> str:
        return "\n".join(map(repr, drawn))

    def check(self, drawn: list[Record]) -> str | None:
        by_topic = {topic: [r for r in drawn if r.topic == topic] for topic in (USAGE, ACCOUNTS)}
        for record in drawn:
            if (fault := find_disagreement(record)) is not None:
                return fault
        plan = make_plan(by_topic)
        again = {topic: [r._replace(offset=r.offset + LATER) for r in records] for topic, records in by_topic.items()}
        repeated = make_plan(again, plan)
        for made, sent in ((plan, by_topic), (bound_evidence(plan), by_topic), (repeated, again)):
            if (fault := find_fault(made, sent)) is not None:
                return fault
        if twice := {row.key for row in plan.rows} & {row.key for row in repeated.rows}:
            return f"stored twice: {twice}"
        accepted = [row for records in by_topic.values() for row in parse_all(records, NOW, LIMITS)]
        return find_unread([row for row in accepted if isinstance(row, Accepted)])


def find_disagreement(record: Record) -> str | None:
    """The short cut must say what the reference says, wherever it says anything."""
    short = read_by_pattern(record, NOW, LIMITS)
    if short is None:
        return None
    reference = read_by_reference(record, NOW, LIMITS)
    return None if short == reference else f"the pattern reads {short}, the reference {reference}"


def make_plan(by_topic: dict[str, list[Record]], stored: AppendPlan | None = None) -> AppendPlan:
    """Judged by the contract, and by what another plan has stored before."""
    plan = plan_append(
        shard=0,
        records=by_topic,
        results={topic: parse_rows(records, NOW, LIMITS) for topic, records in by_topic.items()},
        start={topic: records[0].offset if records else 0 for topic, records in by_topic.items()},
        end={topic: records[-1].offset + 1 if records else 0 for topic, records in by_topic.items()},
        recorded_at=NOW,
        allowance=Allowance(),
        room=0,
    )
    rows = () if stored is None else stored.rows
    known = {row.key: content_of(row) for row in rows}
    return settle_corrections(settle(plan, known), facts_of(rows), known, len(rows) + 1)


def facts_of(rows: Sequence[Accepted]) -> Facts:
    """As the store finds them for corrections; nothing of the usage is reversed."""
    usage: dict[tuple[str, str], list[NamedUsage]] = {}
    moves: dict[str, list[Move]] = {}
    for position, row in enumerate(rows, 1):
        if row.type in USAGE_CODES:
            named = NamedUsage(position, row.source, row.resource or 0, row.amount, row.amount)
            usage.setdefault((row.account_id, row.event_id), []).append(named)
        elif row.type in (GRANTED, REVOKED):
            move = move_of(row.type, row.event_id, row.resource or 0, row.amount, row.data)
            moves.setdefault(row.account_id, []).append(move)
    return Facts(usage, moves)


def find_fault(plan: AppendPlan, by_topic: dict[str, list[Record]]) -> str | None:
    wrong = find_uncovered(plan, by_topic) or find_unbounded(plan) or find_lost_bytes(plan, by_topic)
    encode_rows(plan.rows, 0, 1, NOW)
    rejection_columns(plan.rejections)
    duplicate_rows(plan.repeats)
    rerouted_columns(plan.rerouted)
    return wrong


def find_uncovered(plan: AppendPlan, by_topic: dict[str, list[Record]]) -> str | None:
    covered = Counter[tuple[str, int]]()
    covered.update((row.topic, row.offset) for row in plan.rows if row.key not in plan.derived)
    covered.update((r.record.topic, r.record.offset) for r in plan.rerouted)
    covered.update((wait.record.topic, wait.record.offset) for wait in plan.waiting)
    for gap in plan.gaps:
        covered.update((gap.topic, offset) for offset in range(gap.from_offset, gap.to_offset))
    for repeat in plan.repeats:
        covered.update((repeat.topic, o) for o in spread(repeat.offsets or ((repeat.offset, repeat.offset + 1),)))
    for rejection in plan.rejections:
        covered.update((rejection.record.topic, offset) for offset in offsets_of(rejection))
    wanted = {
        (topic, offset)
        for topic, records in by_topic.items()
        if records
        for offset in range(records[0].offset, records[-1].offset + 1)
    }
    if set(covered) != wanted or set(covered.values()) > {1}:
        return f"outcomes {sorted(covered.items())}, offsets {sorted(wanted)}"
    return None


def offsets_of(rejection: Rejected) -> Iterator[int]:
    return spread(rejection.offsets or ((rejection.record.offset, rejection.beyond),))


def spread(offsets: OffsetRanges) -> Iterator[int]:
    return (offset for begin, to in offsets for offset in range(begin, to))


def find_unbounded(plan: AppendPlan) -> str | None:
    for rejection in plan.rejections:
        if any(failed in rejection.detail for failed in ("the parser failed", "the check failed")):
            return rejection.detail
        record = rejection.record
        headers = sum(len(name) + len(value or b"") for name, value in record.headers)
        kept = len(record.value or b"") + headers
        if rejection.offsets is None and (kept > MAX_EVENT_BYTES or len(record.key or b"") > KEPT_KEY_BYTES):
            return f"{kept} bytes are kept of a record that is {rejection.reason.value}"
        if len(record.key or b"") > max(KEPT_KEY_BYTES, ALONE_BYTES):
            return "the key of packed records is too long"
    return None


def find_lost_bytes(plan: AppendPlan, by_topic: dict[str, list[Record]]) -> str | None:
    """What was packed comes out as it was sent; of what is too large for an event as much as is kept of one alone."""
    sent = {(record.topic, record.offset): record for records in by_topic.values() for record in records}
    for rejection in plan.rejections:
        if rejection.offsets is None:
            continue
        for packed in unpack(rejection.record.topic, 0, rejection.record.value or b""):
            wanted = cut_original(Rejected(sent[packed.topic, packed.offset], rejection.reason, ""))
            digest = wanted.digest if (wanted.length or 0) > MAX_EVENT_BYTES else None
            if (found := read_whole(packed)) != (wanted.record, wanted.length, digest):
                return f"packed {wanted}, unpacked {found}"
    return None
