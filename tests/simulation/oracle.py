"""What must hold at the end of a history, by the ledger of the fault campaign (tests/faults/oracle/books.py).

What readers must have got is in letters.py.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from schemas.topics import ACCOUNTS, BALANCES, USAGE
from tests.faults.oracle.books import Book, lines_of
from tests.faults.truth import (
    CLOSED,
    CONTACTS_CHANGED,
    FREE,
    GRANTED,
    OPENED,
    REOPENED,
    RESOURCES,
    REVERSED,
    REVOKED,
    TYPES,
)
from tests.simulation.database import SHARDS
from tests.simulation.producer import Sent

if TYPE_CHECKING:
    from tests.simulation.play import World

OWN_SOURCE = "/credit-meter/meter"
CODES = {name: code for code, name in TYPES.items()}
RESOURCE_CODES = {name: code for code, name in RESOURCES.items()}
TOO_EARLY = "time_ahead"
Key = tuple[str, str]


@dataclass
class Ledger:
    """What the stored events mean, by the rules alone."""

    books: dict[Key, Book] = field(default_factory=lambda: defaultdict(Book))
    contacts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    always: dict[str, set[str]] = field(default_factory=dict)  # who was a contact from the opening on
    opened: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)

    def take(self, sent: Sent) -> None:
        code, name = CODES[sent.type], sent.account
        if code == OPENED:
            self._open(name, tuple(json.loads(sent.value)["data"]["contacts"]))
        elif code == CONTACTS_CHANGED:
            self._list(name, tuple(json.loads(sent.value)["data"]["contacts"]))
        elif code in (CLOSED, REOPENED):
            self._close_or_reopen(name, close=code == CLOSED)
        else:
            self._move(code, self.books[name, sent.resource], sent.amount)

    def _open(self, name: str, contacts: tuple[str, ...]) -> None:
        if name in self.opened:
            return
        self.opened.add(name)
        self._list(name, self.contacts.get(name, contacts))
        self.always[name] = set(self.contacts[name])
        for code, free in FREE.items():
            self.books[name, RESOURCES[code]].open(free)

    def _list(self, name: str, contacts: tuple[str, ...]) -> None:
        self.contacts[name] = contacts
        if name in self.always:
            self.always[name] &= set(contacts)

    def _close_or_reopen(self, name: str, *, close: bool) -> None:
        if name in self.opened:
            (self.closed.add if close else self.closed.discard)(name)
            for resource in RESOURCES.values():
                self.books[name, resource].closed = close

    @staticmethod
    def _move(code: int, book: Book, amount: int) -> None:
        if code == GRANTED:
            book.grant(amount)
        elif code == REVOKED:
            book.revoke(amount)
        elif code == REVERSED:
            book.reverse(amount)
        else:
            book.use(amount)


def keep_ledger(world: "World") -> Ledger:
    ledger = Ledger()
    for shard in range(SHARDS):
        for row in world.database.events.rows(shard):
            if row.source != OWN_SOURCE and row.event_id in world.producer.sent:
                ledger.take(world.producer.sent[row.event_id])
    return ledger


def find_too_early(world: "World") -> list[Sent]:
    """Events that were rejected because a clock was an hour behind: `meter rejections replay` sends them again."""
    found = {}
    for shard in range(SHARDS):
        for topic, offset, reason in world.database.events.shard(shard).log.rejections:
            if reason == TOO_EARLY:
                number = json.loads(world.broker.logs[topic, shard][offset].value or b"")["id"]
                found[number] = world.producer.sent[number]
    return list(found.values())


def check_offsets(world: "World") -> Iterator[str]:
    """Every offset has one outcome, and positions are as many as the offsets say."""
    for shard in range(SHARDS):
        held = world.database.events.shard(shard)
        log, read = held.log, Counter[tuple[str, int]]()
        read.update((row.topic, row.offset) for row in held.rows if row.source != OWN_SOURCE)
        for entries in (log.duplicates, log.rejections, log.rerouted, log.waiting):
            read.update((entry[0], entry[1]) for entry in entries)
        for topic in (USAGE, ACCOUNTS):
            for offset in range(world.broker.end(topic, shard)):
                if read[topic, offset] != 1:
                    yield f"offset with {read[topic, offset]} outcomes: {topic}[{shard}] {offset}"


def check_events(world: "World") -> Iterator[str]:
    """What was sent is stored once, as it was sent; what may be refused is stored once or not at all."""
    stored = Counter[str]()
    taken = Counter[str]()
    early = {sent.id for sent in find_too_early(world)}
    sent = world.producer.sent
    for shard in range(SHARDS):
        for row in world.database.events.rows(shard):
            if row.source == OWN_SOURCE:
                continue
            stored[row.event_id] += 1
            was = sent[row.event_id]
            if (row.account_id, row.amount) != (was.account, was.amount):
                yield f"event stored otherwise than it was sent: {row.event_id}"
            if was.of:
                taken[was.of] += was.amount
    late = {sent[number].account for number in early}
    for number, each in sent.items():
        least = int(each.is_sure and not (each.account in late and CODES[each.type] in (REVERSED, REVOKED)))
        if not least <= stored[number] <= 1:
            yield f"event stored {stored[number]} times: {number} {each.type}"
    for number, amount in taken.items():
        if amount > sent[number].amount:
            yield f"more reversed than the event was: {number}"


def check_balances(world: "World", ledger: Ledger) -> Iterator[str]:
    states = dict(world.database.folds.balances)
    for (name, resource), book in ledger.books.items():
        state = states.pop((name, RESOURCE_CODES[resource]), None)
        wanted = book.granted, book.consumed, book.base, book.epoch, tuple(book.totals), book.allowed
        if state is None:
            if book.epochs or book.granted or book.consumed:
                yield f"balance that is missing: {name} {resource}"
        elif (*state[3:8], state.allowed) != wanted:
            yield f"balance that is not the sum of its events: {name} {resource} {state[3:8]}, must be {wanted}"
    for key in states:
        yield f"balance of nobody: {key}"


def check_notices(world: "World", ledger: Ledger) -> Iterator[str]:
    """Every line that was reached, in every epoch, once; and the notifier knows the balance to the percent."""
    found: defaultdict[Key, dict[tuple[int, str, int], str]] = defaultdict(dict)
    for row in world.database.notices.notices.values():
        notice, balance = row.notice, row.notice.balance
        line = balance.epoch, notice.channel.value, notice.threshold
        found[balance.account_id, balance.resource][line] = notice.outcome.value
    for key in ledger.books.keys() | found.keys():
        wanted = lines_of(ledger.books[key])
        for line in wanted.keys() ^ found[key].keys():
            yield f"notice {'missing' if line in wanted else 'that must not be'}: {key} {line}"
        for line in wanted.keys() & found[key].keys():
            if wanted[line] != (found[key][line] == "seeded"):
                yield f"notice with the wrong outcome: {key} {line} {found[key][line]}"
    known = world.database.notices.known.balances
    for key, book in ledger.books.items():
        if book.epochs and (key not in known or (known[key].epoch, known[key].percent) != (book.epoch, book.percent)):
            state = f"{book.epoch}, {book.percent} %"
            yield f"balance known wrongly to the notifier: {key} {known.get(key)}, must be {state}"


def check_banners(world: "World", ledger: Ledger) -> Iterator[str]:
    known = world.database.notices.known
    for key in ledger.books.keys() | known.banners.keys():
        shown, book = known.banners.get(key), ledger.books[key]
        if (shown.threshold if shown else None) != book.banner:
            yield f"banner that is not true: {key} {shown}, must be {book.banner}"
        elif shown is not None and shown.kind.value != book.banner_kind:
            yield f"banner with another text: {key} {shown.kind.value}, must be {book.banner_kind}"
    for name, account in known.accounts.items():
        if account.is_open == (name in ledger.closed):
            yield f"account known wrongly to the notifier: {name}"


def check_published(world: "World", ledger: Ledger) -> Iterator[str]:
    """What is on metering.balances last, of the newest generation and position, is true."""
    newest: dict[Key, tuple[tuple[int, int], dict[str, object]]] = {}
    for shard in range(SHARDS):
        for record in world.broker.logs[BALANCES, shard]:
            data = json.loads(record.value or b"")["data"]
            if "percent" in data:
                age = data.get("generation", 1), data["position"]
                key = data["account_id"], data["resource"]
                if key not in newest or age >= newest[key][0]:
                    newest[key] = age, data
    for key, book in ledger.books.items():
        if book.epochs:
            told = newest[key][1] if key in newest else {}
            if (told.get("epoch"), told.get("percent"), told.get("allowed")) != (
                book.epoch,
                book.percent,
                book.allowed,
            ):
                yield f"balance published wrongly: {key} {told}, must be {book.epoch}, {book.percent} %"
