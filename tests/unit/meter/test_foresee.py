"""What would be rejected is told before it is sent, in the meter's own words."""

from datetime import UTC, datetime
from typing import Any

from meter.content import content_of
from meter.corrections import Facts, Move, NamedUsage
from meter.foresee import asked_of, foresee, plan_shards
from schemas.amounts import MICRO
from schemas.reasons import Reason
from schemas.records import Limits, Record
from schemas.topics import ACCOUNTS, USAGE
from tests.support import builders

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TIME = "2026-03-01T12:00:00Z"
LIMITS = Limits(partitions=12)
USED = Facts(usage={("acc-1", "request-1"): [NamedUsage(7, "/example/gateway", 1, 10 * MICRO, 10 * MICRO)]})


def record(event: dict[str, Any], topic: str = ACCOUNTS, key: bytes | None = b"acc-1", partition: int = 5) -> Record:
    return Record(topic, partition, 99, 0, key, builders.encode(event), list(builders.STRUCTURED))


def reversal(credits: str, name: str = "request-1") -> Record:
    return record(builders.reversed_(name, credits, account_id="acc-1", time=TIME))


def reasons(*records: Record, facts: Facts = USED) -> dict[int, Reason]:
    [plan] = plan_shards(records, NOW, LIMITS, 4)
    return {number: rejected.reason for number, rejected in foresee(plan, facts, {}).items()}


def test_a_reversal_is_judged_by_what_is_left() -> None:
    """Also by what stands before it among those that are sent together."""
    assert reasons(reversal("10")) == {}
    assert reasons(reversal("11")) == {0: Reason.REVERSES_TOO_MUCH}
    assert reasons(reversal("1", "request-2")) == {0: Reason.REVERSES_UNKNOWN}
    assert reasons(reversal("6"), reversal("6"), reversal("4")) == {1: Reason.REVERSES_TOO_MUCH}


def test_a_revocation_is_judged_by_what_is_left() -> None:
    moves = Facts(moves={"acc-1": [Move(True, "order-1", 1, 5 * MICRO, None)]})
    data = {"resource": "model_credits", "amount": "6", "reason": "x", "reference": "T-1"}
    too_much = record(builders.event("credits.revoked.v1", data, "acc-1", time=TIME))
    assert reasons(too_much, facts=moves) == {0: Reason.REVOKES_TOO_MUCH}
    unknown = record(builders.event("credits.revoked.v1", data | {"amount": "1", "revokes": "o-2"}, "acc-1", time=TIME))
    assert reasons(unknown, facts=moves) == {0: Reason.REVOKES_UNKNOWN}


def test_an_id_that_is_used_is_a_duplicate_or_a_rejection() -> None:
    event = builders.model_inference("1", account_id="acc-1", id="request-1", time=TIME)
    [plan] = plan_shards([record(event, USAGE)], NOW, LIMITS, 4)
    [stored] = asked_of(plan)
    assert foresee(plan, USED, {stored.key: content_of(stored)}) == {}
    other = content_of(stored)._replace(amount=7)
    [rejected] = foresee(plan, USED, {stored.key: other}).values()
    assert rejected.reason is Reason.ID_REUSED


def test_each_shard_is_judged_alone_and_what_breaks_the_contract_not_at_all() -> None:
    usage = [builders.model_inference("1", account_id=f"acc-{n}", time=TIME) for n in range(9)]
    records = [record(event, USAGE, event["subject"].encode()) for event in usage]
    plans = plan_shards([*records, record({"id": "x"}), record(usage[0], USAGE, None)], NOW, LIMITS, 4)
    assert sorted(row.offset for plan in plans for row in asked_of(plan)) == list(range(9)), "the last is a repeat"
    assert len({plan.shard for plan in plans}) == len(plans) > 1
