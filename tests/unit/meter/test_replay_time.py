"""An event without a time of its own counts on the day of its record, also where it is replayed later."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from meter.packing import pack
from meter.replay import judge, replay_message, replay_record, take_out
from meter.store.rejections import Rejection
from schemas.parsing.parse import parse
from schemas.reasons import Reason
from schemas.records import Accepted, Limits
from schemas.topics import USAGE
from tests.contract.rows import record
from tests.support import builders

SENT = datetime(2026, 1, 28, 23, 59, 59, 123_000, tzinfo=UTC)
NOW = datetime(2026, 1, 31, tzinfo=UTC)
LIMITS = Limits(partitions=1)
TIMELESS = json.dumps({k: v for k, v in builders.tool_run(account_id=builders.ACCOUNT).items() if k != "time"}).encode()


def rejection(**changes: Any) -> Rejection:
    fields: dict[str, Any] = {
        "rejection_id": 17, "shard": 0, "topic": USAGE, "offset": 5, "reason": Reason.UNKNOWN_TYPE.value, "detail": "",
        "key": builders.ACCOUNT.encode(), "value": TIMELESS, "headers": list(builders.STRUCTURED),
        "kafka_timestamp": SENT, "recorded_at": NOW, "to_offset": None, "original_bytes": None, "original_sha256": None,
    }  # fmt: skip
    return Rejection(**fields | changes)


def packed(sent: datetime) -> Rejection:
    ms = int(sent.timestamp() * 1000)
    one = record(
        USAGE, 6, key=builders.ACCOUNT.encode(), value=TIMELESS, headers=tuple(builders.STRUCTURED), timestamp_ms=ms
    )
    return rejection(value=pack([one]), headers=[], kafka_timestamp=NOW, packed=True)


@pytest.mark.parametrize("refused", [rejection(), packed(SENT)], ids=["alone", "packed"])
def test_it_is_sent_and_judged_with_the_timestamp_that_it_had(refused: Rejection) -> None:
    [one] = take_out(refused)
    assert replay_message(one, NOW).timestamp_ms == int(SENT.timestamp() * 1000)
    event = parse(replay_record(one, NOW), NOW, LIMITS)
    assert isinstance(event, Accepted) and event.occurred_at == SENT


@pytest.mark.parametrize("days", [4, 400, -1])
def test_what_the_broker_might_remove_before_it_is_read_counts_now(days: int) -> None:
    """A topic keeps records by their timestamps. What is ahead of now was a clock that went wrong."""
    now = SENT + timedelta(days=days)
    assert replay_message(rejection(), now).timestamp_ms is None
    assert judge(rejection(), now, LIMITS) is None
    event = parse(replay_record(rejection(), now), now, LIMITS)
    assert isinstance(event, Accepted) and event.occurred_at == now.replace(microsecond=123_000)


BINARY = [("ce_specversion", b"1.0"), ("ce_id", b"one")]


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"value": TIMELESS}, True),
        ({"value": json.dumps(builders.tool_run(account_id=builders.ACCOUNT)).encode()}, False),
        ({"value": b"{"}, False),
        ({"value": None}, False),
        ({"value": b'{"time":"a field of the data"}', "headers": BINARY}, True),
        ({"value": b"{}", "headers": [*BINARY, ("ce_time", b"2026-01-01T00:00:00Z")]}, False),
    ],
    ids=["none", "its own", "no JSON", "nothing", "binary, none", "binary, its own"],
)
def test_only_an_event_without_a_time_needs_that_of_its_record(changes: dict[str, Any], kept: bool) -> None:
    assert (replay_message(rejection(**changes), NOW).timestamp_ms is not None) is kept


def test_a_record_that_had_no_timestamp_gets_that_of_its_replay() -> None:
    [one] = take_out(rejection(kafka_timestamp=None))
    assert replay_message(one, NOW).timestamp_ms is None
    event = parse(replay_record(one, NOW), NOW, LIMITS)
    assert isinstance(event, Accepted) and event.occurred_at == NOW
