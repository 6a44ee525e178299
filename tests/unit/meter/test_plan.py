"""The plan: every offset of a batch ends as exactly one of row, repeat, rejection, gap."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.allowance import Allowance
from meter.content import Content, content_of
from meter.plan import AppendPlan, Gap, Offsets, Repeat, find_record
from meter.settle import settle
from schemas.amounts import MICRO
from schemas.events import CODES
from schemas.reasons import Reason
from schemas.records import Accepted, Record, Rejected, Remark, Remarked
from schemas.topics import ACCOUNTS, USAGE
from tests.contract.rows import GRANTED, MOMENT, opened, plan, record, rejected, usage

NOON = MOMENT.replace(hour=12)


def test_accounts_come_before_usage() -> None:
    """A grant that waits beside usage counts before it; within a topic the order is Kafka's."""
    made = plan(usage(0), usage(1), opened(0), opened(1, account_id="acc-2"), allowance=Allowance(0, 0))
    assert [(row.topic, row.offset) for row in made.rows] == [(ACCOUNTS, 0), (ACCOUNTS, 1), (USAGE, 0), (USAGE, 1)]


def test_what_is_left_out_of_an_account_is_remarked_with_its_row() -> None:
    """Of usage it is only counted; and an event that is stored already is not remarked again."""
    left_out = (Remark("contacts[1]", "is not one plain email address"),)
    opening, used = opened(0), usage(0)
    made = plan(Remarked(used, left_out), Remarked(opening, left_out), opened(1, account_id="acc-2"))
    assert {row.offset for row in made.rows if row.topic == ACCOUNTS} == {0, 1} and used in made.rows
    assert [tuple(row) for row in made.remarks()] == [(ACCOUNTS, 0, opening.account_id, *left_out[0])]
    assert len(made.remarked) == 2
    assert settle(made, known(opening)).remarks() == []


def test_offsets_are_the_range_of_the_batch() -> None:
    made = plan(usage(7), start=(5, 3), end=(9, 3))
    assert (made.expected, made.following) == (Offsets(5, 3), Offsets(9, 3))


def repeat(row: Accepted) -> Repeat:
    return Repeat(row.topic, row.offset, row.event_id, row.key)


def known(*rows: Accepted) -> dict[bytes, Content]:
    return {row.key: content_of(row)._replace(place="position 17, recorded 2026-03-01 12:00:00 UTC") for row in rows}


def test_the_first_of_repeated_ids_is_kept() -> None:
    first = usage(0)
    again = [usage(offset, event_id=first.event_id, occurred_at=NOON, extensions="{}") for offset in (1, 2)]
    made = settle(plan(first, *again), {})
    assert made.rows == (first,) and made.rejections == ()
    assert made.repeats == tuple(map(repeat, again))


def test_an_id_used_for_something_else_is_rejected_with_both() -> None:
    """Usage of 10, then of 60, with one id: the second is no silent duplicate."""
    first = usage(0, event_id="order-7", amount=10 * MICRO)
    made = settle(plan(first, usage(1, event_id="order-7", amount=60 * MICRO)), {})
    assert made.rows == (first,) and made.repeats == ()
    [bad] = made.rejections
    assert (bad.record.offset, bad.reason) == (1, Reason.ID_REUSED)
    assert bad.detail == (
        "id 'order-7' of source '/example/gateway' belongs to usage.model_inference.v1, 10 model_credits, 'large', "
        "at offset 0 of metering.usage; this record, usage.model_inference.v1, 60 model_credits, 'large', is "
        "not counted"
    )


def test_an_id_of_a_stored_event_used_for_something_else_is_rejected_with_both() -> None:
    stored = usage(0, event_id="order-7", amount=10 * MICRO)
    made = settle(plan(usage(1, event_id="order-7", amount=60 * MICRO)), known(stored))
    assert made.rows == () and made.repeats == ()
    [bad] = made.rejections
    assert bad.reason is Reason.ID_REUSED
    assert "10 model_credits, 'large', position 17, recorded 2026-03-01 12:00:00 UTC" in bad.detail
    assert "60 model_credits" in bad.detail


def test_what_is_stored_decides_wherever_the_batch_was_cut() -> None:
    """10 is stored; 60 and 10 come together: the 60 is rejected, the 10 a repeat, as if they had come one by one."""
    stored, other, same = (usage(n, event_id="x", amount=amount) for n, amount in enumerate((10, 60, 10)))
    made = settle(plan(other, same), known(stored))
    assert made.rows == () and made.repeats == (repeat(same),)
    assert [bad.record.offset for bad in made.rejections] == [other.offset]


@pytest.mark.parametrize(
    "changes",
    [{"source": "/example/guardrails"}, {"account_id": "acc-2"}, {"event_id": "ORDER-7"}],
    ids=["source", "account", "case"],
)
def test_another_identity_is_another_event(changes: dict[str, str]) -> None:
    rows = usage(0, event_id="order-7"), usage(1, **({"event_id": "order-7"} | changes))
    assert settle(plan(*rows), known(usage(2, event_id="order-7", account_id="acc-9"))).rows == rows


def test_usage_with_the_id_of_an_opening_blocks_nothing() -> None:
    """The topic is part of the identity: a usage producer cannot take a place on the other topic."""
    thief = usage(0, event_id="open-1")
    account = opened(0, event_id="open-1")
    made = settle(plan(thief, account, allowance=Allowance(0, 0)), known(usage(5, event_id="open-1", amount=250_000)))
    assert made.rows == (account,) and made.repeats == (repeat(thief),)


GRANT = '{"resource":"model_credits","amount":"100","reason":"top_up","reference":"o-7"}'


@pytest.mark.parametrize(
    ("data", "same"),
    [
        (GRANT, True),
        (GRANT.replace(":", ": "), True),
        ('{"reference":"o-7","reason":"top_up","amount":"100","resource":"model_credits"}', True),
        (GRANT.replace("o-7", "o-8"), False),
        (GRANT[:-1] + ',"note":1}', False),
    ],
)
def test_of_other_types_all_data_counts(data: str, same: bool) -> None:
    grant = opened(0, type=GRANTED, resource=1, amount=100 * MICRO, name="top_up", data=GRANT)
    again = grant._replace(offset=1, data=data)
    made = settle(plan(again, start=(0, 1)), known(grant))
    assert (len(made.repeats), len(made.rejections)) == ((1, 0) if same else (0, 1))
    assert same or " with " in made.rejections[0].detail


def test_an_order_number_on_a_plan_change_and_a_grant_loses_nothing_silently() -> None:
    change = opened(0, event_id="o-7", type=CODES["account.plan_changed.v1"], name="team", data='{"plan":"team"}')
    grant = opened(1, event_id="o-7", type=GRANTED, resource=1, amount=MICRO, name="top_up", data=GRANT)
    made = settle(plan(change, grant), {})
    assert made.rows == (change,) and [bad.reason for bad in made.rejections] == [Reason.ID_REUSED]


def test_gaps_are_what_no_record_covers() -> None:
    made = plan(usage(2), rejected(USAGE, 3), usage(6), start=(0, 0), end=(9, 4))
    assert made.gaps == (Gap(ACCOUNTS, 0, 4), Gap(USAGE, 0, 2), Gap(USAGE, 4, 6), Gap(USAGE, 7, 9))
    assert made.gap_offsets() == 4 + 2 + 2 + 2


def test_known_events_become_repeats() -> None:
    rows = [usage(0), usage(1)]
    made = settle(plan(*rows), known(rows[0]))
    assert made.rows == (rows[1],) and made.repeats == (repeat(rows[0]),)


def test_neighbours_that_no_replay_can_help_become_one_rejection() -> None:
    flood = [rejected(USAGE, offset, Reason.EMPTY, value=None) for offset in range(5)]
    other = [
        rejected(USAGE, 5),
        rejected(USAGE, 6),
        rejected(USAGE, 8, Reason.EMPTY),
        rejected(ACCOUNTS, 0, Reason.EMPTY),
    ]
    made = plan(*flood, *other, start=(0, 0), end=(9, 1))
    assert [(r.record.topic, r.record.offset, r.beyond, r.reason) for r in made.rejections] == [
        (ACCOUNTS, 0, 1, Reason.EMPTY),
        (USAGE, 0, 5, Reason.EMPTY),
        (USAGE, 5, 6, Reason.NOT_JSON),
        (USAGE, 6, 7, Reason.NOT_JSON),
        (USAGE, 8, 9, Reason.EMPTY),
    ]
    assert made.rejections[1].detail == "5 records; of the first: it is no JSON"
    assert (sum(made.rejected_by_reason().values()), made.gaps) == (9, (Gap(USAGE, 7, 8),))


def test_what_no_client_could_read_covers_its_offsets() -> None:
    unread = [rejected(USAGE, 1, Reason.UNDECODABLE)._replace(to_offset=4), rejected(USAGE, 6, Reason.UNDECODABLE)]
    made = plan(usage(0), usage(4), end=(8, 0), unread={USAGE: unread})
    assert [(r.record.offset, r.beyond) for r in made.rejections] == [(1, 4), (6, 7)]
    assert made.gaps == (Gap(USAGE, 5, 6), Gap(USAGE, 7, 8))


# --- properties -----------------------------------------------------------------------------------------------------

IDS = [f"00000000-0000-4000-8000-{n:012d}" for n in range(6)]


@st.composite
def plans(draw: st.DrawFn) -> AppendPlan:
    """Any mix of records, holes, repeated ids and openings on both topics."""
    results: list[Accepted | Rejected] = []
    ends, unread = {}, {}
    for topic, make in ((USAGE, usage), (ACCOUNTS, opened)):
        kinds = draw(st.lists(st.sampled_from(["good", "bad", "empty", "hole", "unread"]), max_size=8))
        unread[topic] = [rejected(topic, n, Reason.UNDECODABLE) for n, kind in enumerate(kinds) if kind == "unread"]
        for offset, kind in enumerate(kinds):
            if kind == "good":
                results.append(
                    make(offset, event_id=draw(st.sampled_from(IDS)), account_id=draw(st.sampled_from("ab")))
                )
            elif kind in ("bad", "empty"):
                results.append(rejected(topic, offset, Reason.EMPTY if kind == "empty" else Reason.NOT_JSON))
        ends[topic] = len(kinds)
    return plan(*results, end=(ends[USAGE], ends[ACCOUNTS]), unread=unread)


def outcomes(made: AppendPlan) -> list[tuple[str, int]]:
    places = [(row.topic, row.offset) for row in made.rows if row.key not in made.derived]
    places += [(repeat.topic, repeat.offset) for repeat in made.repeats]
    places += [(bad.record.topic, n) for bad in made.rejections for n in range(bad.record.offset, bad.beyond)]
    places += [(gap.topic, n) for gap in made.gaps for n in range(gap.from_offset, gap.to_offset)]
    return sorted(places)


def all_offsets(made: AppendPlan) -> list[tuple[str, int]]:
    usage_range = range(made.expected.usage, made.following.usage)
    accounts_range = range(made.expected.accounts, made.following.accounts)
    return sorted([(USAGE, n) for n in usage_range] + [(ACCOUNTS, n) for n in accounts_range])


@st.composite
def stored(draw: st.DrawFn) -> dict[bytes, Content]:
    """What may be in the store: some of these ids, with the same content or another."""
    rows: list[Accepted] = []
    for make in (usage, opened):
        for event_id in draw(st.sets(st.sampled_from(IDS))):
            row = make(99, event_id=event_id, account_id=draw(st.sampled_from("ab")))
            rows.append(row._replace(name=draw(st.sampled_from([row.name, "another"]))))
    return known(*rows)


@given(plans(), stored(), st.data())
def test_every_offset_ends_once(made: AppendPlan, known: dict[bytes, Content], data: st.DataObject) -> None:
    settled = settle(made, known)
    assert outcomes(settled) == all_offsets(made)
    events = [(event.topic, event.offset) for event in (*made.rows, *made.again)]
    faulty = data.draw(st.sets(st.sampled_from(events)) if events else st.just(set()))
    left = settle(replace(made, faults=dict.fromkeys(faulty, "why")), known)
    assert outcomes(left) == all_offsets(made)
    assert faulty.isdisjoint((row.topic, row.offset) for row in left.rows)


@given(plans(), stored())
def test_identities_of_rows_are_new_and_unique(made: AppendPlan, known: dict[bytes, Content]) -> None:
    keys = [row.key for row in settle(made, known).rows]
    assert len(set(keys)) == len(keys) and not known.keys() & set(keys)


@given(plans())
def test_an_account_gets_its_free_grants_once(made: AppendPlan) -> None:
    accounts = {row.account_id for row in made.rows if row.type == 10}
    granted = [(row.account_id, row.resource) for row in made.rows if row.key in made.derived]
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
