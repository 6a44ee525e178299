"""The event store in Postgres makes of any history what the one in memory makes of it, in one batch and one by one."""

import asyncio
from dataclasses import replace
from itertools import count

from hypothesis import Phase, given, settings

from meter.runtime.postgres import Pool, close_pool, create_pool, load_sql
from meter.store.events import PostgresEventStore
from tests.contract.log import Log, read_postgres_log
from tests.contract.memory_store import MemoryEventStore
from tests.support.examples import examples
from tests.unit.meter.cutting import append_cut, append_one_by_one
from tests.unit.meter.histories import Drawn, Writer, histories


def comparable(log: Log) -> Log:
    """Without the hashes: names are sealed with keys of their own."""
    return replace(
        log, duplicates=sorted(log.duplicates), rejections=sorted(log.rejections), gaps=[], hashes=[],
        rerouted=sorted(log.rerouted), links=sorted(log.links), waiting=sorted(log.waiting),
    )  # fmt: skip


async def compare(pool: Pool, drawn: list[Drawn], first_shard: int) -> None:
    results = list(Writer(in_order=False).write(drawn))
    memory, store = MemoryEventStore(1), PostgresEventStore(pool)
    await pool.execute(load_sql("meter", "insert_shards"), first_shard + 2)
    await append_cut(memory, results, ())
    await append_cut(store, results, (), first_shard)
    await append_one_by_one(store, results, first_shard + 1)
    wanted = comparable(memory.log(0))
    assert comparable(await read_postgres_log(pool, first_shard)) == wanted
    assert comparable(await read_postgres_log(pool, first_shard + 1)) == wanted


def test_any_history_ends_alike_in_one_batch_and_one_by_one(dsn: str) -> None:
    """With records that Postgres refuses, repeats, and accounts that are forgotten. A history has shards of its own."""
    shards = count(0, 2)
    with asyncio.Runner() as runner:
        pool = runner.run(create_pool(dsn, max_size=1, application_name="tests"))

        @settings(max_examples=examples(50), phases=[Phase.generate], database=None)
        @given(histories(15))
        def hold(drawn: list[Drawn]) -> None:
            runner.run(compare(pool, drawn, next(shards)))

        try:
            hold()
        finally:
            runner.run(close_pool(pool))
