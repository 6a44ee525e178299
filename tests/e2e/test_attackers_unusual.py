"""Unusual records of who may write metering.usage alone, before the running services: each has the outcome of the
contract, the meter reads on, its metrics stay few, and honest usage beside them counts.
"""

# ruff: noqa: F811  # fixtures that are imported are named again by the tests that take them

import contextlib
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from struct import pack_into
from typing import Any, Final

import pytest
from aiokafka.errors import KafkaError

from schemas.topics import REROUTED_HEADER, WAITED_HEADER
from tests.e2e.attacked import Attacked, account_of, attacked, own  # noqa: F401  # fixtures are arguments below
from tests.fuzz.batches import TIMES_AT
from tests.support import builders
from tests.support.own_kafka import stack  # noqa: F401  # fixtures are arguments below
from tests.support.raw_batches import ZSTD, batch, record, reseal
from tests.support.tls_kafka import certificates, kafka  # noqa: F401  # fixtures are arguments below
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("tls_kafka")

COUNTED: Final = "counted"
LAST: Final = 2**63 - 1  # milliseconds: the year 292278994
TIMESTAMPS: Final = (LAST, -LAST, 2**62, 253_402_300_800_000)  # the last one: the first of the year 10000
PRODUCERS: Final = range(64)  # the broker gives out ids from 0 on
NEWEST_EPOCH: Final = 2**15 - 2
PRODUCER_AT: Final = 43  # of a batch: the producer's id, its epoch and the sequence of the first record
REROUTED, WAITED = REROUTED_HEADER.encode(), WAITED_HEADER.encode()
OWN_HEADERS: Final = [(REROUTED, b"0/0/1"), (WAITED, b"9/9/all"), (REROUTED, b"\xff" * 900)]
TWO_TYPES: Final = [(b"content-type", b"application/cloudevents+json"), (b"content-type", b"text/plain")]
USED: Final = '{"credits":"1","model":"odd"'
Data = dict[str, Any]


def used(account: str, data: Data | None = None, **attributes: Any) -> Data:
    time = datetime.now(UTC).isoformat()
    event = builders.event("usage.model_inference.v1", {"credits": "1", "model": "odd"}, account, time=time)
    event["data"] |= data or {}
    return event | attributes


def plain(account: str, data: Data | None = None, **attributes: Any) -> bytes:
    return written(account, json.dumps(used(account, data, **attributes)).encode())


def written(account: str, value: bytes | None, *, key: bytes | None = None, headers: Any = ()) -> bytes:
    return batch([record(0, value, key=account.encode() if key is None else key, headers=headers)], kind=ZSTD)


def spliced(account: str, data: str, **attributes: Any) -> bytes:
    """An event whose data is this text."""
    event = used(account, **attributes) | {"data": "DATA"}
    return written(account, json.dumps(event).replace('"DATA"', data).encode())


def binary(account: str, *headers: tuple[bytes, bytes]) -> bytes:
    event = used(account)
    named = [(f"ce_{name}".encode(), str(value).encode()) for name, value in event.items() if name != "data"]
    return written(account, json.dumps(event["data"]).encode(), headers=[*named, *headers])


def at_time(made: bytes, millis: int) -> bytes:
    """What the head says of the first and the last time."""
    changed = bytearray(made)
    pack_into(">qq", changed, TIMES_AT, millis, millis)
    return reseal(bytes(changed))


def timeless(account: str) -> bytes:
    return written(account, json.dumps({k: v for k, v in used(account).items() if k != "time"}).encode())


UNUSUAL: Final[dict[str, tuple[str, Callable[[str], bytes]]]] = {
    "a tombstone": ("empty", lambda a: written(a, None)),
    "nothing at all": ("empty", lambda a: batch([record(0, None)])),
    "a huge key": ("too_large", lambda a: written(a, b"{}", key=b"k" * 900_000)),
    "a key that begins with the subject": ("key_mismatch", lambda a: written(a, value_of(a), key=f"{a}\0".encode())),
    "the key of somebody else": ("key_mismatch", lambda a: written(a, value_of(a), key=b"somebody-else")),
    "no key": (COUNTED, lambda a: batch([record(0, value_of(a))])),
    "an id of 60 kB": ("invalid_id", lambda a: plain(a, id="i" * 60_000)),
    "an id of 900 kB": ("too_large", lambda a: plain(a, id="i" * 900_000)),
    "an id with a line end": ("invalid_id", lambda a: plain(a, id="one\ntwo")),
    "lists in lists": ("too_deep", lambda a: written(a, b"[" * 30_000 + b"]" * 30_000)),
    "lists in lists in the data": ("too_deep", lambda a: spliced(a, USED + ',"x":' + "[" * 99 + "]" * 99 + "}")),
    "5,000 keys": (COUNTED, lambda a: plain(a, {f"k{number}": 1 for number in range(5_000)})),
    "100,000 keys": ("too_large", lambda a: plain(a, {f"k{number}": 1 for number in range(100_000)})),
    "60,000 digits": ("invalid_amount", lambda a: spliced(a, '{"credits":' + "9" * 60_000 + ',"model":"odd"}')),
    "60,000 digits for information": (COUNTED, lambda a: spliced(a, f'{USED},"seconds":{"9" * 60_000}}}')),
    "a million digits": ("too_large", lambda a: spliced(a, '{"credits":' + "9" * 1_000_000 + ',"model":"odd"}')),
    "an endless exponent": ("invalid_amount", lambda a: spliced(a, '{"credits":1e999999999999,"model":"odd"}')),
    "no number": ("not_json", lambda a: spliced(a, '{"credits":NaN,"model":"odd"}')),
    "a key twice": ("duplicate_key", lambda a: spliced(a, USED + ',"credits":"2"}')),
    "a key twice, in two spellings": ("duplicate_key", lambda a: spliced(a, USED + ',"cr\\u0065dits":"2"}')),
    "an id twice in headers": ("duplicate_key", lambda a: binary(a, (b"ce_id", b"another"))),
    "an id twice, in capitals": ("duplicate_key", lambda a: binary(a, (b"CE_ID", b"another"))),
    "the content type twice": (COUNTED, lambda a: written(a, value_of(a), headers=TWO_TYPES)),
    "headers of the meter's own": (COUNTED, lambda a: written(a, value_of(a), headers=OWN_HEADERS)),
    "a time of the year 292278994": ("invalid_time", lambda a: plain(a, time="292278994-08-17T07:12:55Z")),
    "a time of a second that is none": ("invalid_time", lambda a: plain(a, time="2026-06-30T23:59:60Z")),
    "no time, and a timestamp of before 1970": ("invalid_time", lambda a: at_time(timeless(a), -1)),
    "the source of the meter": ("source_reserved", lambda a: plain(a, source="/credit-meter/meter")),
    "a field of every name": (COUNTED, lambda a: plain(a, {f"f{n}": "\0" for n in range(1_500)})),
}  # fmt: skip


def value_of(account: str) -> bytes:
    return json.dumps(used(account)).encode()


async def count_used(attacked: Attacked, account: str) -> int:
    return int(await attacked.pool.fetchval("SELECT count(*) FROM meter.events WHERE account_id = $1", account))


async def test_unusual_records_have_the_outcomes_of_the_contract(attacked: Attacked) -> None:
    account, wanted = account_of(0, attacked.settings.partitions, "odd"), Counter[str]()
    for outcome, make in UNUSUAL.values():
        await attacked.write(make(account), 0)
        wanted[outcome] += 1
    await attacked.goes_on()
    await attacked.is_read()
    assert await attacked.count_refused() | {COUNTED: await count_used(attacked, account)} == wanted
    series = attacked.services["meter"].get("/metrics")[1]
    assert len(series.splitlines()) < 1_000, "the metrics grow with what is written"


async def test_timestamps_of_the_end_of_time_stop_nothing(attacked: Attacked) -> None:
    """The broker here takes them. Where one would be the event's time, the record is refused; else it counts."""
    account = account_of(0, attacked.settings.partitions, "odd")
    for millis in TIMESTAMPS:
        for make in (timeless, lambda a: written(a, value_of(a))):
            await attacked.write(at_time(make(account), millis), 0)
    await attacked.goes_on()
    await attacked.is_read()
    assert await attacked.count_refused() == {"invalid_time": len(TIMESTAMPS)}
    assert await count_used(attacked, account) == len(TIMESTAMPS)


@pytest.mark.parametrize("value", ["an event", "nonsense"])
async def test_times_that_go_round_stop_nothing(attacked: Attacked, value: str) -> None:
    """The sum of a batch's time and a record's is beyond 64 bits and means now, to the broker and to every client. A
    header that is no text has such a record read one by one; what is sent on, or packed, must hold its time."""
    account, now = account_of(0, attacked.settings.partitions, "odd"), int(datetime.now(UTC).timestamp() * 1000)
    shard, number, sent = (1, 1, value_of(account)) if value == "an event" else (0, 5_000, b"x" * 100)
    whose = account.encode()
    records = [record(n, sent, key=whose, headers=[(b"\xff", b"x")], since=now - 2**63) for n in range(number)]
    await attacked.write(at_time(batch(records), -(2**63)), shard)
    await attacked.goes_on()
    await attacked.is_read()
    if value == "an event":
        assert await count_used(attacked, account) == 1
    else:
        assert await attacked.count_refused() == {"not_json": number}


async def test_what_a_stranger_sends_on_counts_once(attacked: Attacked) -> None:
    """In every wrong partition, with a header that says it was sent on before, by fewer shards or as many."""
    partitions = attacked.settings.partitions
    account, refused = account_of(0, partitions, "odd"), 0
    for shard in range(1, partitions):
        for origin in (None, b"0/0/1", b"0/0/%d" % partitions, b"", b"\xff", b"1/1/99999999999999999999"):
            headers = [] if origin is None else [(REROUTED, origin)]
            await attacked.write(written(account, value_of(account), headers=headers), shard)
            refused += origin not in (None, b"0/0/1")
    sent_on = 2 * (partitions - 1)

    async def is_counted() -> bool:
        return await count_used(attacked, account) == sent_on

    await until(is_counted, 60, "what lay in a wrong partition is not sent on")
    await attacked.goes_on()
    await attacked.is_read()
    assert await attacked.count_refused() == {"wrong_partition": refused}


async def test_who_takes_the_ids_of_producers_keeps_nothing_from_being_sent_on(attacked: Attacked) -> None:
    """The broker tells idempotent producers apart by a small number, and believes whoever names one. With an epoch that
    is newer it refuses what the other sends; with the same one it takes that for a repeat and drops it."""
    shard = 1
    account = account_of(shard, attacked.settings.partitions, "odd")
    for number in PRODUCERS:
        for epoch in (0, NEWEST_EPOCH):
            made = bytearray(written(account, b"{}"))
            pack_into(">qhi", made, PRODUCER_AT, number, epoch, 0)
            with contextlib.suppress(KafkaError):  # its owner has written more already
                await attacked.write(reseal(bytes(made)), shard)
    await attacked.write(written(account, value_of(account)), 0)

    async def is_counted() -> bool:
        return await count_used(attacked, account) == 1

    await until(is_counted, 60, "what lay in a wrong partition is not sent on")
    await attacked.goes_on()
