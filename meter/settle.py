"""Judge what a batch planned against what the database knows of it: events whose identity is stored, and those that it
refuses. Pure, as the plan is."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
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
from schemas.topics import ACCOUNTS

MAX_FAULT_CHARS: Final = 500


def settle(plan: AppendPlan, known: Mapping[bytes, Content]) -> AppendPlan:
    """Judge every event whose identity is stored (`known`) or stood before in the batch: repeat or reused id.

    What is stored comes first, so the outcome does not depend on where batches are cut. A record's derived rows go with
    it. Corrections are judged by `settle_corrections`.
    """
    plan = without_unstorable(plan, known)
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
    events = chain(plan.rows, plan.spare, plan.corrections)
    gone = {row.key for row in events if row.key in plan.derived and row.account_id in opened}
    if not gone:
        return plan
    return replace(
        plan,
        rows=tuple(row for row in plan.rows if row.key not in gone),
        spare=tuple(row for row in plan.spare if row.key not in gone),
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


def reject_unstorable(plan: AppendPlan, event: Accepted) -> Rejected:
    place = event.topic, event.offset
    return Rejected(plan.record_at(place), Reason.UNSTORABLE, plan.faults[place])


def without_unstorable(plan: AppendPlan, known: Mapping[bytes, Content]) -> AppendPlan:
    """The plan with rejections in place of the rows that the database refuses (`plan.faults`).

    The next event of such an identity that is good becomes the row, as it would have in a batch of its own. So free
    grants go to the first opening that is good.
    """
    if not plan.faults:
        return plan
    kept: list[Accepted] = []
    again: list[Accepted] = []
    rejections: list[Rejected] = []
    taken = set(known)
    free = {row.key: row for row in (*plan.rows, *plan.spare) if row.key in plan.derived}
    own = (row for row in plan.rows if row.key not in plan.derived)
    for event in sorted((*own, *plan.again), key=lambda event: (event.topic != ACCOUNTS, event.offset)):
        if event.key in taken:
            again.append(event)
        elif (event.topic, event.offset) in plan.faults:
            rejections.append(reject_unstorable(plan, event))
        else:
            taken.add(event.key)
            kept.append(event)
    return replace(
        plan,
        rows=tuple(pass_on(kept, tuple(free.values()))),
        again=tuple(again),
        rejections=(*plan.rejections, *rejections),
    )


def list_tries(plan: AppendPlan, known: Mapping[bytes, Content]) -> list[list[Accepted]]:
    """All that may become rows of an unsettled plan, in lists in which no identity stands twice. What is the same but
    for its offset stands there once."""
    lists: list[list[Accepted]] = []
    times = Counter[bytes]()
    for event in dict.fromkeys(event._replace(offset=0) for event in may_be_rows(plan, known)):
        if times[event.key] == len(lists):
            lists.append([])
        lists[times[event.key]].append(event)
        times[event.key] += 1
    return lists


def list_taken(plan: AppendPlan, tried: Sequence[Accepted], refused: Set[Accepted]) -> set[bytes]:
    """Identities that one of `tried` has for good: it is stored, or becomes a row, as all that are not refused but
    corrections, which are judged first. Thousands of spellings of one request would be a try each."""
    judged = {event._replace(offset=0) for event in plan.corrections}
    return {event.key for event in tried if event not in refused and event not in judged}


def find_faults(
    plan: AppendPlan, known: Mapping[bytes, Content], refused: Mapping[Accepted, str]
) -> dict[TopicOffset, str]:
    """`refused` has events of `list_tries`, and why. A record goes with the rows that follow from it."""
    events = may_be_rows(plan, known)
    whys = ((event, refused.get(event._replace(offset=0))) for event in events)
    return {(event.topic, event.offset): why for event, why in whys if why is not None}


def may_be_rows(plan: AppendPlan, known: Mapping[bytes, Content]) -> Iterator[Accepted]:
    return (event for event in chain(plan.rows, plan.again, plan.spare, plan.corrections) if event.key not in known)
