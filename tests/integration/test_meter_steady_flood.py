"""An hour of a steady flood, in the time of its batches: evidence grows by its room, and goes after its retention."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from deploy.local.stack import Addresses
from meter.bounds import Room
from meter.plan import AppendPlan
from meter.roles import create_roles
from meter.runtime.postgres import Pool, load_sql
from meter.store.events import PostgresEventStore
from schemas.topics import USAGE
from tests.contract.rows import plan, rejected, rerouted, usage
from tests.support.processes import Processes

START: Final = datetime.now(UTC) - timedelta(days=100)
ROOM: Final = 16 << 10  # bytes a minute
MINUTES: Final = 60
BATCHES: Final = 6  # a minute
# Records of each outcome in a batch: record by record one batch fits into the room, and a minute takes 5 times as much.
EACH: Final = 18
ROWS: Final = """
SELECT (SELECT count(*) FROM meter.rejections), (SELECT count(*) FROM meter.duplicates),
       (SELECT count(*) FROM meter.rerouted)
"""
WEIGHT: Final = """
SELECT (SELECT coalesce(sum(256 + length(value) + length(detail)), 0) FROM meter.rejections)
     + (SELECT 256 * count(*) FROM meter.duplicates) + (SELECT 256 * count(*) FROM meter.rerouted)
"""
PACKED: Final = 1_500  # bytes of what stands for the refused records of a batch, its repeats and what is sent on


def make_batch(number: int, room: int, at: datetime) -> AppendPlan:
    first = number * 3 * EACH
    known = usage(first, event_id="again and again")
    records = [
        one
        for offset in range(first, first + 3 * EACH, 3)
        for one in (known._replace(offset=offset), rejected(USAGE, offset + 1), rerouted(USAGE, offset + 2))
    ]
    return plan(*records, start=(first, 0), at=at, room=room)


@pytest.mark.not_on_citus("`meter prune` refuses there")
async def test_an_hour_of_a_flood_grows_by_its_room_and_goes_after_its_retention(
    pool: Pool, processes: Processes, stack: Addresses, dsn: str
) -> None:
    async with pool.acquire() as connection:
        await create_roles(connection)
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    store, room = PostgresEventStore(pool), Room(ROOM)
    for number in range(MINUTES * BATCHES):
        at = START + timedelta(seconds=number * 60 / BATCHES)
        saved = await store.append(make_batch(number, room.left(0, at), at))
        room.use(0, saved.evidence, at)
    weight = await pool.fetchval(WEIGHT)
    assert 0 < weight <= ROOM * (MINUTES + 1) + PACKED * MINUTES * BATCHES
    assert weight < MINUTES * BATCHES * 3 * EACH * 256 / 2, "a flood is kept record by record"

    done = processes.run("meter", "prune", postgres_dsn=stack.dsn(dsn.rpartition("/")[2], "credit_pruner"))
    assert done.returncode == 0, done.stderr
    assert [tuple(row) for row in await pool.fetch(ROWS)] == [(0, 0, 0)]
    counted = await pool.fetch("SELECT outcome, sum(records)::int FROM meter.pruned_counts GROUP BY 1 ORDER BY 1")
    all_of_one = MINUTES * BATCHES * EACH
    assert [tuple(row) for row in counted] == [
        ("duplicate", all_of_one - 1), ("rejected", all_of_one), ("rerouted", all_of_one)
    ]  # fmt: skip
    verified = processes.run("meter", "verify", "--no-anchors")
    assert verified.returncode == 0, verified.stdout
