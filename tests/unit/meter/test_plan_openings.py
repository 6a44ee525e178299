"""Openings in the plan: each brings its free grants with it, once."""

from dataclasses import replace

from meter.allowance import Allowance, free_grant_id
from meter.settle import settle, without_granted
from schemas.amounts import MICRO
from schemas.reasons import Reason
from schemas.resources import Resource
from schemas.topics import ACCOUNTS, USAGE
from tests.contract.rows import GRANTED, opened, plan, usage
from tests.unit.meter.test_plan import known, repeat


def test_an_opening_sent_again_is_the_same_in_the_capitals_of_before() -> None:
    stored = opened(0)._replace(data='{"plan":"free","contacts":["Ann@EXAMPLE.com"]}')
    again = stored._replace(offset=1, data='{"plan":"free","contacts":["Ann@example.com"]}')
    made = settle(plan(again, start=(0, 1)), known(stored))
    assert made.rejections == () and made.repeats == (repeat(again),)


def test_opening_brings_the_free_grants_right_behind_it() -> None:
    account = opened(4)
    made = plan(account, usage(0), start=(0, 4))
    rows = made.rows
    assert [(r.type, r.resource, r.amount, r.offset) for r in rows[:3]] == [
        (10, None, 0, 4), (13, 1, 75 * MICRO, 4), (13, 2, 10_000 * MICRO, 4),
    ]  # fmt: skip
    assert made.derived == {rows[1].key, rows[2].key}
    assert all(row.occurred_at == account.occurred_at and row.account_id == "acc-1" for row in rows[1:3])


def test_opening_twice_in_a_batch_grants_once() -> None:
    made = plan(opened(0), opened(1))
    assert [row.type for row in made.rows] == [10, 13, 13, 10]
    assert made.repeats == ()


def test_free_grants_have_ids_of_the_account_and_resource() -> None:
    """Fixed for ever: another namespace would grant every account again at its next opening."""
    assert free_grant_id("acc-1", Resource.MODEL_CREDITS) == "faf04296-1c18-8619-aa97-ca44c60966f7"
    assert free_grant_id("acc-1", Resource.TOOL_RUNS) == "76343721-7a4b-8eed-a1ba-83bab85e0371"


def test_an_event_sent_ahead_cannot_block_a_free_grant() -> None:
    """Anybody can work out the id of an account's grant; the meter's source makes it another event."""
    thief = opened(0, type=GRANTED, resource=1, amount=1, event_id=free_grant_id("acc-1", Resource.MODEL_CREDITS))
    made = settle(plan(thief, opened(1)), known(thief))
    assert [(row.type, row.resource) for row in made.rows] == [(10, None), (13, 1), (13, 2)]


def test_a_zero_allowance_grants_nothing() -> None:
    made = plan(opened(0), allowance=Allowance(0, 5 * MICRO))
    assert [(row.type, row.resource) for row in made.rows] == [(10, None), (13, 2)]


def test_a_known_opening_takes_its_grants_with_it() -> None:
    account = opened(0)
    made = settle(plan(account), known(account))
    assert made.rows == () and made.repeats == (repeat(account),)


def test_an_opening_with_a_reused_id_takes_its_grants_with_it() -> None:
    account = opened(0)
    made = settle(plan(account), known(account._replace(data='{"plan":"team"}')))
    assert made.rows == () and [bad.reason for bad in made.rejections] == [Reason.ID_REUSED]


def test_known_free_grants_are_dropped_in_silence() -> None:
    """Even of another amount: the allowance of the day of the first opening counts."""
    account = opened(0)
    grants = [row._replace(amount=1) for row in plan(account).rows[1:]]
    made = settle(plan(account), known(*grants))
    assert made.rows == (account,) and made.repeats == () and made.rejections == ()


def test_an_account_that_is_open_already_is_granted_nothing() -> None:
    """Of no resource, though no grant of it is known: its allowance was 0 when the account was opened."""
    again, new = opened(0), opened(1, account_id="acc-2")
    made = settle(without_granted(plan(again, new), {"acc-1"}), {})
    assert [(row.offset, row.type) for row in made.rows] == [(0, 10), (1, 10), (1, 13), (1, 13)]
    assert made.derived == {row.key for row in made.rows[2:]}


def test_the_grants_of_a_refused_opening_do_not_pass_to_another_of_an_account_that_is_open() -> None:
    used = opened(0, type=GRANTED, resource=1, amount=1, event_id="order-7")
    made = plan(opened(4, event_id="order-7"), opened(5), start=(0, 4))
    made = settle(without_granted(made, {"acc-1"}), known(used))
    assert [(row.offset, row.type) for row in made.rows] == [(5, 10)]
    assert [rejected.reason for rejected in made.rejections] == [Reason.ID_REUSED]


def test_an_unstorable_opening_is_rejected_with_its_grants() -> None:
    account = opened(0)
    made = settle(replace(plan(account, usage(0)), faults={(ACCOUNTS, 0): "why"}), {})
    assert [row.topic for row in made.rows] == [USAGE]
    assert [(r.record.topic, r.record.offset, r.reason, r.detail) for r in made.rejections] == [
        (ACCOUNTS, 0, Reason.UNSTORABLE, "why")
    ]


def test_an_opening_whose_id_is_used_leaves_its_free_grants_to_the_next() -> None:
    """Both in one batch: without this the account would be open, and without its free allowance for good."""
    used = opened(0, type=GRANTED, resource=1, amount=1, event_id="order-7")
    made = settle(plan(opened(4, event_id="order-7"), usage(0), opened(5), opened(6), start=(0, 4)), known(used))
    assert [(row.topic, row.offset, row.type, row.resource, row.amount) for row in made.rows] == [
        (ACCOUNTS, 5, 10, None, 0), (ACCOUNTS, 5, 13, 1, 75 * MICRO), (ACCOUNTS, 5, 13, 2, 10_000 * MICRO),
        (ACCOUNTS, 6, 10, None, 0), (USAGE, 0, 1, 1, made.rows[4].amount),
    ]  # fmt: skip
    assert made.rows[1].event_id == free_grant_id("acc-1", Resource.MODEL_CREDITS)
    assert [rejected.reason for rejected in made.rejections] == [Reason.ID_REUSED]


def test_an_opening_that_the_database_refuses_leaves_its_free_grants_to_the_next() -> None:
    made = plan(opened(0), opened(1), opened(2, account_id="acc-2"))
    made = settle(replace(made, faults={(ACCOUNTS, 0): "NUL"}), {})
    assert [(row.offset, row.type) for row in made.rows] == [(1, 10), (1, 13), (1, 13), (2, 10), (2, 13), (2, 13)]
    assert len({row.key for row in made.rows}) == 6
