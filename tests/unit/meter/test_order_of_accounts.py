"""What is stored of an account's records of metering.accounts is stored in their order, wherever batches are cut."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meter.allowance import Allowance
from projections.fold import empty_state, fold
from schemas.amounts import MICRO
from schemas.codes import CODES
from schemas.identity import OWN_SOURCE
from schemas.records import Accepted
from schemas.topics import ACCOUNTS, USAGE
from tests.contract.memory_store import MemoryEventStore
from tests.contract.rows import GRANTED, MOMENT, OPENED, granted, opened, plan, reversal, revoked, usage
from tests.fuzz.sequence_level import steps_of

RENAMED, PLAN_CHANGED = CODES["account.renamed.v1"], CODES["account.plan_changed.v1"]
CLOSED, REOPENED = CODES["account.closed.v1"], CODES["account.reopened.v1"]
SUPPORT = "/example/support"
OTHERS = {
    "open": (OPENED, '{"plan":"free"}'),
    "rename": (RENAMED, '{"display_name":"Ann"}'),
    "change plan": (PLAN_CHANGED, '{"plan":"team"}'),
    "close": (CLOSED, "{}"),
    "reopen": (REOPENED, "{}"),
}
Drawn = tuple[str, tuple[str, tuple[object, ...]]]  # account, kind, and what the kind needs
Told = tuple[dict[str, list[tuple[int, str]]], dict[int, str], set[tuple[int, str, int]]]


def other(offset: int, kind: str, **changes: object) -> Accepted:
    """An event that takes nothing back, of the source that corrections are of."""
    type, data = OTHERS[kind]
    return opened(offset, type=type, data=data, name="", source=SUPPORT, **changes)


async def play(events: Sequence[Accepted], cuts: Sequence[int], allowance: Allowance | None = None) -> MemoryEventStore:
    """Events of both topics as they are read, in batches that end at `cuts`."""
    store = MemoryEventStore(1)
    at = {USAGE: 0, ACCOUNTS: 0}
    for begin, end in pairwise(sorted({0, *cuts, len(events)})):
        start = at[USAGE], at[ACCOUNTS]
        for event in events[begin:end]:
            at[event.topic] = event.offset + 1
        await store.append(plan(*events[begin:end], start=start, end=(at[USAGE], at[ACCOUNTS]), allowance=allowance))
    return store


def tell(store: MemoryEventStore) -> Told:
    """By account the offsets and ids that are stored, the outcomes of other offsets, and what is reversed."""
    rows, log = store._shards[0].rows, store.log(0)
    stored: dict[str, list[tuple[int, str]]] = {}
    for row in rows:
        if row.topic == ACCOUNTS:
            stored.setdefault(row.account_id, []).append((row.offset, row.event_id))
    others = {offset: "duplicate" for topic, offset, _ in log.duplicates if topic == ACCOUNTS}
    others |= {offset: reason for topic, offset, reason in log.rejections if topic == ACCOUNTS}
    reversed_ = set()
    for position, reverses, amount in log.links:
        assert reverses < position and rows[reverses - 1].topic == USAGE
        reversed_.add((rows[position - 1].offset, rows[reverses - 1].event_id, amount))
    return stored, others, reversed_


def hold_cut(events: Sequence[Accepted], *cuts: Sequence[int]) -> Told:
    """What all of these cuts lead to, and all in one batch, and each event in its own."""
    together = asyncio.run(play(events, ()))
    told = tell(together)
    assert all(tell(asyncio.run(play(events, cut))) == told for cut in (range(len(events)), *cuts))
    for stored in told[0].values():
        assert stored == sorted(stored, key=lambda place: place[0]), "in the order of the offsets"
    return told


# --- what went wrong -------------------------------------------------------------------------------------------------


def test_a_grant_behind_a_revocation_stands_behind_it() -> None:
    events = [opened(0), usage(0, amount=80 * MICRO), revoked(1, 50 * MICRO), granted(2, 100 * MICRO)]
    stored, others, _ = hold_cut(events, (2,), (3,), (2, 3))
    assert [offset for offset, _ in stored["acc-1"]] == [0, 0, 0, 1, 2] and others == {}


@pytest.mark.parametrize("cut", [(2,), (2, 3)], ids=["in one batch", "in two"])
def test_so_the_balance_is_the_same(cut: tuple[int, ...]) -> None:
    """75 granted and 80 used, 50 taken back, 100 granted: 25 is the boundary that is used up, 45 of 100 are left."""
    events = [opened(0), usage(0, amount=80 * MICRO), revoked(1, 50 * MICRO), granted(2, 100 * MICRO)]
    rows = asyncio.run(play(events, cut))._shards[0].rows
    state, _ = fold(empty_state("acc-1", 1, 0, MOMENT), steps_of(rows, 1)["acc-1", 1])
    assert (state.granted, state.base, state.remaining) == (125 * MICRO, 25 * MICRO, 45 * MICRO)


def test_of_one_identity_the_lower_offset_wins() -> None:
    events = [opened(9), revoked(10, MICRO, event_id="order"), other(11, "rename", event_id="order")]
    stored, others, _ = hold_cut(events)
    assert [offset for offset, _ in stored["acc-1"]] == [9, 9, 9, 10] and others == {11: "id_reused"}


def test_a_refused_correction_leaves_its_identity_to_the_next() -> None:
    events = [revoked(0, MICRO, event_id="order"), other(1, "rename", event_id="order")]
    stored, others, _ = hold_cut(events)
    assert stored == {"acc-1": [(1, "order")]} and others == {0: "revokes_too_much"}


# --- where rows stand ------------------------------------------------------------------------------------------------


def places(store: MemoryEventStore) -> list[tuple[str, int]]:
    return [(row.topic.removeprefix("metering."), row.offset) for row in store._shards[0].rows]


def test_usage_stands_behind_revocations_and_before_reversals() -> None:
    """And what follows a reversal stays behind it; of other accounts all stands before usage."""
    events = [
        granted(0, 5 * MICRO),
        reversal(1, 100_000, "request"),
        granted(2, MICRO),
        revoked(3, MICRO),
        revoked(4, MICRO, account_id="acc-2"),  # of nothing: it is refused
        granted(5, MICRO, account_id="acc-2"),
        revoked(6, MICRO, account_id="acc-2"),
        usage(0, event_id="request"),
        granted(7, MICRO, account_id="acc-3"),
    ]
    store = asyncio.run(play(events, ()))
    before, behind = [("accounts", n) for n in (0, 5, 6, 7)], [("accounts", n) for n in (1, 2, 3)]
    assert places(store) == [*before, ("usage", 0), *behind]
    assert store.log(0).links == [(6, 5, 100_000)]


def test_an_opening_behind_a_correction_brings_its_free_grants_right_behind_it() -> None:
    events = [granted(0, MICRO), revoked(1, MICRO), opened(2), opened(3), reversal(4, 1, "x"), opened(5), usage(0)]
    store = asyncio.run(play(events, ()))
    assert places(store) == [*(("accounts", n) for n in (0, 1, 2, 2, 2, 3)), ("usage", 0), ("accounts", 5)]
    assert [(row.offset, row.type) for row in store._shards[0].rows if row.source == OWN_SOURCE] == [(2, GRANTED)] * 2


def test_a_refused_opening_leaves_its_free_grants_to_the_next() -> None:
    events = [granted(0, MICRO, event_id="order"), revoked(1, MICRO), other(2, "open", event_id="order"), opened(3)]
    stored, others, _ = hold_cut(events)
    assert [offset for offset, _ in stored["acc-1"]] == [0, 1, 3, 3, 3] and others == {2: "id_reused"}


def test_an_opening_that_the_database_refuses_leaves_its_free_grants_to_the_next() -> None:
    bad = opened(2, source="nul\x00", event_id="order")
    events = [granted(0, MICRO), revoked(1, MICRO), bad, bad._replace(offset=3), opened(4)]
    stored, others, _ = hold_cut(events)
    assert [offset for offset, _ in stored["acc-1"]] == [0, 1, 4, 4, 4]
    assert others == {2: "unstorable", 3: "unstorable"}


# --- any history -----------------------------------------------------------------------------------------------------

AMOUNTS = st.sampled_from((MICRO, 5 * MICRO, 10 * MICRO, 75 * MICRO))
IDS = st.sampled_from(("order 1", "order 2", "order 3", "order 4"))
NUMBERS = st.integers(0, 9)
KINDS = st.one_of(
    st.tuples(st.just("use"), st.tuples(AMOUNTS)),
    st.tuples(st.sampled_from(sorted(OTHERS)), st.tuples(IDS)),
    st.tuples(st.just("grant"), st.tuples(IDS, AMOUNTS)),
    st.tuples(st.just("revoke"), st.tuples(IDS, AMOUNTS, st.one_of(st.none(), IDS))),
    st.tuples(st.just("reverse"), st.tuples(IDS, AMOUNTS, NUMBERS)),
    st.tuples(st.just("again"), st.tuples(NUMBERS)),
)
HISTORIES = st.lists(st.tuples(st.sampled_from(("acc-1", "acc-2")), KINDS), min_size=2, max_size=14)


def write(drawn: Sequence[Drawn]) -> Iterator[Accepted]:
    """Events in the order in which they are read. Usage is there before what reverses it, so no reversal waits."""
    at = {USAGE: 0, ACCOUNTS: 0}
    made: list[Accepted] = []
    for account, (kind, rest) in drawn:
        event = write_one(account, kind, rest, made, at)
        at[event.topic] += 1
        made.append(event)
        yield event


def write_one(
    account: str, kind: str, rest: tuple[object, ...], made: Sequence[Accepted], at: dict[str, int]
) -> Accepted:
    """`at` has the next offset of each topic."""
    offset = at[ACCOUNTS]
    used = [event.event_id for event in made if event.topic == USAGE and event.account_id == account]
    match kind, rest:
        case "use", [int(amount)]:
            return usage(at[USAGE], amount=amount, event_id=f"request {at[USAGE]}", account_id=account)
        case "grant", [str(id), int(amount)]:
            return granted(offset, amount, event_id=id, account_id=account)
        case "revoke", [str(id), int(amount), str() | None as named]:
            return revoked(offset, amount, revokes=named, event_id=id, account_id=account)
        case "reverse", [str(id), int(amount), int(which)]:
            named = used[which] if which < len(used) else "nobody's"
            return reversal(offset, amount, named, event_id=id, account_id=account)
        case "again", [int(which)] if made:
            again = made[which % len(made)]
            return again._replace(offset=at[again.topic])
        case "again", _:
            return other(offset, "open", event_id="order 1", account_id=account)
        case _, [str(id)]:
            return other(offset, kind, event_id=id, account_id=account)
    raise AssertionError(f"no event is made of {kind}")


@given(drawn=HISTORIES, cuts=st.lists(st.sets(st.integers(1, 13), max_size=4), max_size=2))
@example(
    drawn=[
        ("acc-1", ("open", ("order 1",))),
        ("acc-1", ("use", (75 * MICRO,))),
        ("acc-1", ("reverse", ("order 2", MICRO, 0))),
        ("acc-1", ("rename", ("order 2",))),
        ("acc-1", ("close", ("order 3",))),
        ("acc-1", ("revoke", ("order 4", MICRO, None))),
    ],
    cuts=[{3}],
)
def test_neither_order_nor_outcomes_depend_on_where_batches_are_cut(drawn: list[Drawn], cuts: list[set[int]]) -> None:
    events = list(write(drawn))
    hold_cut(events, *(sorted(cut for cut in some if cut < len(events)) for some in cuts))
