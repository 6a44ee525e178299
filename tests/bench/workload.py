"""A realistic backlog over many accounts, with repeats and garbage, and what the services must make of it.

Everything follows from a seed, so that the check after a run compares exact sums.
"""

from array import array
from bisect import bisect
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random

from tests.bench.events import USUAL, Message, account_name, make_event, make_garbage, make_names, rearrange

CHUNK_RECORDS = 1000
RECENT_MESSAGES = 4000


@dataclass(frozen=True, slots=True)
class Workload:
    """`records` usage records over `accounts` accounts, spread evenly over `span` from `start` on."""

    records: int
    accounts: int = 10_000
    seed: int = 1
    start: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    span: timedelta = timedelta(hours=6)
    duplicate_share: float = 0.01
    garbage_share: float = 0.001
    names: int = USUAL.total  # of models, tools, guardrails and scripts together; each account uses all of them
    other_order: bool = False  # attributes as other libraries write them, and not as our own client does

    @property
    def chunks(self) -> int:
        return -(-self.records // CHUNK_RECORDS)


@dataclass(slots=True)
class Expected:
    """What must come of the messages. `credits` and `runs` are micro-units by index of the account."""

    accounts: int
    events: int = 0
    duplicates: int = 0
    rejected: int = 0
    value_bytes: int = 0
    credits: "array[int]" = field(default_factory=lambda: array("q"))
    runs: "array[int]" = field(default_factory=lambda: array("q"))

    def __post_init__(self) -> None:
        for totals in (self.credits, self.runs):
            totals.frombytes(bytes(totals.itemsize * (self.accounts - len(totals))))

    @property
    def records(self) -> int:
        return self.events + self.duplicates + self.rejected

    def add(self, other: "Expected") -> None:
        self.events += other.events
        self.duplicates += other.duplicates
        self.rejected += other.rejected
        self.value_bytes += other.value_bytes
        self.credits = array("q", map(sum, zip(self.credits, other.credits, strict=True)))
        self.runs = array("q", map(sum, zip(self.runs, other.runs, strict=True)))


def zipf_weights(accounts: int) -> list[float]:
    """Cumulative weights of Zipf's law, exponent 1: the first of 10,000 accounts has a tenth of all usage."""
    return list(accumulate(1 / rank for rank in range(1, accounts + 1)))


class Generator:
    """Makes every `workers`-th chunk of a workload, so that several processes move along one timeline together."""

    def __init__(self, workload: Workload, worker: int = 0, workers: int = 1) -> None:
        self.workload, self.worker, self.workers = workload, worker, workers
        self.expected = Expected(workload.accounts)
        self._weights = zipf_weights(workload.accounts)
        self._accounts = [account_name(index) for index in range(workload.accounts)]
        self._names = USUAL if workload.names == USUAL.total else make_names(workload.names)
        self._step = workload.span / max(workload.records, 1)
        self._recent: deque[Message] = deque(maxlen=RECENT_MESSAGES)

    def chunks(self) -> Iterator[list[Message]]:
        for chunk in range(self.worker, self.workload.chunks, self.workers):
            first = chunk * CHUNK_RECORDS
            rng = Random(f"{self.workload.seed}:{chunk}")
            yield self._make(range(first, min(first + CHUNK_RECORDS, self.workload.records)), rng)

    def _make(self, numbers: range, rng: Random) -> list[Message]:
        messages: list[Message] = []
        sound: list[Message] = []
        repeats, garbage = self.workload.duplicate_share, self.workload.garbage_share
        for number in numbers:
            draw = rng.random()
            if draw < repeats and sound:
                messages.append(self._repeat(sound, rng))
            elif draw > 1 - garbage:
                messages.append(self._garbage(number, rng))
            else:
                sound.append(self._event(number, rng))
                messages.append(sound[-1])
        self._recent.extend(sound[:: len(sound) // 10 or 1])
        self.expected.value_bytes += sum(len(message.value) for message in messages)
        return messages

    def _pick(self, rng: Random) -> int:
        return bisect(self._weights, rng.random() * self._weights[-1])

    def _moment(self, number: int) -> datetime:
        return self.workload.start + number * self._step

    def _event(self, number: int, rng: Random) -> Message:
        account = self._pick(rng)
        usage, message = make_event(self._accounts[account], self._moment(number), rng, self._names)
        self.expected.events += 1
        totals = self.expected.runs if usage.kind == "tool_run" else self.expected.credits
        totals[account] += usage.amount
        return rearrange(message) if self.workload.other_order else message

    def _repeat(self, sound: list[Message], rng: Random) -> Message:
        """A producer's retry: half of them a moment later, half much later."""
        self.expected.duplicates += 1
        old = self._recent if rng.random() < 0.5 and self._recent else sound
        return old[int(rng.random() * len(old))]

    def _garbage(self, number: int, rng: Random) -> Message:
        self.expected.rejected += 1
        return make_garbage(self._accounts[self._pick(rng)], self._moment(number), rng)


def take_messages(workload: Workload, records: int) -> list[Message]:
    """The first records of the workload."""
    taken: list[Message] = []
    for chunk in Generator(workload).chunks():
        taken += chunk
        if len(taken) >= records:
            break
    return taken[:records]
