"""Check 1: every offset of every input partition has exactly one outcome, and the right one.

Stored, repeat, rejected, gap, or waiting for the usage that it reverses.

The topics are read again from their beginning, with another client than the services'.
"""

from array import array
from collections.abc import Iterator
from typing import Any

import asyncpg
from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.faults.load import NUMBER
from tests.faults.oracle.books import Book
from tests.faults.oracle.corrections import REJECTED, WAITING, Corrections
from tests.faults.oracle.findings import Findings
from tests.faults.truth import (
    ACCOUNTS,
    CLOSED,
    FREE,
    GARBAGE,
    GRANTED,
    OPENED,
    REOPENED,
    RESOURCES,
    REVERSED,
    REVOKED,
    USAGE,
    Truth,
    number_of,
)
from tests.faults.world import World

ABSENT = -2
READ_S = 60
STORED, REPEAT, GAP, TWICE = 1, 2, 8, 16
NAMES = {STORED: "stored", REPEAT: "repeat", REJECTED: "rejected", GAP: "gap", TWICE: "twice", WAITING: "waiting"}
ROWS = 5000
Place = tuple[str, int]  # topic, shard
Topics = dict[Place, "array[int]"]  # by offset, the number of each record
Books = dict[tuple[int, int], Book]  # by account and resource

EVENTS = """
SELECT position, kafka_offset, type, coalesce(resource, 0) AS resource, amount, account_id,
       substr(event_key, 1, 16) AS id
FROM meter.events WHERE shard = $1 ORDER BY position
"""

REPEATS = """
SELECT d.topic, lower(o) AS kafka_offset, upper(o) AS beyond
FROM meter.duplicates d
CROSS JOIN LATERAL unnest(
    coalesce(d.offsets, int8multirange(int8range(d.kafka_offset, d.kafka_offset + 1)))) AS o
WHERE d.shard = $1
"""

REJECTIONS = """
SELECT r.topic, lower(o) AS kafka_offset, upper(o) AS beyond
FROM meter.rejections r
CROSS JOIN LATERAL unnest(
    coalesce(r.offsets, int8multirange(int8range(r.kafka_offset, coalesce(r.to_offset, r.kafka_offset + 1))))) AS o
WHERE r.shard = $1
"""


def read_topics(bootstrap: str, prefix: str, partitions: int) -> Topics:
    """The number of each record (or GARBAGE) by offset."""
    return {
        (topic, shard): read_partition(bootstrap, prefix + topic, shard)
        for topic in (USAGE, ACCOUNTS)
        for shard in range(partitions)
    }


def read_partition(bootstrap: str, topic: str, shard: int) -> "array[int]":
    numbers: array[int] = array("q")
    for record in read_records(bootstrap, topic, shard):
        numbers.extend([ABSENT] * (record.offset() - len(numbers)))
        headers = dict(record.headers() or ())
        numbers.append(int.from_bytes(headers[NUMBER]) if NUMBER in headers else GARBAGE)
    return numbers


def read_records(bootstrap: str, topic: str, shard: int) -> Iterator[Any]:
    """All records of a partition, from its beginning to its end as of now."""
    options = {"bootstrap.servers": bootstrap, "group.id": "oracle", "enable.auto.commit": False, "log_level": 0}
    consumer = Consumer(options)
    try:
        place = TopicPartition(topic, shard, 0)
        _low, end = consumer.get_watermark_offsets(place, timeout=READ_S)
        consumer.assign([place])
        at = 0
        while at < end:
            # As many as there are at most: it waits until it has so many.
            records = consumer.consume(min(ROWS, end - at), timeout=READ_S)
            if not records:
                raise TimeoutError(f"{topic}[{shard}] ends at {end}, but nothing came after {at}")
            for record in records:
                if record.error() is not None:
                    raise KafkaException(record.error())
                at = record.offset() + 1
                yield record
    finally:
        consumer.close()


class OffsetCheck:
    """Reads the store shard by shard; keeps the books on the way, in the order of the log."""

    def __init__(self, world: World, topics: Topics, findings: Findings) -> None:
        self._world = world
        self._truth: Truth = world.truth
        self._topics = topics
        self._found = findings
        self._outcomes = {place: bytearray(len(numbers)) for place, numbers in topics.items()}
        self._stored = bytearray(len(world.truth))  # by number
        self._free: dict[int, int] = {}  # free grants by account
        self._corrections = Corrections(world.truth, self._stored)
        self.books: Books = {}

    async def run(self, connection: asyncpg.Connection, partitions: int) -> None:
        for shard in range(partitions):
            await self._read_events(connection, shard)
            await self._read_evidence(connection, shard)
        self._judge_offsets()
        self._judge_numbers()
        self._found.figures["offsets"] = sum(map(len, self._topics.values()))
        self._found.figures["events"] = sum(self._stored)

    # --- what the store says ----------------------------------------------------------------------------------------

    async def _read_events(self, connection: asyncpg.Connection, shard: int) -> None:
        expected = 1
        async with connection.transaction():
            async for row in connection.cursor(EVENTS, shard, prefetch=ROWS):
                if row["position"] != expected:
                    self._found.add("lost", "hole in the positions", f"shard {shard}: {row['position']} at {expected}")
                expected = row["position"] + 1
                if row["id"][6] >> 4 == 8:
                    self._take_free_grant(row)
                else:
                    self._take_event(shard, row)

    def _take_free_grant(self, row: Any) -> None:
        """What the meter adds to an opening: once per account and resource, the allowance and nothing else."""
        account = self._world.index_of(row["account_id"])
        seen = self._free.setdefault(account, 0)
        if row["type"] != GRANTED or row["amount"] != FREE.get(row["resource"]) or seen & row["resource"]:
            self._found.add("doubled", "wrong free grant", f"{row['account_id']} resource {row['resource']}")
        self._free[account] = seen | row["resource"]
        self._book(account, row["resource"]).open(row["amount"])

    def _take_event(self, shard: int, row: Any) -> None:
        number, kind = number_of(row["id"]), row["type"]
        topic = ACCOUNTS if kind >= OPENED else USAGE
        self._mark((topic, shard), row["kafka_offset"], STORED)
        truth = self._truth
        if number >= len(truth):
            self._found.add("doubled", "event that was never sent", f"shard {shard}, position {row['position']}")
            return
        if self._stored[number]:
            self._found.add("doubled", "event stored twice", f"shard {shard}, position {row['position']}")
        self._stored[number] = 1
        account, resource, amount = truth.accounts[number], truth.resources[number], truth.amounts[number]
        name = self._world.accounts[account].name
        if (kind, row["resource"], row["amount"], row["account_id"]) != (truth.kinds[number], resource, amount, name):
            self._found.add("lost", "event stored with another content", f"shard {shard}, position {row['position']}")
        if kind in (REVERSED, REVOKED):
            self._corrections.take(number)
        if kind == GRANTED:
            self._book(account, resource).grant(amount)
        elif kind == REVOKED:
            self._book(account, resource).revoke(amount)
        elif kind == REVERSED:
            self._book(account, resource).reverse(amount)
        elif kind in (CLOSED, REOPENED):
            self._close_or_reopen(account, kind)
        elif kind < OPENED:
            self._book(account, resource).use(amount)

    def _close_or_reopen(self, account: int, kind: int) -> None:
        for resource in RESOURCES:
            if (book := self.books.get((account, resource))) is not None:
                book.close() if kind == CLOSED else book.reopen()

    async def _read_evidence(self, connection: asyncpg.Connection, shard: int) -> None:
        for statement, outcome in ((REPEATS, REPEAT), (REJECTIONS, REJECTED)):
            for row in await connection.fetch(statement, shard):
                for offset in range(row["kafka_offset"], row["beyond"]):
                    self._mark((row["topic"], shard), offset, outcome)
        for row in await connection.fetch("SELECT topic, kafka_offset FROM meter.waiting WHERE shard = $1", shard):
            self._mark((row["topic"], shard), row["kafka_offset"], WAITING)
        gaps = await connection.fetch("SELECT topic, from_offset, to_offset FROM meter.gaps WHERE shard = $1", shard)
        for row in gaps:
            for offset in range(row["from_offset"], row["to_offset"]):
                self._mark((row["topic"], shard), offset, GAP)

    def _mark(self, place: Place, offset: int, outcome: int) -> None:
        outcomes = self._outcomes[place]
        if offset >= len(outcomes):
            self._found.add("doubled", "offset that the topic does not have", f"{place} {offset}")
            return
        outcomes[offset] |= TWICE if outcomes[offset] & outcome else outcome

    def _book(self, account: int, resource: int) -> Book:
        return self.books.setdefault((account, resource), Book())

    # --- what must be -----------------------------------------------------------------------------------------------

    def _judge_offsets(self) -> None:
        for place, numbers in self._topics.items():
            seen: set[int] = set()
            outcomes = self._outcomes[place]
            for offset, number in enumerate(numbers):
                found = outcomes[offset]
                if number >= 0 and number not in seen and self._corrections.may_end_as(number, found):
                    continue
                wanted = wanted_outcome(number, seen)
                if found != wanted:
                    self._complain(place, offset, wanted, found)

    def _complain(self, place: Place, offset: int, wanted: int, found: int) -> None:
        detail = f"{place[0]}[{place[1]}] offset {offset} must be {name(wanted)}, is {name(found)}"
        if found.bit_count() > 1:
            self._found.add("doubled", "offset with two outcomes", detail)
        elif found == 0:
            self._found.add("lost", "offset without an outcome", detail)
        elif found == STORED:
            self._found.add("doubled", "offset stored that must not be", detail)
        else:
            self._found.add("lost", "offset with the wrong outcome", detail)

    def _judge_numbers(self) -> None:
        sent = bytearray(len(self._truth))
        for numbers in self._topics.values():
            for number in numbers:
                if number >= 0:
                    sent[number] = 1
        for number, (on_topic, stored) in enumerate(zip(sent, self._stored, strict=True)):
            if not on_topic:
                self._found.add("lost", "acknowledged event that its topic does not have", f"number {number}")
            if not stored and not self._corrections.may_be_refused(number):
                self._found.add("lost", "event not stored", f"number {number}")
        self._corrections.judge(self._found)


def wanted_outcome(number: int, seen: set[int]) -> int:
    if number == GARBAGE:
        return REJECTED
    if number == ABSENT:
        return GAP
    if number in seen:
        return REPEAT
    seen.add(number)
    return STORED


def name(outcomes: int) -> str:
    return " and ".join(word for bit, word in NAMES.items() if outcomes & bit) or "nothing"
