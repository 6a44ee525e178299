"""What the campaign sends, made from a seed. Nothing of the product is used to make it."""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from random import Random
from typing import Any

from tests.bench.events import MICRO, make_garbage, uuid7_text
from tests.faults.truth import (
    ACCOUNTS,
    CLOSED,
    CONTACTS_CHANGED,
    CREDITS,
    CUSTOM_SCRIPT,
    FREE,
    GARBAGE,
    GRANTED,
    GUARDRAIL,
    MODEL_INFERENCE,
    NOTHING,
    NUMBER_BYTES,
    OPENED,
    PLAN_CHANGED,
    RENAMED,
    REOPENED,
    RESOURCES,
    REVERSED,
    REVOKED,
    RUNS,
    TOOL_RUN,
    TYPES,
    USAGE,
    Account,
    Message,
    Named,
    Truth,
)

NAMES = ("swift-1", "sage-3-large", "ember-7b", "quill-2")
# Accounts that use tool runs in equal steps and stop exactly on a line: "≥" and ">" differ only there.
STEP_PERCENT, LINES = 5, (20, 50, 70, 80, 90, 100)
RECENT_MESSAGES = 4000
NAMED = 2000  # events that may be named by a reversal or a revocation, the newest
GREEDY = 0.1  # share of corrections that take as if nothing had been taken before
TOP_UPS = (0.1, 0.5, 1, 2)  # of the free allowance
MOST_CLOSED = 0.1  # of all accounts, at one time


@dataclass(frozen=True, slots=True)
class Shares:
    """Of all that is sent."""

    duplicates: float = 0.05
    garbage: float = 0.01
    grants: float = 0.004
    reversals: float = 0.006
    revocations: float = 0.0005
    changes: float = 0.002
    closings: float = 0.001  # and reopenings


class World:
    """Makes messages one by one. `events` and `accounts` size the amounts: most accounts use up
    what they are granted."""

    def __init__(self, *, events: int, accounts: int, seed: int, shares: Shares | None = None) -> None:
        self.truth = Truth()
        self.shares = shares or Shares()
        self._rng = Random(f"world:{seed}")
        self._salt = self._rng.getrandbits(34)
        self.accounts = [self._make_account(index) for index in range(accounts)]
        self._by_name = {account.name: index for index, account in enumerate(self.accounts)}
        weights = [0.1 + 1.9 * self._rng.random() for _ in self.accounts]
        self._weights = list(accumulate(weights))
        per_resource = max(events / accounts / 2, 1)
        granted = 1 + self.shares.grants * per_resource * sum(TOP_UPS) / len(TOP_UPS)
        self._mean = {resource: FREE[resource] * (granted + 0.6) / per_resource for resource in FREE}
        # The last few are opened late: what they use before counts once the grant arrives.
        self._late = deque(range(accounts - accounts // 30, accounts))
        self._late_every = max(events // (4 * (len(self._late) + 1)), 50)
        self._recent: deque[Message] = deque(maxlen=RECENT_MESSAGES)
        self._old: list[Message] = []
        self._acknowledged: set[int] = set()
        self._closed: list[int] = []
        self._named: dict[int, deque[Named]] = {REVERSED: deque(maxlen=NAMED), REVOKED: deque(maxlen=NAMED)}

    def index_of(self, name: str) -> int:
        return self._by_name.get(name, -1)

    def openings(self) -> Iterator[Message]:
        for index in range(len(self.accounts) - len(self._late)):
            yield self._open(index)

    def make(self) -> Message:
        """The next message: mostly usage."""
        rng, shares = self._rng, self.shares
        if self._late and len(self.truth) % self._late_every == 0:
            return self._remember(self._open(self._late.popleft()))
        draw = rng.random()
        if (draw := draw - shares.duplicates) < 0 and self._recent:
            return self._repeat()
        if (draw := draw - shares.garbage) < 0:
            return self._garbage()
        if (draw := draw - shares.grants) < 0:
            return self._remember(self._grant())
        if (draw := draw - shares.reversals) < 0:
            return self._remember(self._take_back(REVERSED))
        if (draw := draw - shares.revocations) < 0:
            return self._remember(self._take_back(REVOKED))
        if (draw := draw - shares.changes) < 0:
            return self._remember(self._change())
        if (draw := draw - shares.closings) < 0:
            return self._remember(self._close_or_reopen())
        return self._remember(self._use())

    # --- kinds of messages ------------------------------------------------------------------------------------------

    def _make_account(self, index: int) -> Account:
        contacts = (f"owner-{index}@example.com", f"second-{index}@example.com")[: (1, 2, 1, 0, 1)[index % 5]]
        account = Account(f"acct-{index:06d}", contacts)
        if index % 20 == 7:
            account.steps_left = LINES[index // 20 % len(LINES)] // STEP_PERCENT
        return account

    def _pick(self) -> int:
        at = self._rng.random() * self._weights[-1]
        low, high = 0, len(self._weights) - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._weights[middle] <= at else (low, middle)
        return low

    def _use(self) -> Message:
        rng = self._rng
        index = self._pick()
        account = self.accounts[index]
        if account.steps_left == 0:
            return self._use()
        if account.steps_left is not None:
            account.steps_left -= 1
            return self._tool_run(index, 10_000 * STEP_PERCENT // 100)
        draw = rng.random()
        if draw < 0.5:
            return self._tool_run(index, max(1, round(2 * rng.random() * self._mean[RUNS] / MICRO)))
        kind, field = (
            (MODEL_INFERENCE, "model")
            if draw < 0.8
            else (GUARDRAIL, "guardrail")
            if draw < 0.9
            else (CUSTOM_SCRIPT, "script")
        )
        amount = int(2 * rng.random() * self._mean[CREDITS])
        data = {"credits": decimal(amount), field: NAMES[int(rng.random() * len(NAMES))]}
        return self._event(kind, index, CREDITS, amount, data)

    def _tool_run(self, index: int, runs: int) -> Message:
        return self._event(TOOL_RUN, index, RUNS, runs * MICRO, {"tool": "search_web", "runs": runs})

    def _grant(self) -> Message:
        index, resource = self._pick_moving()
        amount = whole(resource, int(FREE[resource] * self._rng.choice(TOP_UPS)))
        data = {
            "resource": RESOURCES[resource],
            "amount": decimal(amount),
            "reason": "top_up",
            "reference": f"INV-{len(self.truth)}",
        }
        return self._event(GRANTED, index, resource, amount, data)

    def note_acknowledged(self, message: Message) -> None:
        """The broker has it: from now on it may be named. What names an event that never arrived would be refused."""
        number = message.number
        if number < 0 or number in self._acknowledged:
            return
        self._acknowledged.add(number)
        kind, index = self.truth.kinds[number], self.truth.accounts[number]
        if (kind != GRANTED and kind >= OPENED) or self.accounts[index].steps_left is not None:
            return
        event_id = json.loads(message.value)["id"]
        named = self._named[REVOKED if kind == GRANTED else REVERSED]
        named.append(Named(number, event_id, self.truth.amounts[number]))

    def _take_back(self, kind: int) -> Message:
        """A reversal of usage, or a revocation of a grant: a part, the rest, or greedily more than is left."""
        rng, known = self._rng, self._named[kind]
        if not known:
            return self._use()
        named = known[int(rng.random() * len(known))]
        index, resource = self.truth.accounts[named.number], self.truth.resources[named.number]
        if index in self._late:
            return self._use()
        greedy = rng.random() < GREEDY
        most = self.truth.amounts[named.number] if greedy else named.left
        amount = whole(resource, most if greedy or rng.random() < 0.5 else int(most * rng.random()))
        if amount == 0:
            return self._use()
        named.left = max(0, named.left - amount)
        data = {"resource": RESOURCES[resource], "amount": decimal(amount)}
        if kind == REVERSED:
            data |= {"reason": "failed_run", "reverses": named.event_id}
        else:
            data |= {"reason": "chargeback", "reference": f"T-{len(self.truth)}", "revokes": named.event_id}
        return self._event(kind, index, resource, amount, data, named.number)

    def _pick_moving(self) -> tuple[int, int]:
        """Not one of those that stop on a line, nor one that is not open yet."""
        while self.accounts[index := self._pick()].steps_left is not None or index in self._late:
            pass
        return index, self._rng.choice((CREDITS, RUNS))

    def _change(self) -> Message:
        """Another plan or name, one contact more, or opened once more (which grants nothing)."""
        index, _ = self._pick_moving()
        draw, account = self._rng.random(), self.accounts[index]
        if draw < 0.2:
            return self._open(index)
        if draw < 0.3:
            return self._event(RENAMED, index, 0, 0, {"display_name": f"Account {len(self.truth)}"})
        if draw < 0.6 or len(account.contacts) != 1:
            return self._event(PLAN_CHANGED, index, 0, 0, {"plan": self._rng.choice(("free", "team", "scale"))})
        account.contacts = (*account.contacts, f"second-{index}@example.com")
        return self._event(CONTACTS_CHANGED, index, 0, 0, {"contacts": list(account.contacts)})

    def _close_or_reopen(self) -> Message:
        """What is closed goes on to be used, and is most often opened again. Some are closed twice."""
        rng, closed = self._rng, self._closed
        if closed and rng.random() < max(0.5, len(closed) / (MOST_CLOSED * len(self.accounts))):
            index = closed.pop(int(rng.random() * len(closed)))
            return self._event(REOPENED, index, 0, 0, {})
        index, _ = self._pick_moving()
        if index not in closed:
            closed.append(index)
        return self._event(CLOSED, index, 0, 0, {})

    def _open(self, index: int) -> Message:
        return self._event(OPENED, index, 0, 0, {"plan": "free", "contacts": list(self.accounts[index].contacts)})

    def _event(
        self, kind: int, index: int, resource: int, amount: int, data: dict[str, Any], names: int = NOTHING
    ) -> Message:
        number = self.truth.add(kind, index, resource, amount, names)
        name = self.accounts[index].name
        moment = datetime.now(UTC)
        event_id = uuid7_text(int(moment.timestamp() * 1000), self._salt << 8 * NUMBER_BYTES | number)
        text = (
            f'{{"specversion":"1.0","id":"{event_id}","source":"//agents.example.com/faults","type":"{TYPES[kind]}",'
            f'"subject":"{name}","time":"{moment:%Y-%m-%dT%H:%M:%S.%f}Z","datacontenttype":"application/json",'
            f'"data":{json.dumps(data, separators=(",", ":"))}}}'
        )
        return Message(ACCOUNTS if kind >= OPENED else USAGE, name.encode(), text.encode(), number)

    def _garbage(self) -> Message:
        """Broken usage, what is no event at all, and a service that tries to grant itself credits."""
        rng = self._rng
        name = self.accounts[self._pick()].name
        draw = rng.random()
        if draw < 0.1:
            return Message(ACCOUNTS, name.encode(), b"\x00\xff not an event", GARBAGE)
        key, value = make_garbage(name, datetime.now(UTC), rng)
        if draw < 0.2:
            data = b'{"resource":"model_credits","amount":"1000","reason":"mine","reference":"none"}'
            value = value.partition(b'"type"')[0] + b'"type":"credits.granted.v1","data":' + data + b"}"
        return Message(USAGE, key, value, GARBAGE)

    # --- repeats ----------------------------------------------------------------------------------------------------

    def _remember(self, message: Message) -> Message:
        self._recent.append(message)
        if len(self._old) < RECENT_MESSAGES:
            self._old.append(message)
        elif message.number % 100 == 0:
            self._old[int(self._rng.random() * RECENT_MESSAGES)] = message
        return message

    def _repeat(self) -> Message:
        """A producer's retry: most a moment later, some much later."""
        known = self._recent if self._rng.random() < 0.7 else self._old
        return known[int(self._rng.random() * len(known))]


def whole(resource: int, amount: int) -> int:
    """Micro-units that the contract takes: tool runs are granted and reversed whole."""
    return amount // MICRO * MICRO if resource == RUNS else amount


def decimal(micro: int) -> str:
    """Micro-units as the exact decimal text of the contract."""
    whole, part = divmod(micro, MICRO)
    return f"{whole}.{part:06d}".rstrip("0").rstrip(".")
