"""Which events are one: from the bytes of a record to what is stored, on the real store. No Kafka is needed for it."""

import pytest

from meter.allowance import free_grant_id
from meter.runtime.postgres import Pool, load_sql
from schemas.resources import Resource
from tests.integration.batch_meter import Meter
from tests.integration.plans import MODES
from tests.support.builders import (
    custom_script,
    event,
    granted,
    guardrail,
    model_inference,
    opened,
    tool_run,
)

UUID = "019b76da-a800-79ab-aa7b-5bf55eb561a4"


async def make_meter(pool: Pool, partitions: int) -> Meter:
    await pool.execute(load_sql("meter", "insert_shards"), partitions)
    return Meter(pool, partitions)


@pytest.fixture
async def meter(pool: Pool) -> Meter:
    return await make_meter(pool, 3)


async def test_one_id_used_by_three_services_counts_three_times(meter: Meter) -> None:
    await meter.take(
        model_inference("1", id=UUID, source="/gateway"),
        guardrail("0.5", id=UUID, source="/guardrails"),
        tool_run(3, id=UUID, source="/tools"),
    )
    assert await meter.amounts() == [
        ("usage.model_inference.v1", "1"), ("usage.guardrail.v1", "0.5"), ("usage.tool_run.v1", "3"),
    ]  # fmt: skip
    assert await meter.count("duplicates") == 0


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "in two"])
async def test_usage_of_10_and_then_of_60_under_one_id(meter: Meter, together: bool) -> None:
    ten, sixty = (model_inference(credits, id="req-1") for credits in ("10", "60"))
    if together:
        await meter.take(ten, sixty)
    else:
        await meter.take(ten)
        await meter.take(sixty)
    assert await meter.amounts() == [("usage.model_inference.v1", "10")]
    [row] = await meter.rejections()
    assert row["reason"] == "id_reused"
    assert "10 model_credits" in row["detail"] and "60 model_credits" in row["detail"]
    assert together or "position 1, recorded 2026-11-24 12:00:00 UTC" in row["detail"]


async def test_time_and_extensions_make_no_other_event(meter: Meter) -> None:
    await meter.take(model_inference("1", id=UUID))
    await meter.take(model_inference("1.0", id=UUID.upper(), time="2026-11-24T11:00:00Z", traceparent="00-1"))
    assert (await meter.count("events"), await meter.count("duplicates"), await meter.count("rejections")) == (1, 1, 0)


async def test_an_order_number_on_a_plan_change_and_a_grant_is_told(meter: Meter) -> None:
    await meter.take(event("account.plan_changed.v1", {"plan": "team"}, id="order-7", source="/billing"))
    await meter.take(granted("100", id="order-7", source="/billing"))
    [row] = await meter.rejections()
    assert row["reason"] == "id_reused" and "credits.granted.v1, 100 model_credits" in row["detail"]


@pytest.mark.parametrize("partitions", [1, 4, 12])
async def test_one_id_on_eight_accounts_counts_eight_times(pool: Pool, partitions: int) -> None:
    meter = await make_meter(pool, partitions)
    await meter.take(*(custom_script("1", f"acct-{number}", id=UUID) for number in range(8)))
    assert await meter.amounts() == [("usage.custom_script.v1", "1")] * 8


async def test_usage_with_an_openings_id_blocks_nothing(meter: Meter) -> None:
    await meter.take(model_inference("1", "acct-2", id="open-1", source="/billing"))
    await meter.take(model_inference("1", "acct-1", id="open-1", source="/billing"))
    await meter.take(opened("acct-1", id="open-1", source="/billing"), opened("acct-2", id="open-1", source="/billing"))
    assert [type for type, _ in await meter.amounts()].count("account.opened.v1") == 2
    assert await meter.count("events") == 2 + 2 * 3


async def test_nobody_else_uses_the_meters_source(meter: Meter) -> None:
    thief = free_grant_id("acct-1", Resource.MODEL_CREDITS)
    await meter.take(granted("1", id=thief, source="/credit-meter/meter"), tool_run(source="/credit-meter/meter"))
    assert [row["reason"] for row in await meter.rejections()] == ["source_reserved"] * 2
    await meter.take(granted("1", id=thief, source="/billing"), opened())
    assert await meter.count("events") == 4


@pytest.mark.parametrize(
    "id", ["01KAZ6V2T8M1J5Q8C3W4N7R9XE", "order 2026/11-7", f"urn:uuid:{UUID}", "x" * 128, "~", "{,\"'}"]
)
async def test_any_id_of_printable_ascii_is_kept_and_found_again(meter: Meter, pool: Pool, id: str) -> None:
    await meter.take(model_inference(id=id))
    await meter.take(model_inference(id=id), model_inference(id=id.swapcase() if id.swapcase() != id else id + "!"))
    assert await pool.fetchval("SELECT event_id FROM meter.event_log WHERE position = 1") == id
    assert await pool.fetchval("SELECT id FROM meter.duplicates") == id
    assert await meter.count("events") == 2


async def test_ids_that_are_none_are_rejected(meter: Meter) -> None:
    ids = ("x" * 129, "order\n7", "注文7", " ", "00000000-0000-0000-0000-000000000000")
    await meter.take(*(model_inference(id=id) for id in ids))
    assert [row["reason"] for row in await meter.rejections()] == ["invalid_id"] * len(ids)
    assert "nil UUID" in (await meter.rejections())[-1]["detail"]


@pytest.mark.not_on_citus("reads the plan of one server: on Citus another one runs the statement")
async def test_the_lookup_of_known_events_goes_along_the_index(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await connection.execute(
            "INSERT INTO meter.events (position, amount, kafka_offset, occurred_at, recorded_at, shard, type, "
            "resource, account_id, name, source, data, id, event_key) "
            "SELECT i, 1, i, now(), now(), 0, 1, 1, 'a', 'm', 's', '{}', i::text, "
            "sha256(i::text::bytea) FROM generate_series(1, 20000) AS i"
        )
        await connection.execute("ANALYZE meter.events")
        for mode in MODES:
            await connection.execute(f"SET plan_cache_mode = {mode}")
            await connection.execute(f"PREPARE known_{mode} AS " + load_sql("meter", "find_known"))
            keys = "sha256('1')" + " || sha256('x')" * 3000
            lines = await connection.fetch(f"EXPLAIN EXECUTE known_{mode} (0, {keys})")
            assert any("events_identity" in line[0] for line in lines), lines
