"""What the check says of batches that do not follow each other or do not add up."""

from typing import Any

import pytest

from meter.store.check import START, BatchRow, Link, Unreadable, check_batch, check_counts, check_shard
from meter.store.damage import ADVICE, Damage, Finding

HASH, OTHER = b"\x01" * 32, b"\x02" * 32


def row(**changes: Any) -> BatchRow:
    """The first batch: usage offsets 0 to 9 as 5 events, 2 duplicates, 1 rejection, a gap of 1 and 1 sent on."""
    fields: dict[str, Any] = {
        "batch": 1, "hash": HASH, "sealed_hash": HASH, "previous": START.hash, "first_position": 1, "last_position": 5,
        "usage_from": 0, "usage_to": 10, "accounts_from": 0, "accounts_to": 0, "stored": 5, "duplicates": 2,
        "rejected": 1, "gaps": 1, "rerouted": 1, "waiting": 0, "event_rows": 5, "duplicate_rows": 2,
        "rejection_rows": 1, "rejection_offsets": 1, "gap_offsets": 1, "rerouted_rows": 1, "waiting_rows": 0,
        "event_offsets": 5, "evidence_whole": True, "offset_sum": 45,
    }  # fmt: skip
    return BatchRow(**(fields | changes))


AFTER = Link(1, 5, 10, 0, HASH)


def damages(link: Link, batch: BatchRow | Unreadable) -> list[tuple[int | None, Damage]]:
    return [(finding.batch, finding.damage) for finding in check_batch(3, link, batch)]


def test_a_batch_that_follows_and_adds_up() -> None:
    assert check_batch(3, START, row()) == []
    assert row().link() == AFTER


@pytest.mark.parametrize(
    ("changes", "damage"),
    [
        ({"previous": OTHER}, Damage.CHAIN_BROKEN),
        ({"first_position": 2, "last_position": 6}, Damage.POSITIONS_BROKEN),
        ({"accounts_from": 1, "accounts_to": 1}, Damage.OFFSETS_BROKEN),
        ({"hash": OTHER}, Damage.BATCH_CHANGED),
        ({"event_rows": 4}, Damage.COUNTS_WRONG),
        ({"duplicate_rows": 1, "event_offsets": 6}, Damage.COUNTS_WRONG),
        ({"rejection_rows": 0}, Damage.COUNTS_WRONG),
        ({"rejection_offsets": 2}, Damage.COUNTS_WRONG),
        ({"gap_offsets": 2}, Damage.COUNTS_WRONG),
        ({"rerouted_rows": 0}, Damage.COUNTS_WRONG),
        ({"event_offsets": 4}, Damage.COUNTS_WRONG),
        ({"waiting_rows": 1, "event_offsets": 4}, Damage.COUNTS_WRONG),
        ({"offset_sum": 46}, Damage.COUNTS_WRONG),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else value,
)
def test_each_rule(changes: dict[str, Any], damage: Damage) -> None:
    assert damages(START, row(**changes)) == [(1, damage)]


def test_a_changed_batch_says_what_is_amiss_inside() -> None:
    [finding] = check_batch(3, START, row(hash=OTHER, event_rows=4))
    assert finding.place == "shard 3 batch 1"
    assert "events: 4 are there, the batch says 5" in finding.detail


def test_missing_batches_are_named_once() -> None:
    [finding] = check_batch(3, AFTER, row(batch=5))
    assert (finding.batch, finding.damage) == (2, Damage.BATCH_MISSING)
    assert finding.detail == "batches 2 to 4 are missing before batch 5"


def test_nothing_is_expected_of_a_batch_behind_an_unreadable_one() -> None:
    unreadable = Unreadable(2, "invalid page in block 7")
    assert damages(AFTER, unreadable) == [(2, Damage.BATCH_UNREADABLE)]
    assert damages(unreadable.link(), row(batch=3, previous=OTHER, first_position=90, last_position=94)) == []


def test_the_shards_row_is_compared_with_the_last_batch() -> None:
    assert check_shard(3, AFTER, AFTER) == []
    assert check_shard(3, START, START) == []
    [finding] = check_shard(3, AFTER._replace(usage=11), AFTER)
    assert (finding.damage, finding.batch) == (Damage.SHARD_CHANGED, 1)
    assert "usage offset 11, expected 10" in finding.detail
    assert [found.damage for found in check_shard(3, None, AFTER)] == [Damage.SHARD_MISSING]


def test_every_damage_comes_with_advice() -> None:
    advice = {damage: Finding(0, 1, damage, "").advice for damage in Damage}
    assert all(text.endswith(".") for text in advice.values())
    assert ADVICE.keys() <= set(Damage)


def test_a_pruned_batch_is_whole_without_its_evidence() -> None:
    pruned = {"pruned": True, "duplicate_rows": 0, "rejection_rows": 0, "rejection_offsets": 0, "rerouted_rows": 0}
    kept = row()
    assert list(check_counts(kept)) == []
    gone = row(**pruned, offset_sum=0, event_offsets=kept.event_offsets)
    assert list(check_counts(gone)) == []


def test_of_a_pruned_batch_nothing_may_be_left_and_no_event_be_missing() -> None:
    pruned = {"pruned": True, "duplicate_rows": 0, "rejection_rows": 0, "rejection_offsets": 0, "rerouted_rows": 0}
    left = row(**pruned | {"rejection_rows": 1})
    assert any("they were pruned" in fault for fault in check_counts(left))
    assert any(fault.startswith("events") for fault in check_counts(row(**pruned, event_rows=row().event_rows - 1)))
