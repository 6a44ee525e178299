"""Two accounts are taken out of one packed rejection at the same moment."""

from typing import Any

import pytest

from meter.forgetting import blank_rejections
from meter.packing import unpack
from meter.runtime.postgres import Pool, load_sql
from meter.sealing import FORGOTTEN_CODE
from meter.store.events import PostgresEventStore
from schemas.reasons import Reason
from schemas.topics import USAGE
from tests.contract.rows import opened, plan, rejected

NAMES = (b'{"subject":"acc-1","credits":"one"}', b'{"subject":"acc-2","credits":"two"}', b"of nobody")


class Overtaken:
    """A pool by which another process takes the second account out, between a look at the rows and their change."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.overtaken = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    async def execute(self, *arguments: Any) -> Any:
        if not self.overtaken:
            self.overtaken = await blank_rejections(self._pool, "acc-2")
        return await self._pool.execute(*arguments)


async def refuse(pool: Pool, *, room: int | None) -> None:
    """Refused records of both accounts, which are then forgotten."""
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    store = PostgresEventStore(pool)
    records = [rejected(USAGE, at, key=b"k", reason=Reason.NOT_JSON, value=value) for at, value in enumerate(NAMES)]
    await store.append(plan(*records, room=room))
    asked: dict[str, Any] = {"type": FORGOTTEN_CODE, "name": "asked", "data": '{"reason":"asked"}'}
    both = [opened(0, account_id="acc-1", **asked), opened(1, account_id="acc-2", **asked)]
    await store.append(plan(*both, start=(len(NAMES), 0)))


async def test_what_another_process_took_out_does_not_come_back(pool: Pool) -> None:
    await refuse(pool, room=0)
    overtaken: Any = Overtaken(pool)
    assert await blank_rejections(overtaken, "acc-1") == 1
    assert overtaken.overtaken == 1
    [value] = [row["value"] for row in await pool.fetch("SELECT value FROM meter.rejections")]
    assert [record.value for record in unpack(USAGE, 0, value)] == [None, None, b"of nobody"]


@pytest.mark.parametrize("account", ["acc-1", "acc-2"])
async def test_one_by_one(pool: Pool, account: str) -> None:
    await refuse(pool, room=None)
    assert await blank_rejections(pool, account) == 1
    assert await pool.fetchval("SELECT count(*) FROM meter.rejections WHERE value IS NULL") == 1
