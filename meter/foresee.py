"""What the meter would reject of records, judged against what is stored, before a person sends them. Pure.

It is the meter's own judgement of a batch that holds nothing else: identities, reversals and revocations. Only what
comes between the judgement and the meter's can make it another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from meter.allowance import Allowance
from meter.content import Content
from meter.corrections import Facts, settle_corrections
from meter.plan import INPUT_TOPICS, AppendPlan, plan_append
from meter.settle import settle
from schemas.parsing.parse import parse
from schemas.records import Accepted, Limits, Outcome, Record, Rejected, Rerouted, event_of
from schemas.topics import partition_for

NO_FREE_GRANTS = Allowance(0, 0)  # they are rows of the meter's own, which nobody sends
BEHIND_ALL = 2**62  # a position that nothing stored has

Numbered = tuple[int, Record]  # of the records that are judged together


def parse_alone(record: Record, now: datetime, limits: Limits) -> Outcome:
    """As a record in the partition that its account belongs to."""
    alone = replace(limits, partitions=1)
    outcome = parse(record._replace(partition=0), now, alone)
    if isinstance(outcome, Rerouted):  # for want of a key: the meter takes it from the subject
        outcome = parse(record._replace(partition=0, key=outcome.account_id.encode()), now, alone)
    return outcome


def plan_shards(records: Sequence[Record], now: datetime, limits: Limits, shards: int) -> list[AppendPlan]:
    """A plan for each shard, in which a record's offset is its number among all."""
    by_shard: dict[int, list[tuple[Record, Outcome]]] = {}
    for number, record in enumerate(records):
        placed = record._replace(offset=number)
        outcome = parse_alone(placed, now, limits)
        if (event := event_of(outcome)) is not None:
            shard = partition_for(event.account_id.encode(), shards)
            by_shard.setdefault(shard, []).append((placed, outcome))
    return [plan_shard(shard, found, now) for shard, found in by_shard.items()]


def plan_shard(shard: int, found: Sequence[tuple[Record, Outcome]], now: datetime) -> AppendPlan:
    of_topic = {topic: [pair for pair in found if pair[0].topic == topic] for topic in INPUT_TOPICS}
    return plan_append(
        shard=shard,
        records={topic: [record for record, _ in pairs] for topic, pairs in of_topic.items()},
        results={topic: [outcome for _, outcome in pairs] for topic, pairs in of_topic.items()},
        start=dict.fromkeys(INPUT_TOPICS, 0),
        end={topic: pairs[-1][0].offset + 1 if pairs else 0 for topic, pairs in of_topic.items()},
        recorded_at=now,
        allowance=NO_FREE_GRANTS,
    )


def asked_of(plan: AppendPlan) -> tuple[Accepted, ...]:
    """The events whose identity may be stored."""
    return *plan.rows, *plan.corrections


def foresee(plan: AppendPlan, facts: Facts, known: Mapping[bytes, Content]) -> dict[int, Rejected]:
    """What would be rejected, by the record's number."""
    settled = settle_corrections(settle(plan, known), facts, known, BEHIND_ALL)
    return {rejected.record.offset: rejected for rejected in settled.rejections}
