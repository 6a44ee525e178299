"""Which rejections a replay may help: the bytes are judged again before they are sent. And what became of it."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from meter.blanking import BLANKED
from meter.packing import pack
from meter.replay import find_hopeless, is_taken_out, judge, replay_message
from meter.replay_outcomes import OUTCOMES, Followed, describe_followed, describe_outcomes, followed_fields
from meter.runtime.postgres import load_sql
from meter.store.rejections import RecordOutcome, Rejection, Replay
from schemas.reasons import Reason
from schemas.records import Limits, Rejected
from schemas.topics import REROUTED_HEADER, USAGE
from tests.contract.rows import record
from tests.support import builders

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LIMITS = Limits(partitions=12)
GOOD = builders.model_inference(account_id=builders.ACCOUNT, time="2026-03-01T00:00:00Z")


def rejection(reason: Reason, value: bytes, **changes: Any) -> Rejection:
    fields: dict[str, Any] = {
        "rejection_id": 17, "shard": 3, "topic": USAGE, "offset": 5, "reason": reason.value, "detail": "",
        "key": builders.ACCOUNT.encode(), "value": value, "headers": list(builders.STRUCTURED),
        "kafka_timestamp": NOW, "recorded_at": NOW, "to_offset": None, "original_bytes": None, "original_sha256": None,
    }  # fmt: skip
    return Rejection(**fields | changes)


def encode(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


def test_a_sound_record_may_be_replayed_wherever_it_was() -> None:
    moved = rejection(Reason.WRONG_PARTITION, encode(), headers=[*builders.STRUCTURED, (REROUTED_HEADER, b"0/1")])
    assert judge(moved, NOW, LIMITS) is None
    assert REROUTED_HEADER not in dict(replay_message(moved, NOW).headers)


def test_what_was_taken_out_is_told_from_what_was_empty() -> None:
    sent, empty = record(USAGE, 1, value=encode()), record(USAGE, 2, value=None)
    assert is_taken_out(rejection(Reason.NOT_JSON, b"", detail=BLANKED))
    assert not is_taken_out(rejection(Reason.EMPTY, b""))
    assert is_taken_out(rejection(Reason.NOT_JSON, pack([empty, empty]), packed=True))
    assert not is_taken_out(rejection(Reason.NOT_JSON, pack([empty, sent]), packed=True))


def test_what_was_ahead_of_time_helps_later() -> None:
    ahead = rejection(Reason.TIME_AHEAD, encode(time="2026-03-02T00:00:00Z"))
    verdict = judge(ahead, NOW, LIMITS)
    assert verdict is not None and verdict[0] is Reason.TIME_AHEAD
    assert judge(ahead, NOW + timedelta(days=1), LIMITS) is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{", Reason.NOT_JSON),
        (encode(data={"credits": "-1", "model": "large"}), Reason.INVALID_AMOUNT),
        (encode(type="usage.nobody.v1"), Reason.UNKNOWN_TYPE),
        (encode(subject="acct-other"), Reason.KEY_MISMATCH),
    ],
    ids=["not_json", "invalid_amount", "unknown_type", "key_mismatch"],  # not the bytes: their event ids are drawn anew
)
def test_what_is_wrong_in_the_bytes_stays_wrong_and_says_so(value: bytes, reason: Reason) -> None:
    [sentence] = find_hopeless([rejection(reason, value)], NOW, LIMITS)
    assert f"a replay cannot help 17: it would be rejected again, {reason.value}: " in sentence
    assert sentence.endswith(reason.advice)


def test_the_reason_of_now_is_told_where_it_is_another() -> None:
    """A version that knows the type, and finds its amount wrong."""
    known = rejection(Reason.UNKNOWN_TYPE, encode(data={"credits": "x", "model": "large"}))
    verdict = judge(known, NOW, LIMITS)
    assert verdict is not None and verdict[0] is Reason.INVALID_AMOUNT


def test_a_used_id_stays_used() -> None:
    verdict = judge(rejection(Reason.ID_REUSED, encode()), NOW, LIMITS)
    assert verdict is not None and verdict[0] is Reason.ID_REUSED


def test_the_limits_are_those_of_the_settings() -> None:
    large = rejection(Reason.AMOUNT_ABOVE_LIMIT, encode(data={"credits": "50", "model": "large"}))
    verdict = judge(large, NOW, Limits(partitions=3, max_credits=10_000_000))
    assert verdict is not None and verdict[0] is Reason.AMOUNT_ABOVE_LIMIT
    assert judge(large, NOW, LIMITS) is None


def test_what_is_stored_is_asked_as_well() -> None:
    """By the number among all records that would be sent."""
    first, second = rejection(Reason.TIME_AHEAD, encode()), rejection(Reason.TIME_AHEAD, encode())
    refused = Rejected(record(USAGE, 1), Reason.REVERSES_TOO_MUCH, "0 model_credits of its 10 are left to reverse")
    [sentence] = find_hopeless([first, second._replace(rejection_id=18)], NOW, LIMITS, {1: refused})
    assert "a replay cannot help 18: it would be rejected again, reverses_too_much: 0 model_credits" in sentence


def test_what_became_of_it_is_said() -> None:
    stored = RecordOutcome("stored", None, None, None)
    again = RecordOutcome("rejected", 21, "reverses_unknown", "id 'a' of account b is no usage")
    assert describe_outcomes(17, [stored]) == "replayed 17: stored"
    there = RecordOutcome("stored", None, None, None, 2, 57)
    assert describe_outcomes(17, [there]) == "replayed 17: stored at position 57 of shard 2"
    assert describe_outcomes(17, [again]) == (
        "replayed 17: rejected again as 21, reverses_unknown: id 'a' of account b is no usage"
    )
    assert describe_outcomes(17, [stored, stored, again]) == (
        "replayed 17: 2 of its records stored, 1 of its records rejected again; the first rejected again as 21, "
        "reverses_unknown: id 'a' of account b is no usage"
    )


FOLLOWED = Replay(17, "support-1", NOW, [(2, 9), (2, 10), (2, 11)])
WHO = "2026-03-01 00:00:00 UTC by support-1: "


@pytest.mark.parametrize(
    ("outcomes", "said", "outcome_counts"),
    [
        (None, "not known, the version that replayed it noted no place", None),
        ([None], "not judged yet: is `meter run` running?", {}),
        ([RecordOutcome("pruned", None, None, None)], "read, and what came of it is pruned", {"pruned": 1}),
        (
            [RecordOutcome("stored", None, None, None, 2, 57), None, RecordOutcome("duplicate", None, None, None)],
            (
                "1 of its records stored, 1 of its records not judged yet: is `meter run` running?, 1 of its records a "
                "duplicate: its event is stored already and counts once"
            ),
            {"stored": 1, "duplicate": 1},
        ),
    ],
    ids=["not noted", "not read", "pruned", "several"],
)
def test_what_became_of_it_since_is_said(
    outcomes: list[RecordOutcome | None] | None, said: str, outcome_counts: dict[str, int] | None
) -> None:
    replay = FOLLOWED._replace(landed=None if outcomes is None else FOLLOWED.landed)
    followed = Followed(replay, outcomes)
    assert describe_followed(followed) == WHO + said
    fields = followed_fields(followed)
    assert (fields["outcomes"], fields["records"]) == (outcome_counts, None if outcomes is None else 3)
    assert json.loads(json.dumps(fields))["replayed_by"] == "support-1"


def test_every_outcome_has_words() -> None:
    """Those of the statement."""
    found = set(re.findall(r"THEN '([a-z]+)'\n|ELSE '([a-z]+)'", load_sql("meter", "find_outcomes")))
    assert {first or second for first, second in found} == set(OUTCOMES)
