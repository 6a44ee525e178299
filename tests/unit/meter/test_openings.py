"""Later openings of an account: what is remarked of them, wherever batches are cut."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.openings import (
    ALREADY_OPEN,
    CAME_BEFORE,
    NONE_CAME_BEFORE,
    OTHERS_CAME_BEFORE,
    Earlier,
    Opening,
    accounts_new,
    accounts_opened,
    find_earlier,
    merge_remarks,
    remark_earlier_changes,
    remark_later_openings,
)
from meter.plan import RemarkRow
from schemas.events import CODES
from schemas.records import Accepted
from schemas.topics import ACCOUNTS
from tests.contract.rows import opened, usage

FIRST: dict[str, Any] = {"plan": "free", "contacts": ["a@example.com", "b@example.com"], "display_name": "Ann"}


def opening(offset: int, account: str = "acc-1", **changes: Any) -> Accepted:
    return opened(offset, account_id=account, data=json.dumps(FIRST | changes))


def remark(batches: Sequence[Sequence[Accepted]]) -> list[RemarkRow]:
    """As the store does: the first opening of an account is kept, whatever batch it came in."""
    openings: dict[str, Opening] = {}
    found: list[RemarkRow] = []
    position = 1
    for rows in batches:
        for number, row in enumerate(rows, start=position):
            if row.account_id in accounts_opened([row]):
                openings.setdefault(row.account_id, Opening(number, row.type, row.data))
        found += remark_later_openings(rows, position, openings)
        position += len(rows)
    return found


def fields(*rows: Accepted) -> list[tuple[int, str]]:
    return [(remark.offset, remark.field) for remark in remark([rows])]


def test_the_opening_of_an_account_and_an_equal_one_are_silent() -> None:
    same = opening(1, plan="Free", contacts=["B@example.com", "a@example.com"])
    assert remark([[opening(0), same, usage(0), opening(2, "acc-2", plan="team")]]) == []


def test_what_an_opening_leaves_out_is_no_difference() -> None:
    assert remark([[opening(0), opening(1, display_name=None)]]) == []


def test_each_field_that_differs_is_remarked() -> None:
    later = opening(1, plan="team", contacts=["c@example.com"], display_name="Bob", time_zone="UTC")
    assert fields(opening(0), later) == [(1, "plan"), (1, "contacts"), (1, "display_name"), (1, "time_zone")]
    [found] = remark([[opening(0), opening(7, contacts=[])]])
    assert found == RemarkRow(ACCOUNTS, 7, "acc-1", "contacts", ALREADY_OPEN)
    assert "@" not in found.reason


def test_of_an_opening_without_effect_only_that_counts() -> None:
    own = [RemarkRow(ACCOUNTS, offset, "acc-1", "contacts", "9 more are left out") for offset in (1, 2)]
    later = [RemarkRow(ACCOUNTS, 2, "acc-1", "contacts", ALREADY_OPEN)]
    assert merge_remarks(own, later) == [own[0], later[0]]


def test_of_a_field_that_loses_to_an_earlier_change_only_that_counts() -> None:
    """A row of the table is a field of a record: two would fail the batch at every try."""
    own = [RemarkRow(ACCOUNTS, 1, "acc-1", field, "9 more are left out") for field in ("contacts", "contacts[0]")]
    earlier = [RemarkRow(ACCOUNTS, 1, "acc-1", "contacts", OTHERS_CAME_BEFORE)]
    assert merge_remarks(own, [], earlier) == [own[1], earlier[0]]


def test_a_plan_that_loses_to_an_earlier_one_is_remarked() -> None:
    """Only of the opening that opens the account: a second one has no effect anyway."""
    rows = [opening(7), opening(8), opening(9, "acc-2"), opening(10, "acc-3")]
    openings = {
        row.account_id: Opening(position, row.type, row.data) for position, row in reversed([*enumerate(rows, start=5)])
    }
    assert accounts_new(openings, 5) == {"acc-1": 5, "acc-2": 7, "acc-3": 8} and accounts_new(openings, 9) == {}
    earlier = {"acc-1": Earlier(plan="team"), "acc-2": Earlier(plan="free")}
    assert remark_earlier_changes(rows, 5, openings, earlier) == [RemarkRow(ACCOUNTS, 7, "acc-1", "plan", CAME_BEFORE)]


BEFORE = [
    ("account.renamed.v1", {"display_name": "Bob"}),
    ("account.renamed.v1", {"display_name": "Cem", "time_zone": "Asia/Tokyo"}),
    ("account.contacts_changed.v1", {"contacts": ["c@example.com"]}),
    ("account.plan_changed.v1", {"plan": "team"}),
    ("account.renamed.v1", {"time_zone": "UTC"}),
]  # newest first


def test_of_each_field_the_newest_earlier_change_counts() -> None:
    changes = [(CODES[type], json.dumps(data)) for type, data in BEFORE]
    found = find_earlier(changes)
    assert found == Earlier("team", ("c@example.com",), "Bob", "Asia/Tokyo")
    older = [
        (CODES["account.contacts_changed.v1"], '{"contacts":[]}'),
        (CODES["account.plan_changed.v1"], '{"plan":"x"}'),
    ]
    assert find_earlier([*changes, *older]) == found and find_earlier([]) == Earlier()


@pytest.mark.parametrize(
    ("earlier", "expected"),
    [
        (Earlier("team", ("c@example.com",), "Bob", "Asia/Tokyo"), ["plan", "contacts", "display_name", "time_zone"]),
        (Earlier("free", ("B@example.com", "a@example.com"), "Ann", "UTC"), []),
        (Earlier(), []),
        (Earlier(contacts=()), ["contacts"]),
    ],
)
def test_each_field_that_loses_is_remarked(earlier: Earlier, expected: list[str]) -> None:
    row = opening(7, time_zone="UTC")
    openings = {"acc-1": Opening(5, row.type, row.data)}
    found = remark_earlier_changes([row], 5, openings, {"acc-1": earlier})
    assert [remark.field for remark in found] == expected
    assert all("@" not in remark.reason and "Ann" not in remark.reason for remark in found)
    reasons = {remark.field: remark.reason for remark in found}
    if "contacts" in reasons:
        assert reasons["contacts"] == (OTHERS_CAME_BEFORE if earlier.contacts else NONE_CAME_BEFORE)


def test_what_an_opening_leaves_out_does_not_lose() -> None:
    row = opening(7, contacts=[], display_name=None)
    openings = {"acc-1": Opening(5, row.type, row.data)}
    earlier = Earlier(None, ("c@example.com",), "Bob", "Asia/Tokyo")
    assert remark_earlier_changes([row], 5, openings, {"acc-1": earlier}) == []


@given(
    st.lists(st.tuples(st.sampled_from(["acc-1", "acc-2"]), st.sampled_from(["free", "team"])), max_size=10), st.data()
)
def test_remarks_do_not_depend_on_where_batches_are_cut(openings: list[tuple[str, str]], data: st.DataObject) -> None:
    rows = [opening(offset, account, plan=plan) for offset, (account, plan) in enumerate(openings)]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(rows)))) | {0, len(rows)})
    found = remark([rows[a:b] for a, b in pairwise(cuts)])
    assert found == remark([rows])
    first: dict[str, str] = {}
    for account, plan in openings:
        first.setdefault(account, plan)
    assert [r.offset for r in found] == [n for n, (account, plan) in enumerate(openings) if plan != first[account]]
