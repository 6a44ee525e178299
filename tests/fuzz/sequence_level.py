"""Sequences of events through parser, plan, store in memory and fold, beside the plain reference of the rules."""

import random
from collections.abc import Coroutine, Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final, TypeVar

from meter.allowance import Allowance
from meter.plan import plan_append
from projections.fold import BalanceState, Kind, Step, empty_state, fold
from projections.steps import NonUsageEvent, collect_steps
from schemas.events import USAGE_CODES
from schemas.identity import OWN_SOURCE
from schemas.parsing.parse import parse_rows
from schemas.records import Accepted, Limits, Record
from schemas.resources import RESOURCE_CODES, Resource
from schemas.topics import ACCOUNTS, USAGE
from tests.contract.memory_store import MemoryEventStore
from tests.fuzz.campaign import without_parts
from tests.fuzz.reference import (
    CLOSE,
    CREDITS,
    GRANT,
    OPEN,
    REOPEN,
    REVERSE,
    REVOKE,
    RUNS,
    STORED,
    USE,
    Account,
    Op,
    Reference,
)
from tests.support import builders

NOW: Final = builders.NOON
LIMITS: Final = Limits(partitions=1)
MOST_OPS: Final = 30
ACCOUNT_IDS: Final = ("acct-1", "acct-2")
# Around the free allowance, its thresholds, the limits of one event, and the smallest amount.
AMOUNTS: Final = (
    1, 500_000, 1_000_000, 15_000_000, 37_500_000, 60_000_000, 75_000_000, 75_000_001, 100_000_000, 5_000_000_000,
    10_000_000_000, 10_000_000_001, 10_000_000_000_000, 10_000_000_000_001, 0,
)  # fmt: skip
TIMES: Final = (0, 0, 0, 0, -86_400, 3600, 3601, -400 * 86_400, -399 * 86_400)
KINDS: Final = (USE, USE, USE, USE, USE, GRANT, GRANT, REVERSE, REVERSE, REVOKE, OPEN, OPEN, CLOSE, REOPEN)
Result = TypeVar("Result")
Batches = list[list[Op]]


class SequenceLevel:
    name, unit, drawn = "sequence", "events", 0

    def draw(self, draw: random.Random) -> Batches:
        ops: list[Op] = []
        for _ in range(draw.randint(1, MOST_OPS)):
            again = bool(ops) and draw.random() < 0.1
            ops.append(send_again(draw.choice(ops), draw) if again else draw_op(draw))
        self.drawn += len(ops)
        cuts = sorted({0, len(ops), *(draw.randrange(len(ops)) for _ in range(draw.randrange(6)))})
        return [ops[begin:end] for begin, end in pairwise(cuts)]

    def smaller(self, drawn: Batches) -> Iterator[Batches]:
        yield from (parts for parts in without_parts(drawn) if parts)
        for index, batch in enumerate(drawn):
            for parts in without_parts(batch):
                if parts:
                    yield [*drawn[:index], parts, *drawn[index + 1 :]]

    def show(self, drawn: Batches) -> str:
        return "\n\n".join("\n".join(map(str, batch)) for batch in drawn)

    def check(self, drawn: Batches) -> str | None:
        reference, played = Reference(), Play()
        for batch in drawn:
            expected, found = reference.take_batch(batch), played.take_batch(batch)
            if expected != found:
                return f"expected {expected}, found {found}, of {batch}"
        return compare(reference.accounts, played.fold(drawn))


def draw_op(draw: random.Random) -> Op:
    kind, resource = draw.choice(KINDS), draw.choice((CREDITS, CREDITS, RUNS))
    amount = draw.choice(AMOUNTS) if draw.random() < 0.7 else draw.randrange(200) * 1_000_000
    if resource == RUNS and draw.random() < 0.95:
        amount -= amount % 1_000_000
    ids = [f"e{number}" for number in range(12)]
    of = draw.choice(ids) if kind == REVERSE or (kind == REVOKE and draw.random() < 0.5) else None
    by = draw.choice("ab") if kind == REVERSE and draw.random() < 0.3 else None
    moves = kind in (USE, GRANT, REVERSE, REVOKE)
    return Op(
        kind, draw.choice(ACCOUNT_IDS), draw.choice(ids), resource if moves else CREDITS, amount if moves else 0,
        draw.choice(TIMES), draw.choice("aaab"), of, by, draw.randrange(3),
    )  # fmt: skip


def send_again(op: Op, draw: random.Random) -> Op:
    """The same by its content: at another time, in another spelling."""
    return op._replace(time_s=draw.choice(TIMES), spelling=draw.randrange(3))


def decimal(micros: int, spelling: int = 0) -> str | float:
    text = f"{micros // 1_000_000}.{micros % 1_000_000:06}"
    return (text, text.rstrip("0").rstrip("."), micros / 1_000_000)[spelling]


def render(op: Op) -> tuple[str, dict[str, Any]]:
    """The event as a producer sends it, and its topic."""
    time = (NOW + timedelta(seconds=op.time_s)).isoformat().replace("+00:00", "Z")
    attributes: dict[str, Any] = {"id": op.id, "time": time, "source": f"//{op.source}.example.com"}
    move: dict[str, Any] = {"resource": op.resource, "amount": decimal(op.amount, op.spelling), "reason": "trial"}
    match op.kind:
        case "use" if op.resource == RUNS:
            runs = op.amount // 1_000_000 if op.amount % 1_000_000 == 0 else op.amount / 1_000_000
            return USAGE, builders.event("usage.tool_run.v1", {"tool": "t", "runs": runs}, op.account, **attributes)
        case "use":
            data = {"credits": decimal(op.amount, op.spelling), "model": "m"}
            return USAGE, builders.event("usage.model_inference.v1", data, op.account, **attributes)
        case "grant":
            data = move | {"reference": "r"}
            return ACCOUNTS, builders.event("credits.granted.v1", data, op.account, **attributes)
        case "revoke":
            data = move | {"reference": "r"} | ({"revokes": op.of} if op.of else {})
            return ACCOUNTS, builders.event("credits.revoked.v1", data, op.account, **attributes)
        case "reverse":
            by = {"reverses_source": f"//{op.by}.example.com"} if op.by else {}
            data = move | {"reverses": op.of} | by
            return ACCOUNTS, builders.event("usage.reversed.v1", data, op.account, **attributes)
        case "open":
            return ACCOUNTS, builders.opened(op.account, ("free", "Free", "FREE")[op.spelling], **attributes)
        case kind:
            type_ = "account.closed.v1" if kind == CLOSE else "account.reopened.v1"
            return ACCOUNTS, builders.event(type_, {}, op.account, **attributes)


def finish(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The result of what never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: Result = done.value
        return result
    raise AssertionError("the store in memory waited")


class Play:
    """The product's own way of the same events."""

    def __init__(self) -> None:
        self._store = MemoryEventStore(1)
        self._offsets = {USAGE: 0, ACCOUNTS: 0}
        self._sizes: list[int] = []  # of the log, after each batch

    def take_batch(self, ops: Sequence[Op]) -> list[str]:
        records: dict[str, list[Record]] = {USAGE: [], ACCOUNTS: []}
        start, places = dict(self._offsets), []
        for op in ops:
            topic, event = render(op)
            offset = self._offsets[topic]
            places.append((topic, offset))
            value = builders.encode(event)
            records[topic].append(Record(topic, 0, offset, 0, op.account.encode(), value, builders.STRUCTURED))
            self._offsets[topic] += 1
        made = plan_append(
            shard=0, records=records, results={t: parse_rows(found, NOW, LIMITS) for t, found in records.items()},
            start=start, end=self._offsets, recorded_at=NOW, allowance=Allowance(),
        )  # fmt: skip
        finish(self._store.append(made))
        log = self._store._shards[0].log  # itself: a copy of all of it for each batch takes longer than the batch
        self._sizes.append(len(log.events))
        repeats = {(topic, offset) for topic, offset, _ in log.duplicates}
        refused = {(topic, offset) for topic, offset, _ in log.rejections}
        return ["repeat" if at in repeats else "refused" if at in refused else STORED for at in places]

    def fold(self, drawn: Batches) -> dict[tuple[str, int], BalanceState]:
        """Read in the same portions as they were stored; runs of usage are summed in every second one."""
        rows = self._store._shards[0].rows  # the positions of the rows, which its log leaves out
        states: dict[tuple[str, int], BalanceState] = {}
        for number, (begin, end) in enumerate(pairwise([0, *self._sizes])):
            for key, steps in steps_of(rows[begin:end], begin + 1).items():
                state = states.get(key) or empty_state(*key, 0, NOW)
                states[key], _ = fold(state, sum_runs(steps) if number % 2 else steps)
        return states


def steps_of(rows: Sequence[Accepted], first: int) -> dict[tuple[str, int], list[Step]]:
    others = [
        NonUsageEvent(
            0, position, row.type, row.account_id, row.resource, row.amount, row.occurred_at, NOW, row.data,
            row.source == OWN_SOURCE,
        )
        for position, row in enumerate(rows, first)
        if row.type not in USAGE_CODES
    ]  # fmt: skip
    steps = collect_steps(others)
    for position, row in enumerate(rows, first):
        if row.type in USAGE_CODES and row.resource is not None:
            own = steps.setdefault((row.account_id, row.resource), [])
            own.append(Step(Kind.USAGE, row.amount, position, NOW))
    return {key: sorted(own, key=lambda step: step.position) for key, own in steps.items()}


def sum_runs(steps: Sequence[Step]) -> list[Step]:
    summed: list[Step] = []
    for step in steps:
        if step.kind is Kind.USAGE and summed and summed[-1].kind is Kind.USAGE:
            step = step._replace(amount=summed.pop().amount + step.amount)
        summed.append(step)
    return summed


def compare(accounts: dict[str, Account], states: dict[tuple[str, int], BalanceState]) -> str | None:
    for name, account in accounts.items():
        for resource, balance in account.balances.items():
            state = states.get((name, RESOURCE_CODES[Resource(resource)])) or empty_state(name, 1, 0, NOW)
            expected = (balance.granted, balance.used, balance.base, balance.epoch)
            allocation = balance.granted - balance.base if balance.epoch else 0
            remaining = allocation - (balance.used - balance.base)
            allowed = balance.epoch > 0 and not account.closed and remaining > 0
            found = (state.granted, state.consumed, state.base, state.epoch)
            if (*expected, allocation, remaining, allowed) != (
                *found,
                state.allocation,
                state.remaining,
                state.allowed,
            ):
                return f"{name} {resource}: expected {expected} allowed={allowed}, found {found} {state.allowed}"
    return None
