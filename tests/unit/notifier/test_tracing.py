"""From the change that reached a line to the letter that tells of it."""

from datetime import timedelta
from uuid import UUID

import pytest

from meter.runtime.clock import Clock
from meter.runtime.errors import TransientError
from meter.runtime.tracing import NO_TRACES, Span, TraceParent
from notifier.letters import Reached, Shown
from notifier.mail.tracing import LetterTraces
from notifier.mail.verdict import Judgement, Verdict
from notifier.model import ContactsChanged, Draft, EmailRow, LetterStep, LineMoved, LineTrace, NotifyPlan
from notifier.store.port import ClaimedEmail
from notifier.tracing import letter_parents, notice_spans, trace_lines
from schemas.records import Record
from tests.unit.notifier.builders import ACCOUNT, AT, account, encode_change, percent, record
from tests.unit.notifier.fakes import FakeClock

A, B = TraceParent(0xA, 1), TraceParent(0xB, 1)
CREDITS, RUNS = "model_credits", "tool_runs"
ID = UUID(int=1)


def change(position: int, parent: TraceParent | None) -> Record:
    value = encode_change(percent(60, position))
    return record(
        value if parent is None else value.replace(b',"data":', f',"traceparent":"{parent}","data":'.encode()), 0
    )


def moved(position: int, line: int = 50) -> LineMoved:
    return LineMoved(ACCOUNT, CREDITS, Reached(1, line), 0, position)


def test_a_line_follows_from_the_change_that_reached_it() -> None:
    records = [change(7, A), change(8, None), change(9, B)]
    steps: list[LetterStep] = [moved(7), moved(8, 70), ContactsChanged(account())]
    assert trace_lines(records, steps) == (LineTrace(0, ACCOUNT, CREDITS, 1, 50, A),)
    assert trace_lines([change(7, None)], steps) == ()


@pytest.mark.parametrize("value", [b"", b"{", b'{"traceparent":"00-' + b"a" * 32 + b"-" + b"b" * 16 + b'-01"', b"\xff"])
def test_what_is_no_change_is_passed_over(value: bytes) -> None:
    assert trace_lines([record(value, 0)], [moved(7)]) == ()


def test_a_notice_is_a_span_from_the_plan_of_its_batch_on() -> None:
    plan = NotifyPlan(0, "metering.balances", 0, 1, AT, traces=(LineTrace(0, ACCOUNT, CREDITS, 1, 50, A),))
    [span] = notice_spans(plan, AT + timedelta(seconds=1))
    assert (span.name, span.parent, span.started) == ("notice", A, AT)


def test_a_letter_follows_from_the_lines_it_says_and_from_no_others() -> None:
    kept = [LineTrace(0, ACCOUNT, CREDITS, 1, 50, A), LineTrace(0, ACCOUNT, RUNS, 2, 90, B)]
    said = {CREDITS: Shown(1, 50, 50, 7), RUNS: Shown(2, 90, 90, 8)}
    assert letter_parents(said, kept) == [B, A]
    assert letter_parents({CREDITS: Shown(2, 50, 50, 9)}, kept) == []  # of another epoch
    assert letter_parents({CREDITS: Shown(1, 70, 70, 9)}, kept) == []  # another line by now


class Kept:
    def __init__(self, *traces: LineTrace, error: Exception | None = None) -> None:
        self._traces, self._error = traces, error

    async def fetch(self, _shard: int, _account_id: str) -> tuple[LineTrace, ...]:
        if self._error is not None:
            raise self._error
        return self._traces


class Recorded:
    on = True

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def record(self, span: Span) -> None:
        self.spans.append(span)

    def close(self) -> None: ...


def claimed() -> ClaimedEmail:
    row = EmailRow(ID, ID, ID, ACCOUNT, 0, "owner@example.com", AT)
    draft = Draft("<1@example.com>", b"text", {CREDITS: Shown(1, 50, 50, 7), RUNS: Shown(1, 70, 70, 8)}, ID)
    return ClaimedEmail(row, 1, 2, 0, draft)


KEPT = (LineTrace(0, ACCOUNT, CREDITS, 1, 50, A), LineTrace(0, ACCOUNT, RUNS, 1, 70, B))


@pytest.fixture
def clock() -> Clock:
    return FakeClock()


async def test_a_letter_continues_the_trace_of_its_highest_line_and_links_the_other(clock: Clock) -> None:
    recorded = Recorded()
    letters = LetterTraces(Kept(*KEPT), recorded, clock)
    assert await letters.record(claimed(), Judgement(Verdict.ACCEPTED, None, "")) == B.trace
    [span] = recorded.spans
    assert (span.name, span.parent, list(span.links), span.failed) == ("letter", B, [A], None)
    assert span.attributes == {"metering.outcome": "accepted", "metering.attempt": 2}
    await letters.record(claimed(), Judgement(Verdict.REFUSED, None, "no such user"))
    assert recorded.spans[-1].failed == "refused"


async def test_no_trace_costs_a_letter_anything(clock: Clock) -> None:
    recorded = Recorded()
    accepted = Judgement(Verdict.ACCEPTED, None, "")
    for letters in (LetterTraces(Kept(*KEPT), NO_TRACES, clock), LetterTraces(Kept(), recorded, clock)):
        assert await letters.record(claimed(), accepted) is None
    lost = LetterTraces(Kept(error=TransientError("gone", dependency="postgres")), recorded, clock)
    assert await lost.record(claimed(), accepted) is None
    assert recorded.spans == []
