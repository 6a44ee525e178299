"""Owners of items: sealed in the log, shown in the catalogue, and gone from both once their account is forgotten."""

from typing import Any, Final

import pytest

from meter.runtime.postgres import Pool
from meter.store.audit import audit_shard
from projections.rebuild import Model, Rebuild
from projections.verify import Difference, verify
from schemas.topics import partition_for
from tests.integration.batch_meter import Meter
from tests.integration.projections_log import SHARDS, EventLog, fold_all
from tests.integration.usage_log import fold_usage
from tests.support import builders
from tests.support.damaging import lift_triggers
from tests.support.searching import find

OLGA, IVAN, LATER = "Olga Owner", "ivan.owner@example.com", "Later Owner"
ITEM: Final = {"kind": "model", "name": "Sage", "status": "deployed"}
FORGOTTEN: Final = builders.event("account.forgotten.v1", {"reason": "asked"}, id="forget-1")


def item(id: str, owner: str | None, account: str = builders.ACCOUNT, **more: Any) -> dict[str, Any]:
    data = ITEM | {"id": id} | ({} if owner is None else {"owner": owner}) | more
    return builders.event("item.changed.v1", data, account)


class Items(Meter):
    def write(self, event: dict[str, Any]) -> Any:
        on_usage = event["type"] == "item.changed.v1"
        return builders.record(event, partitions=SHARDS, topic="metering.usage" if on_usage else None)


@pytest.fixture
def meter(pool: Pool, log: EventLog) -> Items:
    return Items(pool, SHARDS)


async def fold(pool: Pool) -> dict[str, str | None]:
    """Owners by item, as the catalogue shows them."""
    await fold_all(pool)
    await fold_usage(pool)
    return {row["id"]: row["owner"] for row in await pool.fetch("SELECT id, owner FROM projections.catalogue")}


async def rebuild(pool: Pool) -> int:
    """How many rows differed."""
    [exchange] = await Rebuild(pool, [Model.USAGE], progress=lambda _events: None).run()
    return exchange.added + exchange.changed + exchange.removed


async def list_differences(pool: Pool) -> list[Difference]:
    return [each async for report in verify(pool) for each in report.differences]


async def stored(pool: Pool) -> list[bytes]:
    return [row[0].encode() for row in await pool.fetch("SELECT data::text FROM meter.events ORDER BY position")]


async def test_owners_are_sealed_in_the_log_and_shown_in_the_catalogue(pool: Pool, meter: Items) -> None:
    await meter.take(builders.opened(), item("sage", OLGA), item("swift", IVAN), item("idle", None), item("sage", IVAN))
    assert find(await stored(pool), OLGA, IVAN) == []
    assert await fold(pool) == {"sage": IVAN, "swift": IVAN, "idle": None}
    assert await rebuild(pool) == 0
    assert await list_differences(pool) == []
    await pool.execute("UPDATE projections.items SET owner = 'changed'")
    found = await list_differences(pool)
    assert [each.what for each in found] == ["item model idle", "item model sage", "item model swift"]
    assert find([str(found).encode()], OLGA, IVAN) == [], "owners are hidden"
    assert await rebuild(pool) == 3
    assert await fold(pool) == {"sage": IVAN, "swift": IVAN, "idle": None}


async def test_a_repeat_is_known_by_its_owner_and_needs_no_key_without_one(pool: Pool, meter: Items) -> None:
    first, other = item("sage", OLGA), item("idle", None, account="acct-2")
    await meter.take(first, other)
    await meter.take(first, other, first | {"data": first["data"] | {"owner": IVAN}})
    assert [await meter.count(table) for table in ("events", "duplicates", "rejections", "keys")] == [2, 2, 1, 1]


@pytest.mark.parametrize("folded", [True, False], ids=["folded before", "folded after"])
async def test_the_owners_of_an_account_that_is_forgotten_are_gone(pool: Pool, meter: Items, folded: bool) -> None:
    await meter.take(builders.opened(), item("sage", OLGA), item("swift", IVAN), builders.opened("acct-2"))
    await meter.take(item("sage", OLGA, account="acct-2"))
    if folded:
        await fold(pool)
    await meter.take(FORGOTTEN)
    await meter.take(item("late", LATER), item("swift", LATER))
    assert find(await stored(pool), OLGA, IVAN, LATER) == []
    assert await list_differences(pool) == [], "the log alone has lost them, until it is folded"
    await fold_all(pool)
    assert await list_differences(pool) == [], "usage is behind"
    await fold(pool)
    assert await list_differences(pool) == []
    owners = "SELECT account_id, id, owner FROM projections.items ORDER BY 1, 2"
    gone = [(builders.ACCOUNT, name, None) for name in ("late", "sage", "swift")]
    assert [tuple(row) for row in await pool.fetch(owners)] == [*gone, ("acct-2", "sage", OLGA)]
    assert await rebuild(pool) == 0
    async with pool.acquire() as connection:
        for shard in range(SHARDS):
            assert list((await audit_shard(connection, shard)).findings) == []


async def test_what_looks_like_a_token_of_ours_ends_no_fold(pool: Pool, meter: Items) -> None:
    """Whoever may write usage can write it; also twice, when it is compared."""
    shard = partition_for(builders.ACCOUNT.encode(), SHARDS)
    alike = [item(f"odd-{n}", None, sealed=token) for n, token in enumerate(("1:AAAA", "forgotten", 1))]
    await meter.take(builders.opened(), *alike)
    await meter.take(*alike)
    assert await meter.count("duplicates") == 3
    # As it was stored before owners were sealed.
    await lift_triggers(pool, "meter.events")
    await pool.execute(
        """UPDATE meter.events SET data = '{"kind":"model","id":"odd-0","name":"N","status":"draft","sealed":"1:AAAA"}'
           WHERE shard = $1 AND name = 'odd-0'""",
        shard,
    )
    assert (await fold(pool)).keys() == {"odd-0", "odd-1", "odd-2"}
    assert await list_differences(pool) == []
    await meter.take(alike[0])
    assert [row["reason"] for row in await meter.rejections()] == ["id_reused"]
