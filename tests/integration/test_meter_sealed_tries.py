"""A refused row is looked for with sealed rows: what is taken back stays in the server's files and its WAL."""

import json
from typing import Any

import pytest

from meter.runtime.postgres import Executor, Pool, load_sql
from meter.store import batches
from meter.store.audit import audit_shard
from meter.store.events import PostgresEventStore
from schemas.events import CODES
from tests.contract.rows import opened, plan, usage
from tests.support.searching import find

ANN, NAME, OWNER = "ann.person@example.com", "Person & Example", "Owner & Example"
PEOPLE = {"plan": "free", "contacts": [ANN], "display_name": NAME}
ITEM = {"kind": "model", "id": "sage", "name": "Sage", "status": "deployed", "owner": OWNER}
REFUSED: dict[str, dict[str, Any]] = {
    "NUL in text": {"name": "a\x00b"},
    "a negative amount": {"amount": -1},
    "no JSON": {"data": "{"},
}


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED.keys())
async def test_no_try_sends_addresses_or_names_in_clear(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    await pool.execute(load_sql("meter", "insert_shards"), 1)
    sent: list[bytes] = []
    copy = batches.copy_to_events

    async def keep(connection: Executor, stream: bytes) -> None:
        sent.append(bytes(stream))
        await copy(connection, stream)

    monkeypatch.setattr(batches, "copy_to_events", keep)
    item = usage(
        1,
        type=CODES["item.changed.v1"],
        name="sage",
        resource=None,
        amount=0,
        account_id="acc-2",
        data=json.dumps(ITEM),
    )
    rows = [usage(0, **changes), item, opened(0, data=json.dumps(PEOPLE)), opened(1, account_id="acc-3", name="a\x00b")]
    appended = await PostgresEventStore(pool).append(plan(*rows))
    assert (appended.stored, appended.reasons) == (4, {"unstorable": 2})  # with the free allowance
    assert len(sent) > 3  # the batch, its halves, the rest
    assert find(sent, ANN, NAME, OWNER) == []
    async with pool.acquire() as connection:
        assert list((await audit_shard(connection, 0)).findings) == []
