"""From events of the log to steps of the fold: pure. Usage comes summed up by the database, all else one by one."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from projections.fold import Kind, Step
from schemas.codes import CODES
from schemas.resources import RESOURCES_BY_CODE

# What an event of one resource does to its balance, and what an event of the account does to all its balances, by the
# code of the event.
STEP_KINDS: Final = {
    CODES["credits.granted.v1"]: Kind.GRANT,
    CODES["credits.revoked.v1"]: Kind.REVOCATION,
    CODES["usage.reversed.v1"]: Kind.REVERSAL,
}
ACCOUNT_STEP_KINDS: Final = {
    CODES["account.opened.v1"]: Kind.OPENING,
    CODES["account.closed.v1"]: Kind.CLOSING,
    CODES["account.reopened.v1"]: Kind.REOPENING,
}

# About neither a balance nor an account: the usage projection reads them.
ITEM_CODES: Final = frozenset({CODES["item.changed.v1"]})

BalanceKey = tuple[str, int]  # account id, resource code


class NonUsageEvent(NamedTuple):
    """An event that is not usage. `data` only of account events."""

    shard: int
    position: int
    type: int
    account_id: str
    resource: int | None
    amount: int
    occurred_at: datetime
    recorded_at: datetime
    data: str | None
    derived: bool  # stored by the meter together with the event before it: the free allowance behind an opening
    source: str | None = None  # of account events, as is `event_id`
    event_id: str | None = None


def kind_of(type: int, *, derived: bool) -> Kind:
    """The kind of step of a resource's own event; what is not listed is usage."""
    kind = STEP_KINDS.get(type, Kind.USAGE)
    return Kind.FREE_GRANT if derived and kind is Kind.GRANT else kind


def collect_steps(non_usage: Sequence[NonUsageEvent]) -> dict[BalanceKey, list[Step]]:
    """The steps of each balance in the order of positions. An opening and the free allowance behind it are one step, so
    a range must not end between them."""
    steps: defaultdict[BalanceKey, list[Step]] = defaultdict(list)
    opening: dict[BalanceKey, int] = {}  # the openings that a free grant directly behind belongs to, by their index
    before: NonUsageEvent | None = None
    for o in non_usage:
        if not follows(before, o):
            opening.clear()
        before = o
        for key, step in steps_of(o):
            if step.kind is Kind.FREE_GRANT and key in opening:
                steps[key][opening.pop(key)] = step._replace(kind=Kind.OPENING)
                continue
            if step.kind is Kind.OPENING:
                opening[key] = len(steps[key])
            steps[key].append(step)
    return dict(steps)


def follows(before: NonUsageEvent | None, o: NonUsageEvent) -> bool:
    """Whether the meter stored the second event as part of the first, or of what the first is part of."""
    return (
        before is not None
        and o.derived
        and (o.shard, o.account_id, o.position) == (before.shard, before.account_id, before.position + 1)
    )


def steps_of(o: NonUsageEvent) -> Iterator[tuple[BalanceKey, Step]]:
    if o.type in ACCOUNT_STEP_KINDS:
        for resource in RESOURCES_BY_CODE:
            yield (o.account_id, resource), Step(ACCOUNT_STEP_KINDS[o.type], 0, o.position, o.recorded_at)
    elif o.type in STEP_KINDS and o.resource is not None:
        kind = kind_of(o.type, derived=o.derived)
        yield (o.account_id, o.resource), Step(kind, o.amount, o.position, o.recorded_at)


def split_positions(steps: Mapping[BalanceKey, Iterable[Step]]) -> tuple[list[str], list[int], list[int]]:
    """Accounts, resources and positions of the steps that cut usage into runs.

    Python passes them to the statements. If the statements found them, the planner would expect one row, and compare
    each cut with every event.
    """
    found = [(*key, step.position) for key, own in steps.items() for step in own]
    return [cut[0] for cut in found], [cut[1] for cut in found], [cut[2] for cut in found]
