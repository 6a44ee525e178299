"""Reversals and revocations: what they take back must be there, and is taken back once."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from meter.allowance import Allowance
from meter.content import content_of
from meter.corrections import Facts, Move, NamedUsage, settle_corrections
from meter.plan import AppendPlan, Link
from meter.settle import settle
from schemas.amounts import MICRO
from schemas.codes import ITEM_CODE
from schemas.reasons import Reason
from schemas.records import Accepted, Outcome
from schemas.topics import ACCOUNTS, WAITED_HEADER
from tests.contract.rows import granted, opened, plan, record, reversal, revoked, usage

NOTHING = Allowance(0, 0)
ID = "request-1"
STORED = NamedUsage(7, "/example/gateway", 1, 10 * MICRO, 10 * MICRO)
GRANT = Move(True, "order-1", 1, 100 * MICRO, None)
FREE = Move(True, "free", 1, 75 * MICRO, None)


def judge(*results: Outcome, facts: Facts | None = None, usage_end: int = 0, first: int = 100) -> AppendPlan:
    made = settle(plan(*results, allowance=NOTHING, usage_end=usage_end), {})
    return settle_corrections(made, facts or Facts(), {}, first)


def known(*found: NamedUsage, id: str = ID) -> Facts:
    return Facts(usage={("acc-1", id): found})


def moves(*found: Move) -> Facts:
    return Facts(moves={"acc-1": found})


def reasons(made: AppendPlan) -> list[tuple[Reason, str]]:
    return [(rejected.reason, rejected.detail) for rejected in made.rejections]


def test_a_reversal_is_linked_to_the_usage_it_names() -> None:
    event = reversal(0, 3 * MICRO, ID)
    made = judge(event, facts=known(STORED))
    assert (made.rows, made.links, made.rejections) == ((event,), (Link(100, 7, 3 * MICRO),), ())


def test_a_batch_may_hold_the_usage_behind_its_reversal() -> None:
    """Accounts are read first; the reversal is planned behind the usage all the same."""
    used, event = usage(0, event_id=ID), reversal(0, 100_000, ID)
    made = judge(event, used, opened(1, account_id="acc-2"), first=5)
    assert [row.event_id for row in made.rows[1:]] == [ID, event.event_id]
    assert made.links == (Link(7, 6, 100_000),)


def test_a_uuid_is_one_id_in_any_case() -> None:
    uuid = "019b76da-a800-79ab-aa7b-5bf55eb561a4"
    made = judge(reversal(0, 1, uuid.upper()), facts=known(STORED, id=uuid))
    assert made.rejections == () and len(made.links) == 1


@pytest.mark.parametrize("left", [0, 4 * MICRO, 10 * MICRO])
def test_more_than_is_left_is_rejected_and_says_how_much_is_left(left: int) -> None:
    made = judge(reversal(0, 11 * MICRO, ID), facts=known(STORED._replace(left=left)))
    detail = {
        0: "all of its 10 model credits were reversed before",
        4 * MICRO: "of its 10 model credits only 4 can still be reversed",
        10 * MICRO: "no more than its 10 model credits can be reversed",
    }[left]
    assert reasons(made) == [(Reason.REVERSES_TOO_MUCH, detail)] and made.rows == ()


def test_two_reversals_in_one_batch_share_what_is_left() -> None:
    made = judge(
        reversal(0, 6 * MICRO, ID), reversal(1, 6 * MICRO, ID), reversal(2, 4 * MICRO, ID), facts=known(STORED)
    )
    assert [link.amount for link in made.links] == [6 * MICRO, 4 * MICRO]
    assert reasons(made) == [(Reason.REVERSES_TOO_MUCH, "of its 10 model credits only 4 can still be reversed")]


def test_another_resource_is_rejected() -> None:
    made = judge(reversal(0, MICRO, ID, resource=2), facts=known(STORED))
    assert reasons(made) == [(Reason.REVERSES_OTHER_RESOURCE, "that event is 10 model credits")]


def test_where_several_sources_fit_the_source_says_which() -> None:
    both = known(STORED, STORED._replace(position=8, source="/example/tools"))
    made = judge(reversal(0, MICRO, ID), facts=both)
    detail = "id 'request-1' of account acc-1 was used by 2 sources: '/example/gateway', '/example/tools'"
    assert reasons(made) == [(Reason.REVERSES_AMBIGUOUS, detail)]
    made = judge(reversal(0, MICRO, ID, reverses_source="/example/tools"), facts=both)
    assert made.links == (Link(100, 8, MICRO),)
    made = judge(reversal(0, MICRO, ID, reverses_source="/example/other"), facts=both)
    assert reasons(made)[0][0] is Reason.REVERSES_UNKNOWN


def test_usage_of_another_account_is_unknown() -> None:
    made = judge(reversal(0, 1, ID, account_id="acc-2"), usage(0, event_id=ID))
    assert reasons(made) == [(Reason.REVERSES_UNKNOWN, "id 'request-1' of account acc-2 is no usage")]


def test_an_event_of_an_item_is_no_usage_though_it_has_the_id() -> None:
    """In the same batch, as in an earlier one. It has no resource, and once ended the meter."""
    item = usage(0, type=ITEM_CODE, resource=None, amount=0, event_id=ID, source="/example/catalogue")
    alone = judge(reversal(0, MICRO, ID), item)
    assert reasons(alone) == [(Reason.REVERSES_UNKNOWN, f"id {ID!r} of account acc-1 is no usage")]
    assert len(judge(reversal(0, MICRO, ID), item, usage(1, event_id=ID, amount=MICRO)).links) == 1


def test_a_fault_of_ours_costs_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the shard: it would meet the record at every start."""

    def fail(*_: object) -> bool:
        raise KeyError(0)

    monkeypatch.setattr("meter.settle.is_same", fail)
    monkeypatch.setattr("meter.corrections.reversed_name", fail)
    used, others = usage(0, event_id=ID), [usage(2), reversal(0, 1, ID), granted(1, 5)]
    stored = {used.key: content_of(used)}
    made = settle(plan(used, usage(1, event_id=ID), usage(2), allowance=NOTHING), stored)
    assert reasons(made) == [(Reason.UNSTORABLE, "the check failed: KeyError: 0")] * 2
    assert [row.offset for row in made.rows] == [2]
    monkeypatch.setattr("meter.corrections.names_wanted", lambda _: [])
    corrected = judge(*others)
    assert reasons(corrected) == [(Reason.UNSTORABLE, "the check failed: KeyError: 0")]
    assert len(corrected.rows) == 2


def test_while_usage_is_to_be_read_an_unknown_event_is_waited_for() -> None:
    event = reversal(0, 1, ID)
    made = judge(event, usage(0), usage_end=2)
    assert (made.rejections, made.links) == ((), ()) and event not in made.rows
    [wait] = made.waiting
    assert (wait.record.offset, wait.account_id, wait.event_id) == (0, "acc-1", event.event_id)
    assert (wait.reverses, wait.usage_end) == (ID, 2)
    read = judge(event, usage(0), usage_end=1)
    assert read.waiting == () and reasons(read)[0][0] is Reason.REVERSES_UNKNOWN


@pytest.mark.parametrize(
    ("seen", "ends", "usage_end", "waits"),
    [
        ("", (1, 9), 1, (1, 9)),
        ("", (), 2, ()),
        ("", (), 1, None),
        ("/others", (1, 99), 2, ()),  # however much comes meanwhile
        ("/others", (1, 99), 1, None),
        ("/all", (2, 99), 2, None),
    ],
)
def test_usage_of_other_partitions_is_waited_for_once(
    seen: str, ends: tuple[int, ...], usage_end: int, waits: tuple[int, ...] | None
) -> None:
    event = reversal(0, 100_000, ID)
    made = plan(event, usage(0), allowance=NOTHING, usage_end=usage_end, usage_ends=ends)
    header = (WAITED_HEADER, f"0/7{seen}".encode())
    made = replace(made, records={**made.records, ACCOUNTS: [record(ACCOUNTS, 0, headers=[header])]})
    judged = settle_corrections(settle(made, {}), Facts(), {}, 100)
    assert [wait.usage_ends for wait in judged.waiting] == ([] if waits is None else [waits])
    assert [reason for reason, _ in reasons(judged)] == ([Reason.REVERSES_UNKNOWN] if waits is None else [])


def test_what_is_known_does_not_wait() -> None:
    assert judge(reversal(0, 1, ID), facts=known(STORED), usage_end=9).waiting == ()
    too_much = judge(reversal(0, 11 * MICRO, ID), facts=known(STORED), usage_end=9)
    assert too_much.waiting == () and too_much.rejections


def test_a_repeat_counts_once_and_another_content_is_rejected() -> None:
    event = reversal(0, MICRO, ID)
    again, other = event._replace(offset=1), reversal(2, 2 * MICRO, ID, event_id=event.event_id)
    made = judge(event, again, other, facts=known(STORED))
    assert made.rows == (event,) and [repeat.offset for repeat in made.repeats] == [1]
    assert reasons(made)[0][0] is Reason.ID_REUSED
    stored = settle_corrections(plan(again), known(STORED), {event.key: content_of(event)}, 1)
    assert stored.rows == () and [repeat.offset for repeat in stored.repeats] == [1]


def test_the_repeat_of_a_refused_reversal_is_refused_too() -> None:
    event = reversal(0, 11 * MICRO, ID)
    made = judge(event, event._replace(offset=1), facts=known(STORED))
    assert made.repeats == () and [reason for reason, _ in reasons(made)] == [Reason.REVERSES_TOO_MUCH] * 2


def test_each_correction_that_the_database_refuses_is_refused_for_itself() -> None:
    event = reversal(0, MICRO, ID)
    made = replace(plan(event, event._replace(offset=1)), faults={(ACCOUNTS, 0): "NUL", (ACCOUNTS, 1): "NUL"})
    made = settle_corrections(settle(made, {}), known(STORED), {}, 1)
    assert (made.rows, made.links, made.repeats) == ((), (), ())
    assert [reason for reason, _ in reasons(made)] == [Reason.UNSTORABLE] * 2


# --- revocations -----------------------------------------------------------------------------------------------------


INVOICED = GRANT._replace(reference="INV-1042")


@pytest.mark.parametrize(
    ("stored", "event", "reason", "detail"),
    [
        ([], revoked(0, 1), Reason.REVOKES_TOO_MUCH, "no model credits were granted to acc-1"),
        ([GRANT], revoked(0, 101 * MICRO), Reason.REVOKES_TOO_MUCH,
         "no more than the 100 model credits granted to acc-1 can be taken back"),
        ([GRANT], revoked(0, MICRO, resource=2), Reason.REVOKES_TOO_MUCH, "no tool runs were granted to acc-1"),
        ([FREE, INVOICED], revoked(0, 101 * MICRO, revokes="order-1"), Reason.REVOKES_TOO_MUCH,
         "no more than the 100 model credits of grant 'order-1' (reference 'INV-1042') can be taken back"),
        ([GRANT], revoked(0, 1, revokes="order-2"), Reason.REVOKES_UNKNOWN, "'order-2' of account acc-1 is no"),
        ([GRANT, GRANT], revoked(0, 1, revokes="order-1"), Reason.REVOKES_AMBIGUOUS, "is 2 grants"),
        ([GRANT], revoked(0, MICRO, 2, revokes="order-1"), Reason.REVOKES_OTHER_RESOURCE, "is of 100 model credits"),
    ],
)  # fmt: skip
def test_a_revocation_of_what_is_not_there_is_rejected(
    stored: Sequence[Move], event: Accepted, reason: Reason, detail: str
) -> None:
    made = judge(event, facts=moves(*stored))
    [(found, text)] = reasons(made)
    assert found is reason and detail in text and made.rows == ()


def test_what_was_taken_back_is_not_left() -> None:
    """By name or not: together never more than all, by name never more than the grant."""
    named = Move(False, "r", 1, 60 * MICRO, "order-1")
    stored = moves(FREE, GRANT, named)
    assert reasons(judge(revoked(0, 41 * MICRO, revokes="order-1"), facts=stored))
    assert not reasons(judge(revoked(0, 40 * MICRO, revokes="order-1"), facts=stored))
    assert not reasons(judge(revoked(0, 115 * MICRO), facts=stored))
    assert reasons(judge(revoked(0, 116 * MICRO), facts=stored))
    unnamed = Move(False, "r", 1, 150 * MICRO, None)
    assert not reasons(judge(revoked(0, 25 * MICRO, revokes="order-1"), facts=moves(FREE, GRANT, unnamed)))
    assert reasons(judge(revoked(0, 26 * MICRO, revokes="order-1"), facts=moves(FREE, GRANT, unnamed)))


def test_revocations_that_had_no_bound_took_at_most_all() -> None:
    """Stored before the rule: 100 of 75 taken back, then 100 granted. 100 are left, not 75."""
    stored = moves(FREE, Move(False, "r", 1, 100 * MICRO, None), GRANT)
    assert not reasons(judge(revoked(0, 100 * MICRO), facts=stored))
    assert reasons(judge(revoked(0, 101 * MICRO), facts=stored))


def test_a_batch_may_hold_grant_and_revocation() -> None:
    grant = granted(0, 5 * MICRO, event_id="order-9")
    made = judge(grant, revoked(1, 5 * MICRO, revokes="order-9"), revoked(2, 1, revokes="order-9"))
    assert [row.offset for row in made.rows] == [0, 1]
    [(reason, text)] = reasons(made)
    assert reason is Reason.REVOKES_TOO_MUCH and text.startswith("all of the 5 model credits of grant 'order-9' ")
    assert text.endswith(" were taken back before")


def test_a_grant_behind_a_revocation_does_not_count_for_it() -> None:
    """It might as well have come in the next batch; tests/unit/meter/test_cuts.py cuts everywhere."""
    made = judge(revoked(0, 5 * MICRO), granted(1, 5 * MICRO), revoked(2, 5 * MICRO))
    assert [row.offset for row in made.rows] == [1, 2]
    [(reason, _)] = reasons(made)
    assert reason is Reason.REVOKES_TOO_MUCH
