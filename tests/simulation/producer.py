"""Whoever sends events: what the accounts' people and services do, drawn at random, and the truth about it."""

from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any, Final

from schemas.build import encode_event
from schemas.topics import ACCOUNTS, USAGE, partition_for
from tests.simulation.broker import Broker
from tests.simulation.database import SHARDS
from tests.simulation.virtual import START, Time

CREDITS, RUNS = "model_credits", "tool_runs"
RESOURCES: Final = (CREDITS, RUNS)
NAMES: Final = ("acct-1", "acct-2", "acct-3")
PEOPLE: Final = tuple(f"c{number}@example.com" for number in range(4))
SOURCE: Final = "//agents.example.com"
HEADERS: Final = (("content-type", b"application/cloudevents+json"),)
# In credits of 75 and in runs of 10,000: many land exactly on a line.
CREDIT_STEPS: Final = (1, 3, 7.5, 15, 15, 22.5, 37.5, 60, 75)
RUN_STEPS: Final = (1, 500, 1000, 2000, 2000, 5000, 9000)
GRANTS: Final = {CREDITS: (10, 25, 75, 100, 1000), RUNS: (1000, 5000, 20_000)}
ACTIONS: Final = {
    "use": 56, "grant": 7, "reverse": 8, "revoke": 4, "close": 2, "reopen": 3, "contacts": 7, "open": 3, "again": 5,
    "garbage": 1, "reuse": 1, "misplaced": 3,
}  # fmt: skip
MICRO: Final = 1_000_000
EVENT_ID: Final = (
    "0193a1f2-7c00-7000-8000-{:012d}"  # UUIDs as our client makes them: the short cut of the parser knows them
)


@dataclass(slots=True)
class Sent:
    """One event, however often it was sent. `is_sure`: it must be stored in the end, whatever came between."""

    id: str
    type: str
    account: str
    topic: str
    value: bytes
    resource: str = ""
    amount: int = 0
    is_sure: bool = True
    of: str = ""  # what a reversal reverses
    left: int = 0  # of usage: not asked back yet


@dataclass
class Account:
    name: str
    contacts: tuple[str, ...] = ()
    granted: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RESOURCES, 0))
    usage: list[Sent] = field(default_factory=list)


class Producer:
    def __init__(self, broker: Broker, time: Time, rng: Random) -> None:
        self._broker = broker
        self._time = time
        self._rng = rng
        self.accounts = {name: Account(name) for name in NAMES[: rng.randint(1, len(NAMES))]}
        self.sent: dict[str, Sent] = {}
        self.garbage = 0  # records that must be rejected
        self.reused = 0
        self._actions, self._weights = list(ACTIONS), list(ACTIONS.values())
        for account in self.accounts.values():
            if rng.random() < 0.9:
                self._open(account)

    def act(self) -> str:
        """One action; what it was, in words."""
        action = self._rng.choices(self._actions, self._weights)[0]
        account = self._rng.choice(list(self.accounts.values()))
        getattr(self, f"_{action}")(account)
        return f"{action} {account.name}"

    # --- what there is to send --------------------------------------------------------------------------------------

    def _open(self, account: Account) -> None:
        people = self._draw_people()
        account.contacts = account.contacts or people
        self._send(account, ACCOUNTS, "account.opened.v1", {"plan": "free", "contacts": list(people)})

    def _contacts(self, account: Account) -> None:
        account.contacts = self._draw_people()
        self._send(account, ACCOUNTS, "account.contacts_changed.v1", {"contacts": list(account.contacts)})

    def _draw_people(self) -> tuple[str, ...]:
        return tuple(self._rng.sample(PEOPLE, self._rng.choice((0, 1, 1, 1, 2, 2, 3))))

    def _use(self, account: Account, *, misplaced: bool = False) -> None:
        resource = self._rng.choice((CREDITS, CREDITS, RUNS))
        amount = self._rng.choice(CREDIT_STEPS if resource == CREDITS else RUN_STEPS)
        data: dict[str, Any]
        if resource == CREDITS:
            kind, data = "usage.model_inference.v1", {"credits": f"{amount:.6f}", "model": "small-chat"}
        else:
            kind, data = "usage.tool_run.v1", {"tool": "web-search", "runs": int(amount)}
        micros = int(amount * MICRO)
        sent = self._send(account, USAGE, kind, data, resource, micros, misplaced=misplaced)
        if not misplaced:
            sent.left = micros
            account.usage.append(sent)

    def _misplaced(self, account: Account) -> None:
        self._use(account, misplaced=True)

    def _grant(self, account: Account) -> None:
        resource = self._rng.choice(RESOURCES)
        amount = self._rng.choice(GRANTS[resource])
        account.granted[resource] += amount * MICRO
        self._move(account, "credits.granted.v1", resource, amount * MICRO, {"reference": "INV-1042"})

    def _revoke(self, account: Account) -> None:
        resource = self._rng.choice(RESOURCES)
        most = account.granted[resource] // MICRO
        amount = self._rng.randint(1, most) if most and self._rng.random() < 0.85 else most + 20_000
        is_sure = amount <= most
        sent = self._move(account, "credits.revoked.v1", resource, amount * MICRO, {"reference": "INV-1042"})
        sent.is_sure = is_sure
        account.granted[resource] -= amount * MICRO if is_sure else account.granted[resource]

    def _reverse(self, account: Account) -> None:
        """All that is left, a part of it, or too much."""
        if not account.usage:
            return
        usage = self._rng.choice(account.usage)
        most = usage.left // MICRO
        fits = most > 0 and self._rng.random() < 0.85
        amount = (
            (self._rng.randint(1, most) if self._rng.random() < 0.5 else most) * MICRO if fits else usage.amount + MICRO
        )
        if usage.resource == CREDITS and fits and amount == most * MICRO:
            amount = usage.left
        sent = self._move(account, "usage.reversed.v1", usage.resource, amount, {"reverses": usage.id})
        sent.of, sent.is_sure = usage.id, fits
        usage.left -= amount if fits else 0

    def _move(self, account: Account, kind: str, resource: str, amount: int, more: dict[str, Any]) -> Sent:
        data = {"resource": resource, "amount": f"{amount // MICRO}.{amount % MICRO:06}", "reason": "trial", **more}
        return self._send(account, ACCOUNTS, kind, data, resource, amount)

    def _close(self, account: Account) -> None:
        self._send(account, ACCOUNTS, "account.closed.v1", {})

    def _reopen(self, account: Account) -> None:
        self._send(account, ACCOUNTS, "account.reopened.v1", {})

    def _again(self, account: Account) -> None:
        """The same event once more: its reply was lost."""
        own = [sent for sent in self.sent.values() if sent.account == account.name]
        if own:
            sent = self._rng.choice(own)
            self.send_again(sent)
            if sent.type == "credits.revoked.v1" and not sent.is_sure:
                account.granted[sent.resource] = 0  # refused before, it may take what was granted since

    def _garbage(self, account: Account) -> None:
        self.garbage += 1
        self._append(account.name, USAGE, b"{")

    def _reuse(self, account: Account) -> None:
        if account.usage:
            usage = self._rng.choice(account.usage)
            self.reused += 1
            self._append(account.name, USAGE, usage.value.replace(b'"data":{', b'"data":{"category":"x",').replace(
                b'"small-chat"', b'"other"').replace(b'"web-search"', b'"other"'))  # fmt: skip

    # --- sending ----------------------------------------------------------------------------------------------------

    def _send(
        self,
        account: Account,
        topic: str,
        kind: str,
        data: dict[str, Any],
        resource: str = "",
        amount: int = 0,
        *,
        misplaced: bool = False,
    ) -> Sent:
        number = EVENT_ID.format(len(self.sent))
        at = START + timedelta(seconds=self._time.passed_s)
        value = encode_event(kind, account.name, data, event_id=number, time=at, source=SOURCE)
        sent = self.sent[number] = Sent(number, kind, account.name, topic, value, resource, amount)
        self._append(account.name, topic, value, misplaced=misplaced)
        return sent

    def send_again(self, sent: Sent) -> None:
        self._append(sent.account, sent.topic, sent.value)

    def _append(self, account: str, topic: str, value: bytes, *, misplaced: bool = False) -> None:
        partition = partition_for(account.encode(), SHARDS)
        if misplaced:
            partition = (partition + 1) % SHARDS
        self._broker.append(topic, partition, account, value, HEADERS, int(self._time.passed_s * 1000))
