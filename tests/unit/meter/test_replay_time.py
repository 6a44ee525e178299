"""An event without a time of its own counts on the day of its record, also where it is replayed later."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from meter.packing import pack
from meter.replay import find_hopeless, judge, replay_message, replay_record, take_out
from meter.store.rejections import Rejection
from schemas.parsing.parse import parse
from schemas.reasons import Reason
from schemas.records import Accepted, Limits
from schemas.topics import USAGE
from tests.contract.rows import record
from tests.support import builders

SENT = datetime(2026, 1, 28, 23, 59, 59, 123_000, tzinfo=UTC)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
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
    assert replay_message(one).timestamp_ms == int(SENT.timestamp() * 1000)
    event = parse(replay_record(one, NOW), NOW, LIMITS)
    assert isinstance(event, Accepted) and event.occurred_at == SENT


def test_what_is_too_old_by_now_is_refused_with_the_reason() -> None:
    assert judge(rejection(), NOW, LIMITS) is None
    later = SENT + LIMITS.max_behind + timedelta(days=1)
    [sentence] = find_hopeless([rejection()], later, LIMITS)
    assert "a replay cannot help 17: it would be rejected again, time_behind: time 2026-01-28" in sentence
    assert sentence.endswith(Reason.TIME_BEHIND.advice)


def test_a_record_that_had_no_timestamp_gets_that_of_its_replay() -> None:
    [one] = take_out(rejection(kafka_timestamp=None))
    assert replay_message(one).timestamp_ms is None
    event = parse(replay_record(one, NOW), NOW, LIMITS)
    assert isinstance(event, Accepted) and event.occurred_at == NOW
