"""The published states of balances, which a dry run of thresholds looks at, judged by the fold while a rebuild reads.

A state that is kept is right where the fold, stopped at its position, has the same. Those that are right stay: they are
what the notifier was told. What the log contradicts goes with the others of its epoch. Epochs that lack states, as
those from before they were kept, get the ones that a fold of one event at a time would have published.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from meter.runtime.postgres import Executor, transpose
from projections.fold import BalanceState
from projections.steps import BalanceKey
from projections.store import sql
from schemas.exhaustion import percent_of

FIRST_POSITION: Final = -(2**63)  # what a column can hold: a state that was put there by hand must be found
LAST_POSITION: Final = 2**63 - 1
FETCHED_ROWS: Final = 20_000


class Mended(NamedTuple):
    added: int
    removed: int


class KeptState(NamedTuple):
    """A row of `projections.exhaustion_steps`; amounts in micro-units. None: no fold can have that."""

    account_id: str
    resource: int
    position: int
    epoch: int
    allocation: int | None
    consumed: int | None
    at: datetime | None

    def is_state(self, state: BalanceState) -> bool:
        """Of the same position."""
        found = self.epoch, self.allocation, self.consumed, self.at
        return found == (state.epoch, state.allocation, state.used, state.as_of)


@dataclass(slots=True)
class SeenEpoch:
    """`position`, `at`, `allocation` and `consumed` are of its first state; `end`, `percent` and `closed` of its last
    so far. `first_kept` and `percent_kept` are of the states that are kept of it, if any: the position of the first,
    and the percent of the last. `toggles`: position and time where the account was closed or opened again.

    It holds no state: each has all grants of the balance, and an account may have many epochs.
    """

    account_id: str
    resource: int
    epoch: int
    position: int
    at: datetime
    allocation: int
    consumed: int
    end: int
    percent: int
    closed: bool
    first_kept: int | None = None
    percent_kept: int | None = None
    toggles: list[tuple[int, datetime]] = field(default_factory=list)

    def follow(self, state: BalanceState) -> None:
        if state.closed != self.closed:
            self.toggles.append((state.position, state.as_of))
        self.end, self.percent, self.closed = state.position, state.percent, state.closed

    @property
    def is_whole(self) -> bool:
        return self.first_kept == self.position and self.percent_kept == self.percent


@dataclass(slots=True)
class StepJudge:
    """Of one shard, range by range in the order of positions."""

    epochs: dict[BalanceKey, list[SeenEpoch]] = field(default_factory=dict)
    wrong: set[tuple[str, int, int]] = field(default_factory=set)  # account, resource and epoch of states that are kept

    def take(self, kept: Iterable[KeptState], states: Iterable[BalanceState]) -> None:
        """What is kept of a range, and every state of the fold in it, which stopped at the positions of these. Of each
        balance in the order of positions."""
        expected = {(each.account_id, each.resource, each.position): each for each in kept}
        for state in states:
            if not state.epoch:
                continue
            seen = self._see(state)
            found = expected.get((state.account_id, state.resource, state.position))
            if found is None or not found.is_state(state):
                continue
            del expected[found[:3]]
            seen.first_kept = seen.first_kept or found.position
            seen.percent_kept = percent_of(state.used, state.allocation)
        self.wrong.update((each.account_id, each.resource, each.epoch) for each in expected.values())

    def _see(self, state: BalanceState) -> SeenEpoch:
        epochs = self.epochs.setdefault((state.account_id, state.resource), [])
        if epochs and epochs[-1].epoch == state.epoch:
            epochs[-1].follow(state)
        else:
            began = state.epoch, state.position, state.as_of, state.allocation, state.used
            epochs.append(
                SeenEpoch(state.account_id, state.resource, *began, state.position, state.percent, state.closed)
            )
        return epochs[-1]

    def find_lacking(self) -> list[SeenEpoch]:
        """Those that lack states, or lose them because one is wrong."""
        return [
            seen
            for key, epochs in self.epochs.items()
            for seen in epochs
            if not seen.is_whole or (*key, seen.epoch) in self.wrong
        ]


def keep_every(_before: BalanceState, _after: BalanceState) -> bool:
    return True


class KeptStates:
    """Those of a shard from a position on, read once in the order of positions."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self._waiting: deque[KeptState] = deque()
        self._ended = False

    @classmethod
    async def open(cls, connection: Executor, shard: int, first: int, *, timeout_s: float) -> "KeptStates":
        """Within a transaction; not behind it."""
        return cls(await connection.cursor(sql("fetch_steps"), shard, first, timeout=timeout_s))

    async def take_up_to(self, position: int) -> list[KeptState]:
        taken = []
        while True:
            while self._waiting and self._waiting[0].position <= position:
                taken.append(self._waiting.popleft())
            if self._waiting or self._ended:
                return taken
            rows = await self._cursor.fetch(FETCHED_ROWS)
            self._ended = len(rows) < FETCHED_ROWS
            self._waiting.extend(map(as_kept_state, rows))


def as_kept_state(row: Iterable[Any]) -> KeptState:
    account_id, resource, position, epoch, allocation, consumed, at = row
    return KeptState(account_id, resource, position, epoch, as_whole(allocation), as_whole(consumed), at)


def as_whole(text: str) -> int | None:
    """Of a NUMERIC, which may have decimals or be no number at all."""
    return int(text) if text.removeprefix("-").isdecimal() else None


async def mend_steps(connection: Executor, shard: int, judge: StepJudge, *, timeout_s: float) -> Mended:
    """Within the transaction that holds the cursor of balances, which has been read up to it."""
    wrong, lacking = transpose(sorted(judge.wrong), 3), judge.find_lacking()
    epochs = transpose(list(map(epoch_row, lacking)), 8)
    toggles = transpose([(seen.account_id, seen.resource, seen.epoch, *t) for seen in lacking for t in seen.toggles], 5)
    removed: Sequence[Any] = []
    added: Sequence[Any] = []
    await connection.execute(sql("plan_exchange"))
    if wrong[0]:
        removed = await connection.fetch(sql("remove_wrong_steps"), shard, *wrong, timeout=timeout_s)
    if lacking:
        added = await connection.fetch(sql("add_missing_steps"), shard, *epochs, *toggles, timeout=timeout_s)
    return Mended(len(added), len(removed))


def epoch_row(seen: SeenEpoch) -> tuple[object, ...]:
    """Amounts as text, because they have no upper end."""
    amounts = str(seen.allocation), str(seen.consumed)
    return seen.account_id, seen.resource, seen.epoch, seen.position, seen.end, seen.at, *amounts
