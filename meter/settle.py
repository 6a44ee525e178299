"""Judge what a batch planned against what the database knows of it: events whose identity is stored, and those that it
refuses. Pure, as the plan is."""

from collections.abc import Mapping, Set
from dataclasses import replace
from itertools import chain
from typing import Final

from meter.allowance import pass_on
from meter.content import Content, content_of, describe_reuse, is_same
from meter.plan import AppendPlan, Repeat, TopicOffset
from meter.runtime.errors import explain, name_wordless
from schemas.reasons import Reason
from schemas.records import Accepted, Rejected
from schemas.rows import at_places, find_keys, without

MAX_FAULT_CHARS: Final = 500


def settle(plan: AppendPlan, known: Mapping[bytes, Content]) -> AppendPlan:
    """Judge every event whose identity is stored (`known`) or stood before in the batch: repeat or reused id.

    What is stored comes first, so the outcome does not depend on where batches are cut. A record's derived rows go with
    it.
    """
    if not known and not plan.again:
        return plan
    stored = find_keys(plan.rows, known.keys())
    own = [row for row in at_places(plan.rows, stored) if row.key not in plan.derived]
    wanted = {event.key for event in plan.again} - known.keys()
    first = {row.key: content_of(row) for row in at_places(plan.rows, find_keys(plan.rows, wanted))}
    again = [judge_again(plan, event, known.get(event.key) or first[event.key]) for event in (*own, *plan.again)]
    rows = without(plan.rows, stored)
    if plan.derived:
        gone = {(row.topic, row.offset) for row in own}
        rows = tuple(without_derived(plan, list(rows), gone))
    return replace(
        plan,
        rows=rows,
        again=(),
        repeats=(*plan.repeats, *(outcome for outcome in again if isinstance(outcome, Repeat))),
        rejections=(*plan.rejections, *(outcome for outcome in again if isinstance(outcome, Rejected))),
    )


def without_granted(plan: AppendPlan, opened: Set[str]) -> AppendPlan:
    """The plan without free grants of accounts that are `opened` already: the amounts of the day of the first opening
    count, also where one was 0."""
    events = chain(plan.rows, plan.corrections)
    gone = {row.key for row in events if row.key in plan.derived and row.account_id in opened}
    if not gone:
        return plan
    return replace(
        plan,
        rows=tuple(row for row in plan.rows if row.key not in gone),
        corrections=tuple(row for row in plan.corrections if row.key not in gone),
        derived=plan.derived - gone,
    )


def without_derived(plan: AppendPlan, rows: list[Accepted], gone: Set[TopicOffset]) -> list[Accepted]:
    """A record that is not stored takes its derived rows with it; another opening in the batch then has them."""
    lost = [row for row in rows if row.key in plan.derived and (row.topic, row.offset) in gone]
    kept = [row for row in rows if (row.topic, row.offset) not in gone]
    return pass_on(kept, lost) if lost else kept


def judge_again(plan: AppendPlan, event: Accepted, stored: Content) -> Repeat | Rejected:
    """What becomes of an event under whose identity another is stored."""
    try:
        return repeat_of(event) if is_same(event, stored) else reject_reuse(plan, event, stored)
    except Exception as error:
        return reject_unjudged(plan, event, error)


def reject_unjudged(plan: AppendPlan, event: Accepted, error: Exception) -> Rejected:
    """A fault of ours must not stop the shard for good: it costs one record, whose bytes are kept for a replay."""
    detail = f"the check failed: {name_wordless(error)}: {explain(error)}"[:MAX_FAULT_CHARS]
    return Rejected(plan.record_at((event.topic, event.offset)), Reason.UNSTORABLE, detail)


def repeat_of(event: Accepted) -> Repeat:
    return Repeat(event.topic, event.offset, event.event_id, event.key)


def reject_reuse(plan: AppendPlan, event: Accepted, stored: Content) -> Rejected:
    return Rejected(plan.record_at((event.topic, event.offset)), Reason.ID_REUSED, describe_reuse(event, stored))


def without_unstorable(plan: AppendPlan, faults: Mapping[TopicOffset, str]) -> AppendPlan:
    """Turn the records that the database refuses into rejections; `faults` says why, by topic and offset.

    Repeats of a refused event go the same way: nothing with their identity is stored.
    """
    if not faults:
        return plan
    refused = {
        row.key: faults[row.topic, row.offset]
        for row in chain(plan.rows, plan.corrections)
        if (row.topic, row.offset) in faults and row.key not in plan.derived
    }
    kept = [row for row in plan.corrections if (row.topic, row.offset) not in faults]
    again = {(r.topic, r.offset): refused[r.key] for r in plan.repeats if r.key in refused}
    again |= {(row.topic, row.offset): refused[row.key] for row in kept if row.key in refused}
    rejections = [
        Rejected(plan.record_at(place), Reason.UNSTORABLE, detail) for place, detail in {**faults, **again}.items()
    ]
    return replace(
        plan,
        rows=tuple(without_derived(plan, list(plan.rows), faults.keys())),
        corrections=tuple(row for row in kept if (row.topic, row.offset) not in again),
        repeats=tuple(r for r in plan.repeats if r.key not in refused),
        rejections=(*plan.rejections, *rejections),
    )
