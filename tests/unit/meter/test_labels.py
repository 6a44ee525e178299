"""No metric grows with what producers choose: whoever may write usage could fill the meter's memory with names."""

import json
from collections.abc import Callable
from typing import Any, Final

from meter.allowance import Allowance
from meter.ingest import OTHER_FIELDS, Ingest
from meter.runtime.kafka import Batch
from meter.runtime.process.metrics import SOURCES_COUNTED, Metrics
from schemas.records import Limits, Record
from schemas.topics import ACCOUNTS, USAGE
from tests.contract.memory_store import MemoryEventStore
from tests.contract.rows import MOMENT, record
from tests.support import builders
from tests.unit.meter.test_ingest import FixedClock

USED: Final = {"credits": "1", "model": "small-chat"}
SAID: Final = {"model": "small-chat", "kind": "model", "id": "small-chat", "name": "Small", "status": "deployed"}
# A record each with something of its own in every place that takes a text.
FLOODS: Final[tuple[Callable[[str], dict[str, Any]], ...]] = (
    lambda word: used(word, USED | {f"field-{word}": "\0"}),
    lambda word: used(word, USED | {f"list-{word}": ["\ud800"]}),
    lambda word: used(word, USED | {"model": word, "deployment": word, "status": word, "category": word}),
    lambda word: used(word, USED | {"deployment": {word: word}, "input_tokens": word}),
    lambda word: used(word, USED | {"credits": word}),
    lambda word: used(word, USED, source=f"/{word}"),
    lambda word: used(word, USED, account_id=f"acct-{word}"),
    lambda word: used(word, USED, specversion=word),
    lambda word: used(word, USED, **{word: "extension"}),
    lambda word: builders.event(f"usage.{word}.v1", USED, time=None),
    lambda word: builders.event("item.changed.v1", SAID | {"id": word, "name": word, "type": word}, time=None),
)


def used(word: str, data: dict[str, Any], account_id: str = "acct-1", **attributes: Any) -> dict[str, Any]:
    return builders.event("usage.model_inference.v1", data, account_id, time=None) | attributes


def count_series(metrics: Metrics) -> int:
    return sum(len(metric.samples) for metric in metrics.registry.collect())


async def test_no_metric_grows_with_what_producers_choose() -> None:
    metrics, store = Metrics(), MemoryEventStore(2)
    ingest = Ingest(store, clock=FixedClock(), limits=Limits(partitions=2), allowance=Allowance(), metrics=metrics)
    next_offset = 0

    async def take(rounds: int) -> None:
        """Half of them lie in a wrong partition."""
        nonlocal next_offset
        records: list[Record] = []
        for number in range(rounds):
            for make in FLOODS:
                event = make(f"{next_offset + number}x")
                at = next_offset + len(records)
                value, key = json.dumps(event).encode(), str(event["subject"]).encode()
                headers = [(f"header-{at}", b"x")]
                millis = int(MOMENT.timestamp() * 1000)
                records.append(record(USAGE, at, key=key, value=value, headers=headers, timestamp_ms=millis))
        start, end = ({USAGE: offset, ACCOUNTS: 0} for offset in (next_offset, next_offset + len(records)))
        batch = Batch(0, {USAGE: records, ACCOUNTS: []}, start, end)
        [planned] = await ingest.plan([batch])
        ingest.note(batch, planned, await ingest.save(planned))
        next_offset += len(records)

    await take(2 * SOURCES_COUNTED)
    few = count_series(metrics)
    await take(3 * SOURCES_COUNTED)
    assert count_series(metrics) == few
    ignored = metrics.read("fields_ignored")
    assert {"deployment", "input_tokens", OTHER_FIELDS} <= ignored.keys()
    assert ignored[OTHER_FIELDS] >= 2 * 3 * SOURCES_COUNTED
