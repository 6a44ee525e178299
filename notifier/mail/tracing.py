"""Continues a producer's trace to the letter that tells of it."""

from collections.abc import Sequence
from typing import Protocol

import structlog

from meter.runtime.clock import Clock
from meter.runtime.failures import explain, is_transient
from meter.runtime.tracing import Traces
from notifier.mail.verdict import Judgement, Verdict
from notifier.model import LineTrace
from notifier.store.port import ClaimedEmail
from notifier.tracing import letter_parents, letter_span

log = structlog.get_logger(component="mailer")
# The letter went, or nobody wanted it any more.
DONE = frozenset({Verdict.ACCEPTED, Verdict.CANCELLED, Verdict.PRESUMED})


class LineTraceStore(Protocol):
    async def fetch(self, shard: int, account_id: str) -> Sequence[LineTrace]:
        """Of the lines that balances of the account stand at."""
        ...


class LetterTraces:
    """Records a span for each attempt of a letter whose lines follow from a traced event."""

    def __init__(self, store: LineTraceStore, traces: Traces, clock: Clock) -> None:
        self._store = store
        self._traces = traces
        self._clock = clock

    async def record(self, email: ClaimedEmail, judgement: Judgement) -> str | None:
        """The id of the trace, for the letter's line in the log. Whatever goes wrong costs a span and no letter."""
        if not self._traces.on or judgement.verdict is Verdict.BEHIND:
            return None
        try:
            kept = await self._store.fetch(email.row.shard, email.row.account_id)
        except Exception as error:
            if not is_transient(error):
                raise
            log.debug("trace_lost", detail=explain(error))
            return None
        if not (parents := letter_parents(email.lines, kept)):
            return None
        outcome: dict[str, str | int] = {
            "metering.outcome": judgement.verdict.value,
            "metering.attempt": email.attempts,
        }
        failed = None if judgement.verdict in DONE else judgement.verdict.value
        self._traces.record(letter_span(parents, email.row.created_at, self._clock.now(), outcome, failed=failed))
        return parents[0].trace
