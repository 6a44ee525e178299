"""Little on the wire stays little in Postgres: hostile batches of every kind, measured, before the running meter."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest

from meter.runtime.postgres import Pool
from meter.settings import MeterSettings
from schemas.topics import USAGE, partition_for
from tests.support import builders
from tests.support.damaging import lift_triggers
from tests.support.meter import running_meter, set_up_meter, wait_until_stored
from tests.support.processes import Processes
from tests.support.raw_batches import ZSTD, RawProducer, batch, record
from tests.support.waiting import until

pytestmark = pytest.mark.needs_kafka("record batches stored as they were sent")
KEY: Final = builders.ACCOUNT.encode()
FACTOR: Final = 4
RANDOM: Final = random.Random(1).randbytes(60_000)
SIZE: Final = """
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
FROM pg_class c WHERE c.relnamespace = 'meter'::regnamespace AND c.relkind = 'r'
"""


def event() -> bytes:
    return json.dumps(builders.model_inference(account_id=builders.ACCOUNT)).encode()


def many(number: int, value: Callable[[int], bytes | None], key: bytes | None = KEY) -> bytes:
    return batch([record(n, value(n), key=key) for n in range(number)], kind=ZSTD)


def repeat(number: int) -> bytes:
    sent = event()
    return many(number, lambda _n: sent)


def mix(number: int) -> bytes:
    sent = event()
    return many(number, lambda n: sent if n % 2 else b"not JSON")


def alternate(number: int, value: bytes | None, headers: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """Records without an event that have no neighbours of their kind."""
    records = [record(n, b"x", key=KEY) if n % 2 else record(n, value, key=KEY, headers=headers) for n in range(number)]
    return batch(records, kind=ZSTD)


ATTACKS: Final[dict[str, Callable[[], bytes]]] = {
    "three million headers": lambda: batch([record(0, b"{}", headers=[(b"", None)] * 3_000_000)], kind=ZSTD),
    "records without anything": lambda: many(60_000, lambda _n: None),
    "short nonsense": lambda: many(60_000, lambda _n: b"x"),
    "long nonsense": lambda: many(60_000, lambda n: b"%d " % n + bytes(range(32, 127)) * 2),
    "large records": lambda: many(15, lambda n: bytes((n * i * i >> 3) % 251 for i in range(4096)) * 250),
    "large keys": lambda: batch([record(n, b"{}", key=b"k" * 1_000_000) for n in range(15)], kind=ZSTD),
    "one event again and again": lambda: repeat(40_000),
    "nonsense between repeats": lambda: mix(60_000),
    "nothing between nonsense": lambda: alternate(60_000, None),
    "large headers of nothing": lambda: alternate(480, None, [(b"h", RANDOM)]),
    "large records between nonsense": lambda: alternate(240, RANDOM * 2),
}


async def write(settings: MeterSettings, shard: int, *batches: bytes) -> None:
    async with RawProducer(settings.kafka_bootstrap) as producer:
        for written in batches:
            await producer.send(settings.topic(USAGE), shard, written)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
async def test_little_on_the_wire_stays_little_in_postgres(
    values: dict[str, Any], pool: Pool, attack: Callable[[], bytes]
) -> None:
    """Record by record these took from 6 MB (repeats) to 26 MB (long nonsense)."""
    await set_up_meter(values)
    settings = MeterSettings(**values)
    written = attack()
    before = await pool.fetchval(SIZE)
    await write(settings, partition_for(KEY, settings.partitions), written)
    async with running_meter(settings):
        await wait_until_stored(pool, settings, 120)
    grown = await pool.fetchval(SIZE) - before
    assert grown <= settings.evidence_bytes + FACTOR * len(written), f"{len(written)} bytes on the wire"


async def test_one_event_again_and_again_in_a_wrong_partition_stays_little(
    values: dict[str, Any], pool: Pool, processes: Processes
) -> None:
    """One row, and one copy is sent on: where it belongs it counts once, and the chain covers which records it were."""
    await set_up_meter(values)
    settings = MeterSettings(**values)
    written, before = repeat(40_000), await pool.fetchval(SIZE)
    await write(settings, (partition_for(KEY, settings.partitions) + 1) % settings.partitions, written)
    async with running_meter(settings):
        await wait_until_stored(pool, settings, 120)

        async def is_counted() -> bool:
            return bool(await pool.fetchval("SELECT count(*) = 1 FROM meter.events"))

        await until(is_counted, timeout_s=30, message="the event is not sent on")
    assert await pool.fetchval(SIZE) - before <= settings.evidence_bytes + FACTOR * len(written)
    listed = json.loads(processes.run("meter", "rerouted", "--json").stdout)
    assert (listed["records"], listed["accounts"]) == (40_000, 1)
    verified = processes.run("meter", "verify", "--no-anchors")
    assert verified.returncode == 0, verified.stdout


async def test_an_honest_producer_with_a_bug_loses_nothing(
    values: dict[str, Any], pool: Pool, processes: Processes
) -> None:
    """In the place of credits it sends thousandths. What was packed is listed, shown, in the chain, and replayed."""
    strict = MeterSettings(**values, evidence_bytes=0)
    await set_up_meter(values)
    shard = partition_for(KEY, strict.partitions)
    # Every third is good, and lies between those that are packed.
    sent = [
        json.dumps(builders.model_inference("1" if n % 3 == 0 else "20000", account_id=builders.ACCOUNT)).encode()
        for n in range(300)
    ]
    await write(strict, shard, many(len(sent), sent.__getitem__))
    async with running_meter(strict):
        await wait_until_stored(pool, strict)
    assert await pool.fetchval("SELECT count(*) FROM meter.events") == 100
    listed = [json.loads(line) for line in processes.run("meter", "rejections", "list", "--json").stdout.splitlines()]
    assert sum(line["records"] for line in listed) == 200 and len(listed) < 10
    verified = processes.run("meter", "verify", "--no-anchors")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    number = str(listed[-1]["id"])
    shown = json.loads(processes.run("meter", "rejections", "show", number, "--json").stdout)
    assert shown["packed_records"] == listed[-1]["records"] and "20000" in shown["value"]
    raw = processes.run("meter", "rejections", "show", number, "--raw").stdout.splitlines()
    assert json.loads(raw[0]) == json.loads(sent[1])
    refused = processes.run("meter", "rejections", "replay", number)
    assert refused.returncode == 1
    assert f"{listed[-1]['records']} of its {listed[-1]['records']} records would be rejected again" in refused.stderr
    lenient = MeterSettings(**values, max_usage_credits="20000")
    numbers = [str(line["id"]) for line in listed]
    done = processes.run("meter", "rejections", "replay", *numbers, "--no-wait", max_usage_credits="20000")
    assert done.returncode == 0, done.stderr
    async with running_meter(lenient):
        await wait_until_stored(pool, lenient)
    assert await pool.fetchval("SELECT sum(amount) FROM meter.events") == (100 + 200 * 20_000) * 1_000_000


@pytest.mark.parametrize("table", ["rejections", "duplicates"])
async def test_the_chain_covers_the_offsets_of_what_was_packed(
    values: dict[str, Any], pool: Pool, processes: Processes, table: str
) -> None:
    """Other offsets of the same number and sum: only the chain can tell."""
    strict = MeterSettings(**values, evidence_bytes=0)
    await set_up_meter(values)
    sent = event()
    kinds = many(400, lambda n: (b"x", event(), sent, event())[n % 4])
    await write(strict, partition_for(KEY, strict.partitions), kinds)
    async with running_meter(strict):
        await wait_until_stored(pool, strict)
    assert processes.run("meter", "verify", "--no-anchors").returncode == 0
    await lift_triggers(pool, f"meter.{table}")
    await pool.execute(
        f"""UPDATE meter.{table} SET offsets = (
               SELECT range_agg(int8range(lower(o) + shift, upper(o) + shift))
               FROM (SELECT o, CASE row_number() OVER (ORDER BY o) WHEN 3 THEN 1 WHEN 4 THEN -1 ELSE 0 END AS shift
                     FROM unnest(offsets) o) s)
            WHERE offsets IS NOT NULL"""
    )
    found = processes.run("meter", "verify", "--no-anchors", "--json")
    assert found.returncode == 1 and "batch_changed" in found.stdout
