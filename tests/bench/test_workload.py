"""The backlog is what it says it is: the schemas accept it, and its sums are the ones the benchmark checks against."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from schemas.parsing.parse import Accepted, Limits, Record, Rejected, parse
from schemas.records import Outcome
from schemas.topics import USAGE, partition_for
from tests.bench.events import OTHER_ORDER, USUAL, Message, account_name
from tests.bench.load import STRUCTURED
from tests.bench.rows import decode, make_rows
from tests.bench.workload import Expected, Generator, Workload

PARTITIONS = 12
LIMITS = Limits(max_ahead=timedelta(hours=1), partitions=PARTITIONS)
WORKLOAD = Workload(20_000, accounts=300, garbage_share=0.01)


def generate(workload: Workload, worker: int = 0, workers: int = 1) -> tuple[list[Message], Expected]:
    generator = Generator(workload, worker, workers)
    return [message for chunk in generator.chunks() for message in chunk], generator.expected


def judge(message: Message, offset: int) -> Outcome:
    partition = partition_for(message.key, PARTITIONS)
    record = Record(USAGE, partition, offset, 0, message.key, message.value, STRUCTURED)
    return parse(record, datetime.now(UTC), LIMITS)


def test_the_schemas_judge_every_record_as_expected() -> None:
    messages, expected = generate(WORKLOAD)
    results = [judge(message, offset) for offset, message in enumerate(messages)]
    accepted = {result.event_id: result for result in results if isinstance(result, Accepted)}
    rejected = sum(isinstance(result, Rejected) for result in results)

    assert len(accepted) == expected.events
    assert rejected == expected.rejected > 100
    assert len(results) - len(accepted) - rejected == expected.duplicates > 100
    used: Counter[tuple[str, int | None]] = Counter()
    for event in accepted.values():
        used[event.account_id, event.resource] += event.amount
    assert used == Counter(
        {
            (account_name(index), resource): amount
            for resource, amounts in ((1, expected.credits), (2, expected.runs))
            for index, amount in enumerate(amounts)
            if amount
        }
    )


def test_values_are_about_370_bytes() -> None:
    messages, expected = generate(WORKLOAD)
    assert expected.value_bytes == sum(len(message.value) for message in messages)
    assert 330 <= expected.value_bytes / expected.records <= 400


def test_accounts_follow_zipf() -> None:
    messages, _ = generate(Workload(50_000, accounts=1000))
    used = Counter(message.key for message in messages)
    first, tenth = used[account_name(0).encode()], used[account_name(9).encode()]
    assert first / len(messages) == pytest.approx(1 / 7.485, rel=0.1)
    assert first / tenth == pytest.approx(10, rel=0.2)


def test_the_other_order_is_the_same_backlog() -> None:
    own, expected = generate(WORKLOAD)
    other, expected_of_other = generate(replace(WORKLOAD, other_order=True))
    assert expected_of_other == expected
    ordered = 0
    for one, two in zip(own, other, strict=True):
        if (event := decode(one)) is not None:
            assert (two.key, decode(two)) == (one.key, event)
            ordered += tuple(json.loads(two.value)) == OTHER_ORDER
    assert ordered == expected.events + expected.duplicates


@pytest.mark.parametrize("names", [10, USUAL.total, 1_000])
def test_an_account_uses_as_many_names_as_it_is_told(names: int) -> None:
    messages, _ = generate(replace(WORKLOAD, accounts=1, names=names))
    events = [event["data"] for event in map(decode, messages) if event is not None]
    fields = ("model", "tool", "guardrail", "script")
    assert len({(field, data[field]) for data in events for field in fields if field in data}) == names


def test_workers_share_the_records_and_the_sums() -> None:
    parts = [generate(WORKLOAD, worker, 2) for worker in range(2)]
    together = Expected(WORKLOAD.accounts)
    for _, expected in parts:
        together.add(expected)
    assert together.records == sum(len(messages) for messages, _ in parts) == WORKLOAD.records


def test_rows_are_the_sound_and_new_events() -> None:
    messages, expected = generate(WORKLOAD)
    rows = make_rows(messages, PARTITIONS)
    assert len(rows) == expected.events
    assert len(rows) == len({event["id"] for event in map(decode, messages) if event is not None})
