"""A field that no model knows may be any number of JSON: it costs no event, and ends no step up to `verify`."""

from typing import Any, Final

import pytest

from meter.runtime.postgres import Pool
from meter.store.audit import audit_shard
from projections.rebuild import Model, Rebuild
from projections.verify import verify
from schemas.codes import CODES, PERSONAL_CODES, USAGE_CODES
from schemas.records import Record
from tests.integration.batch_meter import Meter
from tests.integration.projections_log import SHARDS, EventLog, fold_all
from tests.integration.usage_log import fold_usage
from tests.support import builders

PLACE: Final = "the number"
NUMBERS: Final = {
    "digits": b"9" * 5_000,
    "exponent": b"1e999999999999999999999",
    "small": b"-1e-999999999999999999999",
    "beyond numeric": b"1e200000",
    "beyond a float": b"1e400",
    "negative zero": b"-0.0",
}
ITEM: Final = {"kind": "model", "id": "small-chat", "name": "Small", "status": "deployed"}
REVOKED: Final = {"resource": "model_credits", "amount": "1", "reason": "chargeback", "reference": "T-1"}
DATA: Final[dict[str, dict[str, Any]]] = {
    "account.plan_changed.v1": {"plan": "team"},
    "account.contacts_changed.v1": {"contacts": ["ann@example.com"]},
    "account.renamed.v1": {"display_name": "Somebody"},
    "credits.revoked.v1": REVOKED,
    "item.changed.v1": ITEM | {"owner": "Olga Owner"},
    "account.closed.v1": {"reason": "asked"},
    "account.reopened.v1": {"reason": "asked"},
    "account.forgotten.v1": {"reason": "asked"},
}


def all_types() -> list[dict[str, Any]]:
    """One event of each type, in an order in which all of them count."""
    used = builders.model_inference(id="used")
    made = [
        builders.opened(id="opening"), used, builders.guardrail(id="guarded"), builders.custom_script(id="run"),
        builders.tool_run(id="tool"), builders.granted(id="grant"), builders.reversed_("used", "0.1", id="back"),
        builders.event("item.changed.v1", ITEM, id="idle"),
        *(builders.event(type, data, id=type) for type, data in DATA.items()),
    ]  # fmt: skip
    return [event | {"data": event["data"] | {"note": PLACE}} for event in made]


class Numbers(Meter):
    """Writes a number, byte for byte, where the events have its place."""

    number = b""

    def write(self, event: dict[str, Any]) -> Record:
        on_usage = event["type"] == "item.changed.v1"
        record = builders.record(event, partitions=SHARDS, topic="metering.usage" if on_usage else None)
        return record._replace(value=(record.value or b"").replace(b'"%b"' % PLACE.encode(), self.number))


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS.keys())
async def test_no_number_ends_a_step_between_the_log_and_its_readers(pool: Pool, log: EventLog, number: bytes) -> None:
    """Each event once, again, and with another number under the same id. That is the same of usage, and of what is
    compared without what it says of people, because the account was forgotten."""
    meter, events = Numbers(pool, SHARDS), all_types()
    alike = sum(CODES[event["type"]] in (*USAGE_CODES, *PERSONAL_CODES) for event in events)
    assert {event["type"] for event in events} == CODES.keys()
    for sent, stored, duplicates, rejected in (
        (number, len(events) + 2, 0, 0),  # with the free grants
        (number, len(events) + 2, len(events), 0),
        (b"7", len(events) + 2, len(events) + alike, len(events) - alike),
    ):
        meter.number = sent
        await meter.take(*events)
        assert [await meter.count(table) for table in ("events", "duplicates", "rejections")] == [
            stored, duplicates, rejected,
        ]  # fmt: skip
    assert {row["reason"] for row in await meter.rejections()} == {"id_reused"}
    await fold_all(pool)
    await fold_usage(pool)
    assert await pool.fetchval("SELECT count(*) FROM projections.items") == 1
    await Rebuild(pool, list(Model), progress=lambda _events: None).run()
    assert [difference async for report in verify(pool) for difference in report.differences] == []
    async with pool.acquire() as connection:
        for shard in range(SHARDS):
            assert list((await audit_shard(connection, shard)).findings) == []
