"""What is stored of an account's records of metering.accounts is stored in their order, wherever batches are cut."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from projections.fold import empty_state, fold
from schemas.amounts import MICRO
from schemas.codes import CODES
from schemas.identity import OWN_SOURCE
from schemas.records import Accepted
from schemas.topics import ACCOUNTS
from tests.contract.memory_store import MemoryEventStore
from tests.contract.rows import GRANTED, MOMENT, granted, opened, reversal, revoked, usage
from tests.fuzz.sequence_level import steps_of
from tests.unit.meter.cutting import play, tell

RENAMED, FORGOTTEN = CODES["account.renamed.v1"], CODES["account.forgotten.v1"]
SUPPORT = "/example/support"


def renamed(offset: int, **changes: object) -> Accepted:
    """Of the source that corrections are of."""
    fields = {"type": RENAMED, "data": '{"display_name":"Ann"}', "name": "", "source": SUPPORT}
    return opened(offset, **(fields | changes))


def hold_cut(
    events: Sequence[Accepted], *cuts: Sequence[int]
) -> tuple[dict[str, list[tuple[int, str]]], dict[int, str]]:
    """What all of these cuts lead to, and all in one batch, and each event in its own: by account the offsets and ids
    that are stored, and the outcomes of other offsets, of metering.accounts."""
    told = tell(asyncio.run(play(events, ())))
    assert all(tell(asyncio.run(play(events, cut))) == told for cut in (range(len(events)), *cuts))
    stored = {account: [(row.offset, row.event_id) for row in rows] for account, rows in told.accounts.items()}
    return stored, {offset: outcome for (topic, offset), outcome in told.others.items() if topic == ACCOUNTS}


# --- what went wrong -------------------------------------------------------------------------------------------------


def test_a_grant_behind_a_revocation_stands_behind_it() -> None:
    events = [opened(0), usage(0, amount=80 * MICRO), revoked(1, 50 * MICRO), granted(2, 100 * MICRO)]
    stored, others = hold_cut(events, (2,), (3,), (2, 3))
    assert [offset for offset, _ in stored["acc-1"]] == [0, 0, 0, 1, 2] and others == {}


@pytest.mark.parametrize("cut", [(2,), (2, 3)], ids=["in one batch", "in two"])
def test_so_the_balance_is_the_same(cut: tuple[int, ...]) -> None:
    """75 granted and 80 used, 50 taken back, 100 granted: 25 is the boundary that is used up, 45 of 100 are left."""
    events = [opened(0), usage(0, amount=80 * MICRO), revoked(1, 50 * MICRO), granted(2, 100 * MICRO)]
    rows = asyncio.run(play(events, cut))._shards[0].rows
    state, _ = fold(empty_state("acc-1", 1, 0, MOMENT), steps_of(rows, 1)["acc-1", 1])
    assert (state.granted, state.base, state.remaining) == (125 * MICRO, 25 * MICRO, 45 * MICRO)


def test_of_one_identity_the_lower_offset_wins() -> None:
    events = [opened(9), revoked(10, MICRO, event_id="order"), renamed(11, event_id="order")]
    stored, others = hold_cut(events)
    assert [offset for offset, _ in stored["acc-1"]] == [9, 9, 9, 10] and others == {11: "id_reused"}


def test_a_refused_correction_leaves_its_identity_to_the_next() -> None:
    events = [revoked(0, MICRO, event_id="order"), renamed(1, event_id="order")]
    stored, others = hold_cut(events)
    assert stored == {"acc-1": [(1, "order")]} and others == {0: "revokes_too_much"}


def test_what_the_database_refuses_leaves_its_identity_to_the_next() -> None:
    """In the same batch as in a later one: the others are judged as if it had not come."""
    same: dict[str, Any] = {"event_id": "order"}
    events = [
        granted(0, MICRO, **same, name="nul\x00"),
        granted(1, MICRO, **same, name="nul\x00"),
        granted(2, 5 * MICRO, **same),
        granted(3, 5 * MICRO, **same, extensions="\x00"),
        granted(4, MICRO, **same, name="nul\x00"),
    ]
    stored, others = hold_cut(events, (2,), (3,))
    assert stored == {"acc-1": [(2, "order")]}
    assert others == {0: "unstorable", 1: "unstorable", 3: "duplicate", 4: "id_reused"}


def test_so_does_usage() -> None:
    same: dict[str, Any] = {"event_id": "request", "account_id": "acc-1"}
    spoilt = usage(0, amount=MICRO, **same, data="\x00")
    events = [spoilt, spoilt._replace(offset=1), usage(2, amount=MICRO, **same), usage(3, amount=5, **same)]
    for cuts in ((), (1,), (2,), (1, 2, 3)):
        told = tell(asyncio.run(play(events, cuts)))
        assert told.usage == {"acc-1": [(2, "request")]}
        assert [reason for _, reason in sorted(told.others.items())] == ["unstorable", "unstorable", "id_reused"]


def test_a_revocation_that_the_database_refuses_takes_nothing() -> None:
    """Nor does it judge what its own grant would have been: it was refused before."""
    events = [
        granted(0, 5 * MICRO, event_id="order"),
        revoked(1, 5 * MICRO, extensions="\x00"),
        revoked(2, 5 * MICRO),
        granted(3, MICRO, event_id="spoilt", extensions="\x00"),
        revoked(4, MICRO, revokes="spoilt", extensions="\x00"),
    ]
    stored, others = hold_cut(events)
    assert [offset for offset, _ in stored["acc-1"]] == [0, 2]
    assert others == {1: "unstorable", 3: "unstorable", 4: "revokes_unknown"}


def test_free_grants_stand_behind_the_first_opening_that_is_good() -> None:
    """Which is known only when the database refuses what had its id."""
    same: dict[str, Any] = {"event_id": "order", "source": SUPPORT}
    events = [granted(0, MICRO, **same, name="\x00"), opened(1, **same), opened(2)]
    stored, others = hold_cut(events)
    assert [offset for offset, _ in stored["acc-1"]] == [1, 1, 1, 2] and others == {0: "unstorable"}


def test_an_opening_that_takes_the_place_of_what_the_database_refuses_has_its_free_grants() -> None:
    same: dict[str, Any] = {"event_id": "order", "source": SUPPORT}
    events = [granted(0, MICRO, **same, name="\x00"), opened(1, **same)]
    stored, others = hold_cut(events)
    assert [offset for offset, _ in stored["acc-1"]] == [1, 1, 1] and others == {0: "unstorable"}
    stored, others = hold_cut([*events, revoked(2, MICRO), opened(3)], (3,))
    assert [offset for offset, _ in stored["acc-1"]] == [1, 1, 1, 2, 3] and others == {0: "unstorable"}


def test_behind_a_forgetting_nobodys_name_is_compared() -> None:
    bob = '{"display_name":"Bob"}'
    events = [
        renamed(0, event_id="name"),
        renamed(1, event_id="name", data=bob),
        opened(2, type=FORGOTTEN, data='{"reason":"asked"}', name="", event_id="name", source=SUPPORT),
        renamed(3, event_id="name", data=bob),
        opened(4, type=FORGOTTEN, data='{"reason":"asked"}', name=""),
        renamed(5, event_id="name", data=bob),
        renamed(6, event_id="other", data=bob),
        renamed(7, event_id="other"),
    ]
    stored, others = hold_cut(events, (4,), (5,), (6,))
    assert [offset for offset, _ in stored["acc-1"]] == [0, 4, 6]
    assert others == {1: "id_reused", 2: "id_reused", 3: "id_reused", 5: "duplicate", 7: "duplicate"}


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
    events = [
        granted(0, MICRO, event_id="order"),
        revoked(1, MICRO),
        opened(2, source=SUPPORT, event_id="order"),
        opened(3),
    ]
    stored, others = hold_cut(events)
    assert [offset for offset, _ in stored["acc-1"]] == [0, 1, 3, 3, 3] and others == {2: "id_reused"}


def test_an_opening_that_the_database_refuses_leaves_its_free_grants_to_the_next() -> None:
    bad = opened(2, source="nul\x00", event_id="order")
    events = [granted(0, MICRO), revoked(1, MICRO), bad, bad._replace(offset=3), opened(4)]
    stored, others = hold_cut(events)
    assert [offset for offset, _ in stored["acc-1"]] == [0, 1, 4, 4, 4]
    assert others == {2: "unstorable", 3: "unstorable"}
