"""What outside the database proves that it went back in time."""

import pytest

from meter.recover import Outside, Place, note_record
from schemas.build import encode_event
from tests.contract.rows import MOMENT

PLACE = Place(shard=0, generation=2, position=10, batch=4, usage=7, accounts=3, head=bytes(32), notifier=5)


def anchored(*, generation: int = 2, position: int = 10, batch: int = 4, shard: int = 0) -> bytes:
    data = {
        "shard": shard, "batch": batch, "position": position, "hash": "0" * 64, "recorded_at": MOMENT,
        "generation": generation,
    }  # fmt: skip
    return encode_event("log.anchored.v1", str(shard), data, event_id="1", time=MOMENT, source="//tests.example.com")


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"{",
        anchored(),
        anchored(generation=1, position=99, batch=99),  # lost before, and recorded so
        anchored(position=99, shard=1),
    ],
)
def test_what_is_not_newer_proves_nothing(value: bytes | None) -> None:
    outside = Outside(committed={("metering.usage", 0): 7, ("metering.balances", 0): 5, ("metering.usage", 1): 8})
    note_record(outside, value)
    assert outside.find_proofs(PLACE) == []


@pytest.mark.parametrize(
    ("value", "proof"),
    [
        (anchored(position=11), "had reached position 11"),
        (anchored(batch=5), "had reached batch 5"),
        (anchored(generation=3, position=1, batch=1), "was in generation 3"),
    ],
)
def test_what_is_newer_proves_it(value: bytes, proof: str) -> None:
    outside = Outside()
    note_record(outside, value)
    [found] = outside.find_proofs(PLACE)
    assert proof in found


@pytest.mark.parametrize(("topic", "end"), [("metering.usage", 8), ("metering.accounts", 4), ("metering.balances", 6)])
def test_offsets_that_kafka_knows_of_prove_it(topic: str, end: int) -> None:
    [found] = Outside(committed={(topic, 0): end}).find_proofs(PLACE)
    assert f"{topic}[0] was stored up to {end}" in found
