"""Judge reversals and revocations: what they take back must be there, and is taken back once. Pure.

They are judged in the order of their topic, together with all that follows them there of the same account: a reversal
against all usage that was read, a revocation against the grants before it. What follows the forgetting of an account is
judged as what comes in a later batch: nobody's address or name is compared. What is stored keeps this order. From its
first reversal or forgetting on, what a batch has of an account stands behind the usage of the batch: a reversal may
mean that usage, and items in it were compared before their owners were forgotten. The rest stands before it. So neither
an outcome nor the order of an account's events depends on where batches are cut, but for a reversal that waits: it
counts where it is read again.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from meter.content import Content, content_of, forget_people
from meter.held import Seen, seen_of
from meter.plan import AppendPlan, Link, Repeat, Wait, offset_of, split_at_first
from meter.refused_corrections import (
    describe,
    describe_grant,
    describe_name,
    describe_reversible,
    describe_revocable,
    describe_sources,
)
from meter.sealing import FORGOTTEN_CODE
from meter.settle import judge_again, reject_unjudged, reject_unstorable
from schemas.codes import CODES, USAGE_CODES
from schemas.identity import normalize_id
from schemas.reasons import Reason
from schemas.records import Accepted, Rejected
from schemas.stored_json import read_stored_json
from schemas.topics import ACCOUNTS

REVERSED, GRANTED, REVOKED = CODES["usage.reversed.v1"], CODES["credits.granted.v1"], CODES["credits.revoked.v1"]
BEHIND_USAGE: Final = frozenset((REVERSED, FORGOTTEN_CODE))  # with what follows of the account

Name = tuple[str, str]  # account and event id, normalized


class NamedUsage(NamedTuple):
    """An event of usage that a reversal may mean."""

    position: int
    source: str
    resource: int
    amount: int
    left: int  # not reversed yet


class Move(NamedTuple):
    """A grant, or a revocation with the id of the grant it names, if it names one. `reference` is for people."""

    is_grant: bool
    event_id: str
    resource: int
    amount: int
    revokes: str | None
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is stored that corrections may mean: usage by name, grants and revocations by account, in order."""

    usage: Mapping[Name, Sequence[NamedUsage]] = field(default_factory=dict)
    moves: Mapping[str, Sequence[Move]] = field(default_factory=dict)


NO_FACTS: Final = Facts()


class Refused(NamedTuple):
    reason: Reason
    detail: str


def names_wanted(plan: AppendPlan) -> list[Name]:
    """The usage that the plan's reversals name."""
    return list(dict.fromkeys(reversed_name(event) for event in plan.corrections if event.type == REVERSED))


def accounts_wanted(plan: AppendPlan) -> list[str]:
    """The accounts that the plan's revocations are of."""
    return list(dict.fromkeys(event.account_id for event in plan.corrections if event.type == REVOKED))


def reversed_name(event: Accepted) -> Name:
    return event.account_id, normalize_id(read_stored_json(event.data)["reverses"])


def move_of(type: int, event_id: str, resource: int, amount: int, data: str) -> Move:
    said = read_stored_json(data)
    revokes = said.get("revokes") if type == REVOKED else None
    named = None if revokes is None else normalize_id(revokes)
    return Move(type == GRANTED, event_id, resource, amount, named, said.get("reference") or "")


def settle_corrections(
    plan: AppendPlan, facts: Facts, known: Mapping[bytes, Content], first_position: int
) -> AppendPlan:
    """Judge the corrections of a plan whose other events are settled, and what follows them: row, repeat, rejection or
    waiting.

    `first_position` is that of the plan's first row; `known` has what is stored under the corrections' identities.
    """
    if not plan.corrections:
        return plan
    judge = _Judge(plan, facts, known, first_position)
    before, following = split_at_first(plan.corrections, BEHIND_USAGE)
    for event in before:
        judge.judge(event)
    judge.add_usage()
    for event in following:
        judge.judge(event)
    return judge.result()


class _Judge:
    def __init__(self, plan: AppendPlan, facts: Facts, known: Mapping[bytes, Content], first_position: int) -> None:
        self._plan = plan
        self._rows = [row for row in plan.rows if row.topic == ACCOUNTS]
        self._first_position = first_position
        self._contents = {**{row.key: content_of(row) for row in self._rows}, **known}
        self._usage = {name: list(found) for name, found in facts.usage.items()}
        self._moves = {account: list(moves) for account, moves in facts.moves.items()}
        self._last_offset: int | None = None  # of what is stored of these events
        self._forgotten: set[str] = set()  # accounts, by what is stored of these events
        self._taken: Counter[int] = Counter()  # of usage by position, in this batch
        self._repeats: list[Repeat] = []
        self._rejections: list[Rejected] = []
        self._links: list[Link] = []
        self._waiting: list[Wait] = []
        accounts = set(accounts_wanted(plan))
        for row in self._rows:
            if row.account_id in accounts:
                self._add_move(row)

    def add_usage(self) -> None:
        """Put the usage of the batch behind the rows that there are, and let the reversals behind it mean it."""
        self._rows.sort(key=offset_of)  # stable: free grants stay behind their opening
        names = set(names_wanted(self._plan))
        for row in self._plan.rows:
            if row.topic == ACCOUNTS:
                continue
            name = row.account_id, row.event_id
            if row.type in USAGE_CODES and name in names:
                position, resource = self._first_position + len(self._rows), row.resource or 0
                found = NamedUsage(position, row.source, resource, row.amount, row.amount)
                self._usage.setdefault(name, []).append(found)
            self._rows.append(row)

    def _add_move(self, row: Accepted) -> None:
        if row.type not in (GRANTED, REVOKED):
            return
        move = move_of(row.type, row.event_id, row.resource or 0, row.amount, row.data)
        self._moves.setdefault(row.account_id, []).append(move)

    def judge(self, event: Accepted) -> None:
        if event.key in self._plan.derived:
            self._store_free(event)
            return
        try:
            self._judge(event)
        except Exception as error:
            self._rejections.append(reject_unjudged(self._plan, event, error))

    def _judge(self, event: Accepted) -> None:
        stored = self._contents.get(event.key)
        if event.account_id in self._forgotten:
            event, stored = forget_people(event), None if stored is None else forget_people(stored)
        if stored is None:
            self._judge_new(event)
            return
        outcome = judge_again(self._plan, event, stored)
        if isinstance(outcome, Rejected):
            self._rejections.append(outcome)
        else:
            self._repeats.append(outcome)

    def _store_free(self, grant: Accepted) -> None:
        """Behind its opening, where that is stored and the account has not got it yet."""
        if grant.offset == self._last_offset and grant.key not in self._contents:
            self._store(grant)

    def _judge_new(self, event: Accepted) -> None:
        found: Refused | Wait | NamedUsage | None = None
        if event.type == REVERSED:
            found = self._find_reversed(event)
        elif event.type == REVOKED:
            found = self._judge_revocation(event)
        if isinstance(found, Refused):
            record = self._plan.record_at((event.topic, event.offset))
            self._rejections.append(Rejected(record, found.reason, found.detail))
        elif isinstance(found, Wait):
            self._waiting.append(found)
        elif (event.topic, event.offset) in self._plan.faults:
            self._rejections.append(reject_unstorable(self._plan, event))
        else:
            position = self._store(event)
            if found is not None:
                self._taken[found.position] += event.amount
                self._links.append(Link(position, found.position, event.amount))

    def _store(self, event: Accepted) -> int:
        """Make it a row; its position, which is known once the usage is there."""
        self._add_move(event)
        self._rows.append(event)
        self._contents[event.key] = content_of(event)
        self._last_offset = event.offset
        if event.type == FORGOTTEN_CODE:
            self._forgotten.add(event.account_id)
        return self._first_position + len(self._rows) - 1

    def _find_reversed(self, event: Accepted) -> Refused | Wait | NamedUsage:
        source = read_stored_json(event.data).get("reverses_source")
        name = reversed_name(event)
        found = [usage for usage in self._usage.get(name, ()) if source in (None, usage.source)]
        if not found:
            return self._refuse_unknown(event, name[1], source)
        if len(found) > 1:
            sources = [usage.source for usage in found]
            return Refused(Reason.REVERSES_AMBIGUOUS, f"{describe_name(*name)} was used by {describe_sources(sources)}")
        [usage] = found
        if usage.resource != event.resource:
            return Refused(Reason.REVERSES_OTHER_RESOURCE, f"that event is {describe(usage.amount, usage.resource)}")
        left = usage.left - self._taken[usage.position]
        if event.amount > left:
            return Refused(Reason.REVERSES_TOO_MUCH, describe_reversible(usage.amount, usage.resource, left))
        return usage

    def _refuse_unknown(self, event: Accepted, reverses: str, source: str | None) -> Refused | Wait:
        record = self._plan.record_at((event.topic, event.offset))
        seen = seen_of(record)
        elsewhere = self._plan.usage_ends if seen is Seen.NOTHING else ()
        here = seen is not Seen.ALL and self._plan.usage_end > self._plan.following.usage
        if elsewhere or here:
            return Wait(record, event.account_id, event.event_id, reverses, self._plan.usage_end, elsewhere)
        by = "" if source is None else f" of source {source!a}"
        return Refused(Reason.REVERSES_UNKNOWN, f"{describe_name(event.account_id, reverses)}{by} is no usage")

    def _judge_revocation(self, event: Accepted) -> Refused | None:
        resource = event.resource or 0
        move = move_of(event.type, event.event_id, resource, event.amount, event.data)
        moves = self._moves.get(event.account_id, [])
        left = left_of_all(move for move in moves if move.resource == resource)
        whole, of = granted(moves, resource), f"granted to {event.account_id}"
        if move.revokes is not None:
            grants = [grant for grant in moves if grant.is_grant and grant.event_id == move.revokes]
            named = describe_name(event.account_id, move.revokes)
            if not grants:
                return Refused(Reason.REVOKES_UNKNOWN, f"{named} is no grant")
            if len(grants) > 1:
                return Refused(Reason.REVOKES_AMBIGUOUS, f"{named} is {len(grants)} grants")
            [grant] = grants
            if grant.resource != resource:
                return Refused(
                    Reason.REVOKES_OTHER_RESOURCE, f"that grant is of {describe(grant.amount, grant.resource)}"
                )
            left, whole = min(left, left_of_grant(grant, moves)), grant.amount
            of = describe_grant(grant.event_id, grant.reference)
        if event.amount > left:
            return Refused(Reason.REVOKES_TOO_MUCH, describe_revocable(left, whole, resource, of))
        return None

    def result(self) -> AppendPlan:
        return replace(
            self._plan,
            rows=tuple(self._rows),
            corrections=(),
            repeats=(*self._plan.repeats, *self._repeats),
            rejections=(*self._plan.rejections, *self._rejections),
            links=tuple(self._links),
            waiting=tuple(self._waiting),
        )


def left_of_all(moves: Iterable[Move]) -> int:
    """What of all grants of a resource was not taken back; revocations of before they had a bound took at most all."""
    left = 0
    for move in moves:
        left = left + move.amount if move.is_grant else max(0, left - move.amount)
    return left


def left_of_grant(grant: Move, moves: Iterable[Move]) -> int:
    named = sum(move.amount for move in moves if not move.is_grant and move.revokes == grant.event_id)
    return max(0, grant.amount - named)


def granted(moves: Iterable[Move], resource: int) -> int:
    return sum(move.amount for move in moves if move.is_grant and move.resource == resource)
