"""The rules of credits told once more, as plainly as they can be: what becomes of each event, and what each balance is.

Shares no code with the product. Amounts are whole micro-units. Of a batch, what is said of an account before its first
reversal counts before usage, the rest behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

CREDITS, RUNS = "model_credits", "tool_runs"
FREE: Final = {CREDITS: 75_000_000, RUNS: 10_000_000_000}
MOST_USAGE: Final = 10_000_000_000
MOST_GRANT: Final = 10_000_000_000_000
AHEAD_S, BEHIND_S = 3600, 400 * 86_400
STORED, REPEAT, REFUSED = "stored", "repeat", "refused"
USE, OPEN, CLOSE, REOPEN, GRANT, REVERSE, REVOKE = "use", "open", "close", "reopen", "grant", "reverse", "revoke"


class Op(NamedTuple):
    """An event as it is sent; `of` is the id of what it takes back, `by` the source that sent that.

    `spelling` changes how amounts and plans are written, and nothing that they say.
    """

    kind: str
    account: str
    id: str
    resource: str = CREDITS
    amount: int = 0
    time_s: int = 0  # from now
    source: str = "a"
    of: str | None = None
    by: str | None = None
    spelling: int = 0


@dataclass
class Balance:
    granted: int = 0
    used: int = 0
    base: int = 0
    epoch: int = 0
    lines: list[int] = field(default_factory=list)  # what was granted by the end of each grant

    def begin(self, *, opened: bool) -> None:
        self.base = 0
        if not opened:
            return
        for line in self.lines:
            if self.base < line <= self.used:
                self.base = line
        if self.epoch or self.granted:
            self.epoch += 1

    def add(self, amount: int) -> None:
        self.granted += amount
        self.lines.append(self.granted)


@dataclass
class Account:
    opened: bool = False
    closed: bool = False
    balances: dict[str, Balance] = field(default_factory=lambda: {CREDITS: Balance(), RUNS: Balance()})


class Grant(NamedTuple):
    """The free allowance has no id."""

    id: str
    resource: str
    amount: int


class Reference:
    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self._known: dict[tuple[bool, str, str, str], tuple[object, ...]] = {}
        self._uses: dict[tuple[str, str], list[Op]] = {}
        self._reversed: dict[tuple[str, str, str], int] = {}
        self._grants: dict[str, list[Grant]] = {}
        self._revoked: dict[str, list[Op]] = {}

    def take_batch(self, ops: Sequence[Op]) -> list[str]:
        """What becomes of each, in the order in which they were given."""
        stages, outcomes = find_stages(ops), {}
        for at in sorted(range(len(ops)), key=lambda at: (stages[at], at)):
            outcomes[at] = self._take(ops[at])
        return [outcomes[at] for at in range(len(ops))]

    def _take(self, op: Op) -> str:
        if not is_sound(op):
            return REFUSED
        identity = (op.kind == USE, op.account, op.source, op.id)
        if identity in self._known:
            return REPEAT if self._known[identity] == content(op) else REFUSED
        if (op.kind == REVERSE and not self._may_reverse(op)) or (op.kind == REVOKE and not self._may_revoke(op)):
            return REFUSED
        self._known[identity] = content(op)
        self._count(op)
        return STORED

    def _may_reverse(self, op: Op) -> bool:
        uses = [use for use in self._uses.get((op.account, op.of or ""), ()) if op.by in (None, use.source)]
        if len(uses) != 1 or uses[0].resource != op.resource:
            return False
        return op.amount <= uses[0].amount - self._reversed.get((op.account, uses[0].source, uses[0].id), 0)

    def _may_revoke(self, op: Op) -> bool:
        grants = self._grants.get(op.account, [])
        revoked = [each for each in self._revoked.get(op.account, ()) if each.resource == op.resource]
        left = sum(grant.amount for grant in grants if grant.resource == op.resource) - sum(o.amount for o in revoked)
        if op.of is not None:
            named = [grant for grant in grants if grant.id == op.of]
            if len(named) != 1 or named[0].resource != op.resource:
                return False
            left = min(left, named[0].amount - sum(o.amount for o in revoked if o.of == op.of))
        return op.amount <= left

    def _balance(self, op: Op) -> Balance:
        return self.account(op.account).balances[op.resource]

    def account(self, name: str) -> Account:
        return self.accounts.setdefault(name, Account())

    def _count(self, op: Op) -> None:
        account, balance = self.account(op.account), self._balance(op)
        match op.kind:
            case "use":
                balance.used += op.amount
                self._uses.setdefault((op.account, op.id), []).append(op)
            case "open" if not account.opened:
                account.opened = True
                for resource, amount in FREE.items():
                    self._note_grant(op, "", resource, amount)
                    account.balances[resource].add(amount)
                    account.balances[resource].begin(opened=True)
            case "close":
                account.closed = account.opened or account.closed
            case "reopen":
                account.closed = False
            case "grant":
                balance.add(op.amount)
                balance.begin(opened=account.opened)
                self._note_grant(op, op.id, op.resource, op.amount)
            case "revoke":
                balance.granted -= op.amount
                balance.lines = [min(line, balance.granted) for line in balance.lines]
                balance.begin(opened=account.opened)
                self._revoked.setdefault(op.account, []).append(op)
            case "reverse":
                self._count_reversal(op, balance, opened=account.opened)

    def _note_grant(self, op: Op, id: str, resource: str, amount: int) -> None:
        self._grants.setdefault(op.account, []).append(Grant(id, resource, amount))

    def _count_reversal(self, op: Op, balance: Balance, *, opened: bool) -> None:
        [use] = [use for use in self._uses[op.account, op.of or ""] if op.by in (None, use.source)]
        name = (op.account, use.source, use.id)
        self._reversed[name] = self._reversed.get(name, 0) + op.amount
        balance.used -= op.amount
        if balance.used < balance.base:
            balance.begin(opened=opened)


def find_stages(ops: Sequence[Op]) -> list[int]:
    """The order within a batch."""
    stages: list[int] = []
    met: set[str] = set()  # accounts of which a reversal was met
    for op in ops:
        if op.kind == REVERSE and is_sound(op):
            met.add(op.account)
        stages.append(1 if op.kind == USE else 2 if op.account in met else 0)
    return stages


def is_sound(op: Op) -> bool:
    if not -BEHIND_S <= op.time_s <= AHEAD_S:
        return False
    whole = op.resource == CREDITS or op.amount % 1_000_000 == 0
    if op.kind == USE:
        return whole and (op.resource == CREDITS or op.amount > 0) and op.amount <= MOST_USAGE
    if op.kind in (GRANT, REVERSE, REVOKE):
        return whole and 0 < op.amount <= MOST_GRANT
    return True


def content(op: Op) -> tuple[object, ...]:
    """What counts when an id comes again."""
    return (op.kind, op.resource, op.amount, op.of, op.by)
