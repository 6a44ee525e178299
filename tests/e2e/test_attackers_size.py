"""Attackers who may write metering.usage alone, and what is much for others: memory, Postgres, sums past BIGINT, and a
transaction that never ends. The services run under their own users and roles, and honest usage goes on beside.

Attack by attack, the tests with the attacker's exact rights:

undecodable      test_attackers.py::test_batches_that_no_client_reads_end_nothing
amplification    test_little_on_the_wire_stays_little (here)
overflow         test_usage_past_bigint_stays_exact_and_holds_up_no_shard (here), and with the limits as they are
                 test_tokens_past_bigint_stay_exact_and_hold_up_no_shard (here),
                 test_attackers.py::test_a_flood_of_great_amounts_charges_nobody
frozen           test_a_transaction_of_a_producer_who_may_begin_one_is_named (here); without that right
                 test_attackers.py::test_who_may_write_usage_alone_holds_no_partition
who may charge   test_attackers.py::test_a_source_charges_no_accounts_but_its_own,
whom             ::test_names_without_end_stay_little_for_readers,
                 ::test_deployments_and_statuses_without_end_stay_little_for_readers,
                 ::test_made_up_accounts_are_counted_and_in_no_view_of_readers,
                 ::test_who_may_write_usage_alone_reaches_no_other_topic
unusual records  test_attackers_unusual.py
roles            test_attackers.py::test_what_every_role_can_do_holds_nobody_up; each right, statement and lock:
                 integration/test_meter_owner.py, test_meter_roles.py, test_meter_role_locks.py
"""

# ruff: noqa: F811  # fixtures that are imported are named again by the tests that take them

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaProducer

from deploy.kafka_acls import Right
from meter.runtime.kafka.adapter.options import client_options
from meter.store.events import PostgresEventStore
from schemas.limits import MAX_TOKENS
from schemas.topics import ACCOUNTS, USAGE
from tests.contract import rows
from tests.e2e.attacked import HONEST, Attacked, account_of, attacked, own  # noqa: F401  # fixtures are arguments below
from tests.fuzz.batch_level import SIZE
from tests.integration.test_meter_amplification import FACTOR
from tests.support import builders
from tests.support.own_kafka import stack  # noqa: F401  # fixtures are arguments below
from tests.support.raw_batches import ZSTD, batch, record
from tests.support.tls_kafka import TlsKafka, certificates, kafka  # noqa: F401  # fixtures are arguments below
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("tls_kafka")

GREATEST: Final = 10_000_000  # credits of one event, where an operator allows the most there is
MICRO: Final = 1_000_000
PAST: Final = 9_224 * 10**15  # a little more than 2**63, and a multiple of all that one event can say
IN_BATCH: Final = 20_000
MANY: Final = 2 * IN_BATCH  # events of the greatest: the total is past 2**63 with the last of them
BEFORE: Final = PAST - MANY * GREATEST * MICRO  # in one event, in the place of 882,400 of the greatest
READ_S: Final = 900  # for so many, on a busy machine


def swell(records: int) -> bytes:
    return batch([record(n, b"%d " % (n // 4) + b"x" * 1_360, key=b"k") for n in range(records)], kind=ZSTD)


ATTACKS: Final[dict[str, Callable[[], bytes]]] = {
    # As many as a batch can hold: read one by one they take more memory than the meter's container has.
    "eight million empty headers in 2 kB": lambda: batch(
        [record(0, b"{}", key=b"k", headers=[(b"", None)] * 8_000_000)], kind=ZSTD
    ),
    "82 kB of empty records": lambda: batch([record(n, None) for n in range(10_100)]),
    "84 kB that unpack to 34 MB": lambda: swell(25_000),
    "34 kB that unpack to 14 MB, as is still read": lambda: swell(10_000),
}


@pytest.fixture
async def transaction(attacked: Attacked, kafka: TlsKafka, topic_prefix: str) -> AsyncIterator[AIOKafkaProducer]:
    """Begun by `usage-producer`, who was given the one right that it takes."""
    right = Right("usage-producer", "Write", "transactional-id", "usage")
    kafka.give(right, topic_prefix)
    made = AIOKafkaProducer(**client_options(attacked.attacker), transactional_id=topic_prefix + right.name)
    await made.start()
    await made.begin_transaction()
    yield made
    await made.stop()
    kafka.take(right, topic_prefix)


async def test_little_on_the_wire_stays_little(attacked: Attacked) -> None:
    """They took 550 MB and half a minute, and wrote 20 and 34 MB. `goes_on` holds memory to that of the containers."""
    settings = attacked.settings
    before, began, wire = await attacked.pool.fetchval(SIZE), time.monotonic(), 0
    for make in ATTACKS.values():
        written = make()
        for shard in range(settings.partitions):
            await attacked.write(written, shard)
        wire += len(written) * settings.partitions
        await attacked.goes_on()
    await attacked.is_read()
    minutes = int((time.monotonic() - began) / 60) + 1
    room = settings.evidence_bytes * settings.partitions * minutes
    grown = await attacked.pool.fetchval(SIZE) - before
    assert grown <= room + FACTOR * wire, f"{wire} bytes on the wire"


def write_many(number: int, account: str, **data: Any) -> Iterator[bytes]:
    """Batches of so many events, all with ids of their own."""
    event = builders.model_inference(account_id=account, id="ID", time=datetime.now(UTC).isoformat(), source=HONEST)
    told = builders.encode(event | {"data": event["data"] | data})
    for first in range(0, number, IN_BATCH):
        numbers = range(first, min(first + IN_BATCH, number))
        values = (told.replace(b"ID", builders.event_id(one).encode(), 1) for one in numbers)
        yield batch([record(n, value, key=account.encode()) for n, value in enumerate(values)], kind=ZSTD)


async def store_before(attacked: Attacked, account: str, amount: int) -> None:
    """One event of so many micro-units, at the offset of its record. No meter would take it, so none runs meanwhile."""
    meter = attacked.services["meter"]
    meter.terminate()
    assert meter.wait() == 0, meter.output()
    [written] = write_many(1, account, credits=str(GREATEST))
    await attacked.write(written, 0)
    store, now = PostgresEventStore(attacked.pool), datetime.now(UTC)
    offsets = await store.fetch_offsets([USAGE, ACCOUNTS], [0])
    start = offsets[USAGE, 0], offsets[ACCOUNTS, 0]
    event = rows.usage(start[0], account_id=account, amount=amount, source=HONEST, occurred_at=now)
    await store.append(rows.plan(event, start=start, at=now))
    meter.start()


async def write_and_compare(
    attacked: Attacked, account: str, number: int, sums: str, already: int = 0, **data: Any
) -> None:
    """Until the sums of the account are what was used before, then PAST. A statement gives each as text in a column."""

    async def are(total: int) -> bool:
        [row] = await attacked.pool.fetch(sums, account)
        return set(row) == {str(total) if total else None}

    await until(lambda: are(already), READ_S, "the totals are not what was used before")
    for written in write_many(number, account, **data):
        await attacked.write(written, 0)
    await attacked.is_read(READ_S)
    await attacked.goes_on()
    await until(lambda: are(PAST), READ_S, "the totals are not what was used")
    assert not attacked.services["projections"].logged("shard_set_aside")
    await attacked.goes_on()


@pytest.mark.parametrize("own", [{"max_usage_credits": str(GREATEST)}], indirect=True, ids=["the most allowed"])
async def test_usage_past_bigint_stays_exact_and_holds_up_no_shard(attacked: Attacked) -> None:
    """It ended the fold of all shards at every start. One event, folded by itself, brings the total near 2**63; usage
    as any producer may send it takes it past."""
    account = account_of(0, attacked.settings.partitions, "overflowing")
    await store_before(attacked, account, BEFORE)
    sums = """SELECT (SELECT sum(consumed) FROM projections.balance_states WHERE account_id = $1)::text,
                     (SELECT sum(amount) FROM projections.usage_slots WHERE account_id = $1)::text"""
    assert BEFORE < 2**63 - 1 < PAST
    await write_and_compare(attacked, account, MANY, sums, BEFORE, credits=str(GREATEST))


async def test_tokens_past_bigint_stay_exact_and_hold_up_no_shard(attacked: Attacked) -> None:
    """The same with the limits as they are, and few events: tokens are summed as well."""
    sums = """SELECT (SELECT sum(tokens_in) FROM projections.usage_slots WHERE account_id = $1)::text,
                     (SELECT sum(tokens_out) FROM projections.usage_slots WHERE account_id = $1)::text"""
    account = account_of(0, attacked.settings.partitions, "overflowing")
    tokens = dict.fromkeys(("input_tokens", "output_tokens"), MAX_TOKENS)
    await write_and_compare(attacked, account, PAST // MAX_TOKENS, sums, credits="0.000001", **tokens)


async def test_a_transaction_of_a_producer_who_may_begin_one_is_named(
    attacked: Attacked, transaction: AIOKafkaProducer
) -> None:
    """Lag was 0 and /readyz said ready, while the shard stood still."""
    meter, held = attacked.services["meter"], account_of(0, attacked.settings.partitions, "held")
    used = builders.encode(builders.model_inference("1", held, time=None))
    await transaction.send_and_wait(attacked.settings.topic(USAGE), used, key=held.encode(), partition=0)
    await attacked.use()

    def named() -> str:
        status, body = meter.get("/readyz")
        return str(json.loads(body)["faults"].get(f"{USAGE} 0", "")) if status == HTTPStatus.SERVICE_UNAVAILABLE else ""

    await until(named, 60, "readiness names nothing")
    assert f"an open transaction holds back 2 records of {USAGE}, partition 0, from offset" in named()
    assert 'metering_lag_records{shard="0"} 2.0' in meter.get("/metrics")[1]
    await until(lambda: attacked.is_counted(1, 2), 60, "another shard waits as well")
    assert not await attacked.is_counted(0)
    await transaction.abort_transaction()
    await until(lambda: meter.get("/readyz")[0] == HTTPStatus.OK, 60, "not ready again")
    stored: Any = await attacked.pool.fetchval("SELECT count(*) FROM meter.events WHERE account_id = $1", held)
    assert stored == 0
