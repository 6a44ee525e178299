"""The parts of the harness that can be held to account without servers."""

from array import array
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from schemas.parsing.parse import parse
from schemas.records import Accepted, Limits, Record, Rejected
from schemas.topics import partition_for
from tests.bench.events import MICRO
from tests.faults.load import CONTENT_TYPE
from tests.faults.oracle.books import Book, lines_of
from tests.faults.oracle.corrections import REJECTED, WAITING, Corrections
from tests.faults.oracle.findings import Findings
from tests.faults.oracle.offsets import GAP, REPEAT, STORED, OffsetCheck, name, wanted_outcome
from tests.faults.oracle.published import check_percent
from tests.faults.schedule import USUAL_MIX, Focus, make_schedule
from tests.faults.truth import GARBAGE, REVERSED, TYPES, USAGE, Message, Truth, number_of
from tests.faults.world import Shares, World

PARTITIONS = 4


def test_a_seed_gives_the_same_schedule_again() -> None:
    first, second = (list(islice(make_schedule(7, 1.0), 500)) for _ in range(2))
    assert first == second
    assert first != list(islice(make_schedule(8, 1.0), 500))
    assert {fault.kind for fault in first} == set(USUAL_MIX)


def test_a_focus_narrows_the_schedule() -> None:
    focus = Focus({"point_kill": 1}, services=("meter",), fault_points=("in_copy",))
    faults = list(islice(make_schedule(7, 1.0, focus), 50))
    assert {(fault.kind, fault.target, fault.point) for fault in faults} == {("point_kill", "meter", "in_copy")}


def make_acknowledged(world: World, count: int) -> Iterator[Message]:
    for _ in range(count):
        message = world.make()
        world.note_acknowledged(message)
        yield message


def test_the_product_reads_the_world_as_its_truth_says() -> None:
    world = World(events=4000, accounts=60, seed=3, shares=Shares(changes=0.02, closings=0.02))
    messages = [*world.openings(), *make_acknowledged(world, 4000)]
    limits = Limits(max_ahead=timedelta(hours=1), partitions=PARTITIONS)
    kinds = set()
    for offset, message in enumerate(messages):
        partition = partition_for(message.key, PARTITIONS)
        record = Record(message.topic, partition, offset, 0, message.key, message.value, [CONTENT_TYPE])
        result = parse(record, datetime.now(UTC), limits)
        if message.number == GARBAGE:
            assert isinstance(result, Rejected), message.value
            continue
        assert isinstance(result, Accepted), (message.value, result)
        number, truth = number_of(bytes.fromhex(result.event_id.replace("-", ""))), world.truth
        assert number == message.number
        assert (result.type, result.resource or 0, result.amount) == (
            *(truth.kinds[number], truth.resources[number]),
            truth.amounts[number],
        )
        assert result.account_id == world.accounts[truth.accounts[number]].name
        kinds.add(result.type)
    assert kinds == set(TYPES)


def test_a_seed_gives_the_same_amounts_again() -> None:
    worlds = [World(events=1000, accounts=40, seed=5) for _ in range(2)]
    for world in worlds:
        list(make_acknowledged(world, 1000))
    assert worlds[0].truth.amounts == worlds[1].truth.amounts
    assert worlds[0].truth.kinds == worlds[1].truth.kinds


# --- the reference ----------------------------------------------------------------------------------------------------


def test_an_exact_hit_counts_and_an_epoch_starts_afresh() -> None:
    book = Book()
    book.open(75 * MICRO)
    book.use(75 * MICRO // 2)
    assert lines_of(book) == {(1, "banner", 20): False, (1, "banner", 50): False, (1, "email", 50): False}
    book.use(75 * MICRO // 2)
    assert (book.percent, book.banner) == (100, 100)
    book.grant(100 * MICRO)
    assert (book.epoch, book.base, book.allocation, book.used) == (2, 75 * MICRO, 100 * MICRO, 0)
    assert book.banner is None


def test_a_top_up_seeds_what_is_true_at_its_start() -> None:
    book = Book()
    book.open(75 * MICRO)
    book.use(70 * MICRO)
    book.grant(100 * MICRO)
    assert (book.allocation, book.used) == (175 * MICRO, 70 * MICRO)
    assert {line for line, seeded in lines_of(book).items() if line[0] == 2 and seeded} == {(2, "banner", 20)}


def test_a_peak_before_a_reversal_counts() -> None:
    book = Book()
    book.open(100 * MICRO)
    book.use(60 * MICRO)
    book.reverse(50 * MICRO)
    assert (1, "email", 50) in lines_of(book) and book.banner is None


def test_a_reversal_behind_the_start_of_an_epoch_begins_another() -> None:
    book = Book()
    book.open(75 * MICRO)
    book.use(80 * MICRO)
    book.grant(100 * MICRO)
    book.reverse(20 * MICRO)
    assert (book.epoch, book.allocation, book.used) == (3, 175 * MICRO, 60 * MICRO)


def test_a_revocation_cuts_what_was_granted() -> None:
    book = Book()
    book.open(75 * MICRO)
    book.grant(100 * MICRO)
    book.use(80 * MICRO)
    book.revoke(100 * MICRO)
    assert (book.epoch, book.allocation, book.used, book.banner) == (3, 0, 5 * MICRO, 100)


def test_a_grant_before_the_opening_is_kept() -> None:
    book = Book()
    book.grant(100 * MICRO)
    assert book.epoch == 0 and lines_of(book) == {}
    book.open(75 * MICRO)
    assert (book.epoch, book.allocation) == (1, 175 * MICRO)


def test_a_closed_account_may_spend_nothing_and_shows_no_banner() -> None:
    book = Book()
    book.close()
    assert not book.closed  # what was never opened cannot be closed
    book.open(75 * MICRO)
    book.use(40 * MICRO)
    assert book.allowed and book.banner == 50
    book.close()
    book.use(20 * MICRO)
    assert not book.allowed and book.banner is None and (1, "email", 80) in lines_of(book)
    book.reopen()
    assert book.allowed and book.banner == 80


# --- the oracle -------------------------------------------------------------------------------------------------------


def test_what_an_offset_must_be() -> None:
    seen: set[int] = set()
    assert [wanted_outcome(number, seen) for number in (4, 5, 4, GARBAGE, -2)] == [
        *(STORED, STORED, REPEAT, REJECTED),
        GAP,
    ]


@pytest.mark.parametrize(
    ("outcomes", "counter"),
    [
        ((), "lost"),
        ((REPEAT,), "lost"),
        ((GAP,), "lost"),
        ((STORED, REPEAT), "doubled"),
        ((STORED, STORED), "doubled"),
    ],
    ids=lambda value: "+".join(map(name, value)) or "nothing" if isinstance(value, tuple) else value,
)
def test_an_offset_that_is_not_what_it_must_be(outcomes: tuple[int, ...], counter: str) -> None:
    world, findings = World(events=100, accounts=20, seed=1), Findings()
    check = OffsetCheck(world, {(USAGE, 0): array("q", [world.make().number])}, findings)
    for outcome in outcomes:
        check._mark((USAGE, 0), 0, outcome)
    check._judge_offsets()
    assert findings.counts[counter] == 1 and not findings.clean


def test_usage_is_reversed_once() -> None:
    """10 used; 7 and 4 are reversed: one of the two may be refused, not both, and not both stored."""
    truth = Truth()
    used = truth.add(1, 0, 1, 10)
    first, second = (truth.add(REVERSED, 0, 1, amount, used) for amount in (7, 4))
    for stored, fair, counted in (((first,), True, 0), ((first, second), True, 1), ((), False, 0)):
        findings = Findings()
        corrections = Corrections(truth, bytearray(number in (used, *stored) for number in range(3)))
        for number in stored:
            corrections.take(number)
        corrections.judge(findings)
        assert corrections.may_be_refused(second) is fair
        assert corrections.may_end_as(second, REJECTED) is (second not in stored)
        assert corrections.may_end_as(second, WAITING) and not corrections.may_end_as(used, WAITING)
        assert findings.counts["doubled"] == counted


@pytest.mark.parametrize(
    ("used", "allocation", "percent", "found"),
    [
        ("74.999", "75", 99, 0),
        ("74.999", "75", 100, 1),
        ("75", "75", 100, 0),
        ("-1", "75", 0, 0),
        ("5", "0", 100, 0),
        ("-5", "0", 0, 0),
    ],
)
def test_a_published_percent_is_rounded_down(used: str, allocation: str, percent: int, found: int) -> None:
    findings = Findings()
    data = {"account_id": "acct-1", "resource": "model_credits", "consumed": used, "allocation": allocation}
    check_percent(data | {"percent": percent}, findings)
    assert findings.counts["notices_doubled"] == found


def test_findings_are_counted_in_full_and_listed_in_part() -> None:
    findings = Findings()
    for number in range(100):
        findings.add("lost", "event not stored", f"number {number}")
    assert findings.counts["lost"] == 100 and len(findings.listed) < 10
    assert next(findings.lines()) == "lost: 100 × event not stored"
    with pytest.raises(ValueError):
        findings.add("mislaid", "event", "")
