"""The plan: every offset of a batch ends as exactly one of row, repeat, rejection, gap."""

from hypothesis import given
from hypothesis import strategies as st

from meter.allowance import Allowance, free_grant_id
from meter.plan import AppendPlan, Gap, Offsets, Repeat, find_record, without_known, without_unstorable
from schemas.amounts import MICRO
from schemas.reasons import Reason
from schemas.records import Accepted, Record, Rejected
from schemas.resources import Resource
from schemas.topics import ACCOUNTS, USAGE
from tests.contract.rows import opened, plan, record, rejected, usage


def test_accounts_come_before_usage() -> None:
    """A grant that waits beside usage counts before it; within a topic the order is Kafka's."""
    made = plan(usage(0), usage(1), opened(0), opened(1, account_id="acc-2"), allowance=Allowance(0, 0))
    assert [(row.topic, row.offset) for row in made.rows] == [(ACCOUNTS, 0), (ACCOUNTS, 1), (USAGE, 0), (USAGE, 1)]


def test_offsets_are_the_range_of_the_batch() -> None:
    made = plan(usage(7), start=(5, 3), end=(9, 3))
    assert (made.expected, made.following) == (Offsets(5, 3), Offsets(9, 3))


def test_the_first_of_repeated_ids_is_kept() -> None:
    first = usage(0)
    made = plan(first, usage(1, event_id=first.event_id, amount=7), usage(2, event_id=first.event_id))
    assert made.rows == (first,)
    assert made.repeats == (Repeat(USAGE, 1, first.event_id), Repeat(USAGE, 2, first.event_id))


def test_an_id_repeated_on_the_other_topic_is_a_repeat() -> None:
    account = opened(0)
    made = plan(account, usage(0, event_id=account.event_id), allowance=Allowance(0, 0))
    assert made.rows == (account,) and made.repeats == (Repeat(USAGE, 0, account.event_id),)


def test_gaps_are_what_no_record_covers() -> None:
    made = plan(usage(2), rejected(USAGE, 3), usage(6), start=(0, 0), end=(9, 4))
    assert made.gaps == (Gap(ACCOUNTS, 0, 4), Gap(USAGE, 0, 2), Gap(USAGE, 4, 6), Gap(USAGE, 7, 9))
    assert made.gap_offsets() == 4 + 2 + 2 + 2


def test_opening_brings_the_free_grants_right_behind_it() -> None:
    account = opened(4)
    made = plan(account, usage(0), start=(0, 4))
    rows = made.rows
    assert [(r.type, r.resource, r.amount, r.offset) for r in rows[:3]] == [
        (10, None, 0, 4), (13, 1, 75 * MICRO, 4), (13, 2, 10_000 * MICRO, 4),
    ]  # fmt: skip
    assert made.derived == {rows[1].event_id, rows[2].event_id}
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
    """A usage producer that works out the id of an account's grant gets a rejection, not the place."""
    thief = usage(0, event_id=free_grant_id("acc-1", Resource.MODEL_CREDITS), amount=0)
    made = plan(thief, usage(1), opened(0))
    assert [(row.type, row.resource) for row in made.rows] == [(10, None), (13, 1), (13, 2), (1, 1)]
    assert [(bad.record.offset, bad.reason) for bad in made.rejections] == [(0, Reason.INVALID_ID)]
    assert outcomes(made) == all_offsets(made)


def test_a_zero_allowance_grants_nothing() -> None:
    made = plan(opened(0), allowance=Allowance(0, 5 * MICRO))
    assert [(row.type, row.resource) for row in made.rows] == [(10, None), (13, 2)]


def test_known_ids_become_repeats() -> None:
    rows = [usage(0), usage(1)]
    made = without_known(plan(*rows), {rows[0].event_id})
    assert made.rows == (rows[1],) and made.repeats == (Repeat(USAGE, 0, rows[0].event_id),)


def test_a_known_opening_takes_its_grants_with_it() -> None:
    account = opened(0)
    made = without_known(plan(account), {account.event_id})
    assert made.rows == () and made.repeats == (Repeat(ACCOUNTS, 0, account.event_id),)


def test_known_free_grants_are_dropped_in_silence() -> None:
    account = opened(0)
    first = plan(account)
    made = without_known(first, first.derived)
    assert made.rows == (account,) and made.repeats == ()


def test_an_unstorable_opening_is_rejected_with_its_grants() -> None:
    account = opened(0)
    made = without_unstorable(plan(account, usage(0)), {(ACCOUNTS, 0): "why"})
    assert [row.topic for row in made.rows] == [USAGE]
    assert [(r.record.topic, r.record.offset, r.reason, r.detail) for r in made.rejections] == [
        (ACCOUNTS, 0, Reason.UNSTORABLE, "why")
    ]


# --- properties -----------------------------------------------------------------------------------------------------

IDS = [f"00000000-0000-4000-8000-{n:012d}" for n in range(6)]


@st.composite
def plans(draw: st.DrawFn) -> AppendPlan:
    """Any mix of records, holes, repeated ids and openings on both topics."""
    results: list[Accepted | Rejected] = []
    ends = {}
    for topic, make in ((USAGE, usage), (ACCOUNTS, opened)):
        kinds = draw(st.lists(st.sampled_from(["good", "bad", "hole"]), max_size=8))
        for offset, kind in enumerate(kinds):
            if kind == "good":
                results.append(
                    make(offset, event_id=draw(st.sampled_from(IDS)), account_id=draw(st.sampled_from("ab")))
                )
            elif kind == "bad":
                results.append(rejected(topic, offset))
        ends[topic] = len(kinds)
    return plan(*results, end=(ends[USAGE], ends[ACCOUNTS]))


def outcomes(made: AppendPlan) -> list[tuple[str, int]]:
    places = [(row.topic, row.offset) for row in made.rows if row.event_id not in made.derived]
    places += [(repeat.topic, repeat.offset) for repeat in made.repeats]
    places += [(bad.record.topic, bad.record.offset) for bad in made.rejections]
    places += [(gap.topic, n) for gap in made.gaps for n in range(gap.from_offset, gap.to_offset)]
    return sorted(places)


def all_offsets(made: AppendPlan) -> list[tuple[str, int]]:
    usage_range = range(made.expected.usage, made.following.usage)
    accounts_range = range(made.expected.accounts, made.following.accounts)
    return sorted([(USAGE, n) for n in usage_range] + [(ACCOUNTS, n) for n in accounts_range])


@given(plans(), st.sets(st.sampled_from(IDS)), st.data())
def test_every_offset_ends_once(made: AppendPlan, known: set[str], data: st.DataObject) -> None:
    assert outcomes(made) == all_offsets(made)
    settled = without_known(made, known)
    assert outcomes(settled) == all_offsets(made)
    faulty = data.draw(
        st.sets(st.sampled_from([(r.topic, r.offset) for r in settled.rows])) if settled.rows else st.just(set())
    )
    left = without_unstorable(settled, dict.fromkeys(faulty, "why"))
    assert outcomes(left) == all_offsets(made)


@given(plans(), st.sets(st.sampled_from(IDS)))
def test_ids_of_rows_are_new_and_unique(made: AppendPlan, known: set[str]) -> None:
    ids = without_known(made, known).ids()
    assert len(set(ids)) == len(ids) and not known & set(ids)


@given(plans())
def test_an_account_gets_its_free_grants_once(made: AppendPlan) -> None:
    accounts = {row.account_id for row in made.rows if row.type == 10}
    granted = [(row.account_id, row.resource) for row in made.rows if row.event_id in made.derived]
    assert sorted(granted) == sorted((account, resource) for account in accounts for resource in (1, 2))


class CountingRecords(list[Record]):
    """Counts how many records are looked at."""

    looks = 0

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        self.looks += 1
        return super().__getitem__(index)

    def __iter__(self):  # type: ignore[no-untyped-def]
        for index in range(len(self)):
            yield self[index]


def test_a_record_is_found_without_walking_through_the_batch() -> None:
    """Each of thousands of refused records is looked up: walking would hold up the heartbeats."""
    records = CountingRecords(record(USAGE, 3 * n) for n in range(4096))
    assert find_record({USAGE: records}, (USAGE, 3 * 4000)).offset == 12_000
    assert records.looks <= 14
