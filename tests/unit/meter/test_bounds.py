"""What is refused or repeated beyond a rate: no offset is lost, and no byte of what a replay may help."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.bounds import ROW_BYTES, Room, bound_evidence, ranges_of, weigh_evidence, without_copies
from meter.packing import unpack
from meter.plan import AppendPlan
from meter.settle import settle
from schemas.reasons import Reason
from schemas.records import MAX_EVENT_BYTES, OffsetRanges, Rejected
from schemas.topics import ACCOUNTS, USAGE
from tests.contract.rows import MOMENT, plan, rejected, rerouted, usage

OUTCOMES = st.sampled_from(["event", "repeat", "not_json", "key_mismatch", "empty"])


def make(kinds: list[str], room: int | None) -> AppendPlan:
    first = usage(0, event_id="first")
    results: list[object] = [first]
    for offset, kind in enumerate(kinds, 1):
        if kind == "event":
            results.append(usage(offset))
        elif kind == "repeat":
            results.append(first._replace(offset=offset))
        else:
            results.append(rejected(USAGE, offset, value=b"%d" % offset)._replace(reason=Reason(kind)))
    return settle(plan(*results, room=room), {})  # type: ignore[arg-type]


def spread(rejection: Rejected) -> list[int]:
    ranges: OffsetRanges = rejection.offsets or ((rejection.record.offset, rejection.beyond),)
    return [offset for begin, to in ranges for offset in range(begin, to)]


@given(st.lists(OUTCOMES, max_size=60))
def test_each_offset_has_the_outcome_that_it_had(kinds: list[str]) -> None:
    before, after = make(kinds, None), bound_evidence(make(kinds, 0))
    assert after.rejected_by_reason() == before.rejected_by_reason()
    assert after.repeated() == before.repeated() == kinds.count("repeat")
    for reason in Reason:
        was = sorted(o for r in before.rejections if r.reason is reason for o in spread(r))
        assert sorted(o for r in after.rejections if r.reason is reason for o in spread(r)) == was
    ranges = [pair for repeat in after.repeats for pair in repeat.offsets or ((repeat.offset, repeat.offset + 1),)]
    assert [o for begin, to in ranges for o in range(begin, to)] == [r.offset for r in before.repeats]


@given(st.lists(OUTCOMES, max_size=60))
def test_the_bytes_of_each_refused_record_come_out_again(kinds: list[str]) -> None:
    packed = [rejection for rejection in bound_evidence(make(kinds, 0)).rejections if rejection.offsets]
    for rejection in packed:
        records = list(unpack(USAGE, 0, rejection.record.value or b""))
        # Of neighbours without an event the first alone is kept.
        firsts = {begin for begin, _to in rejection.offsets or ()}
        offsets = [record.offset for record in records]
        assert offsets == (sorted(firsts) if rejection.reason is Reason.EMPTY else spread(rejection))
        assert all(record.value == b"%d" % record.offset for record in records)
        assert rejection.record.offset == spread(rejection)[0] and rejection.beyond == spread(rejection)[-1] + 1


def test_what_fits_is_kept_record_by_record() -> None:
    made = make(["not_json"] * 50, None)
    size = weigh_evidence(made)
    assert bound_evidence(make(["not_json"] * 50, size)).rejections == made.rejections
    assert len(bound_evidence(make(["not_json"] * 50, size - 1)).rejections) == 1


def test_a_packed_row_has_the_key_that_all_have() -> None:
    same = [rejected(USAGE, offset, key=b"acc-1") for offset in range(9)]
    [one] = bound_evidence(plan(*same, room=0)).rejections
    assert one.record.key == b"acc-1"
    [one] = bound_evidence(plan(*same, rejected(USAGE, 9, key=b"acc-2"), room=0)).rejections
    assert one.record.key is None


def test_both_topics_have_rows_of_their_own() -> None:
    made = plan(*(rejected(topic, offset) for topic in (USAGE, ACCOUNTS) for offset in range(9)), room=0)
    assert [(r.record.topic, r.records) for r in bound_evidence(made).rejections] == [(ACCOUNTS, 9), (USAGE, 9)]


@pytest.mark.parametrize("large", ["value", "key", "headers"])
def test_of_a_large_original_the_beginning_is_kept_with_length_and_digest(large: str) -> None:
    big = bytes(1_000_000)
    sent = rejected(
        USAGE, 0, key=big if large == "key" else b"k", value=big if large == "value" else b"v",
        headers=[("h", big)] if large == "headers" else [],
    )._replace(reason=Reason.TOO_LARGE)  # fmt: skip
    [kept] = plan(sent).rejections
    record = kept.record
    size = len(record.key or b"") + len(record.value or b"") + sum(len(n) + len(v) for n, v in record.headers)
    assert size <= MAX_EVENT_BYTES
    assert (kept.length or 0) > 1_000_000 and len(kept.digest or b"") == 32


def test_what_may_be_an_event_is_kept_whole() -> None:
    sent = rejected(USAGE, 0, key=b"k" * 128, value=b"v" * MAX_EVENT_BYTES)
    assert plan(sent).rejections == (sent,)


def test_room_comes_back_within_a_minute_and_is_each_shard_s_own() -> None:
    room = Room(60 * ROW_BYTES)
    assert room.left(0, MOMENT) == 60 * ROW_BYTES
    room.use(0, 60 * ROW_BYTES, MOMENT)
    assert (room.left(0, MOMENT), room.left(1, MOMENT)) == (0, 60 * ROW_BYTES)
    assert room.left(0, MOMENT + timedelta(seconds=30)) == 30 * ROW_BYTES
    assert room.left(0, MOMENT + timedelta(hours=1)) == 60 * ROW_BYTES
    room.use(1, 600 * ROW_BYTES, MOMENT)
    assert room.left(1, MOMENT + timedelta(seconds=60)) < 0
    assert room.left(0, MOMENT - timedelta(days=1)) == 0


@given(st.sets(st.integers(0, 200)))
def test_ranges_hold_the_offsets_and_no_other(offsets: set[int]) -> None:
    ranges = ranges_of(sorted(offsets))
    assert {o for begin, to in ranges for o in range(begin, to)} == offsets
    assert all(before[1] < after[0] for before, after in pairwise(ranges))


def test_what_is_sent_on_has_a_row_for_each_account_and_source_and_copies_are_sent_once() -> None:
    same = [rerouted(USAGE, offset, value=b"same") for offset in (0, 1, 4)]
    other = rerouted(USAGE, 2, value=b"other")._replace(account_id="acc-2")
    made = bound_evidence(plan(*same[:2], other, same[2], room=0))
    assert made.moved is not None and len(made.rerouted) == 4
    assert [(each.account_id, each.offsets) for each in made.moved] == [("acc-1", ((0, 2), (4, 5))), ("acc-2", None)]
    assert [each.record.offset for each in without_copies(made.rerouted)] == [0, 2]


def test_batches_that_name_offsets_without_end_take_no_time() -> None:
    """One rejection stands for all of a batch that nobody can read, as many as its head says."""
    most = 2**31
    unread = [
        rejected(USAGE, offset)._replace(reason=Reason.UNDECODABLE, to_offset=offset + most, length=9, digest=b"d")
        for offset in (0, most, 3 * most)
    ]
    [one] = bound_evidence(plan(*unread, room=0)).rejections
    assert one.offsets == ((0, 2 * most), (3 * most, 4 * most)) and one.records == 3 * most
