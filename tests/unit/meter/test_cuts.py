"""What becomes of each event of an account is the same wherever batches are cut: a restored database cuts anew."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from schemas.amounts import MICRO
from schemas.records import Accepted
from schemas.topics import ACCOUNTS
from tests.contract.memory_store import MemoryEventStore
from tests.contract.rows import granted, opened, plan, reversal, revoked, usage

SPENT = "request 1"
AMOUNTS = st.sampled_from((MICRO, 5 * MICRO, 10 * MICRO, 75 * MICRO))
NAMED = st.sampled_from((None, "order 0", "order 2", "order 5"))
EVENTS = st.one_of(
    st.tuples(st.just("open")),
    st.tuples(st.just("grant"), AMOUNTS),
    st.tuples(st.just("revoke"), AMOUNTS, NAMED),
    st.tuples(st.just("reverse"), AMOUNTS),
    st.tuples(st.just("again"), st.integers(0, 9)),
)
OUTCOMES = "duplicates", "rejections", "waiting"


def write(drawn: Sequence[tuple[object, ...]]) -> Iterator[Accepted]:
    """Events of one account, as their offsets have them."""
    made: list[Accepted] = []
    for offset, (kind, *rest) in enumerate(drawn):
        event_id = f"order {offset}"
        match kind, rest:
            case "grant", [int(amount)]:
                event = granted(offset, amount, event_id=event_id)
            case "revoke", [int(amount), str() | None as named]:
                event = revoked(offset, amount, revokes=named, event_id=event_id)
            case "reverse", [int(amount)]:
                event = reversal(offset, amount, SPENT, event_id=event_id)
            case "again", [int(which)] if made:
                event = made[which % len(made)]._replace(offset=offset)
            case _:
                event = opened(offset, event_id=event_id)
        made.append(event)
        yield event


async def outcomes(events: Sequence[Accepted], cuts: Sequence[int]) -> dict[int, str]:
    """By offset: `stored` or the list it stands in."""
    store = MemoryEventStore(1)
    await store.append(plan(usage(0, amount=75 * MICRO, event_id=SPENT)))
    for begin, end in pairwise(sorted({0, *cuts, len(events)})):
        await store.append(plan(*events[begin:end], start=(1, begin), end=(1, end)))
    log = store.log(0)
    found = dict.fromkeys(range(len(events)), "stored")
    for name in OUTCOMES:
        found |= {entry[1]: f"{name} {entry[2]}" for entry in getattr(log, name) if entry[0] == ACCOUNTS}
    return found


@given(drawn=st.lists(EVENTS, min_size=2, max_size=10), cuts=st.sets(st.integers(1, 9), max_size=3))
@example(drawn=[("open",), ("revoke", 80 * MICRO, None), ("grant", 5 * MICRO)], cuts=set())
@example(drawn=[("revoke", MICRO, "order 2"), ("open",), ("grant", 5 * MICRO)], cuts={2})
def test_an_outcome_does_not_depend_on_where_batches_are_cut(drawn: list[tuple[object, ...]], cuts: set[int]) -> None:
    events = list(write(drawn))
    alone = asyncio.run(outcomes(events, range(len(events))))
    for some in (set(), {cut for cut in cuts if cut < len(events)}):
        assert asyncio.run(outcomes(events, sorted(some))) == alone
