"""What `meter rejections show` says of one rejection: for people, and as values for programs."""

from collections.abc import Sequence

from meter.presentation import describe_bytes
from meter.rejections_listing import describe_dismissal
from meter.replay import is_taken_out
from meter.replay_outcomes import Followed, describe_followed, followed_fields
from meter.store.rejections import Dismissal, Rejection
from schemas.reasons import Reason

TAKEN_OUT_ADVICE = "Nothing can be done with it any more: its account was forgotten."


def describe(
    rejection: Rejection, records: Sequence[Rejection], replays: Sequence[Followed], dismissals: Sequence[Dismissal]
) -> dict[str, object]:
    """`records`: what it stands for, one after the other; the first is told."""
    first = records[0]
    return known_fields(rejection, records) | {
        "headers": [f"{name}: {describe_bytes(value)}" for name, value in first.headers],
        "value": describe_bytes(first.value),
        **whole_fields(first),
        "replays": [describe_followed(each) for each in replays],
        "dismissed": [describe_dismissal(dismissal) for dismissal in dismissals],
    }


def fields_for_programs(
    rejection: Rejection, records: Sequence[Rejection], replays: Sequence[Followed], dismissals: Sequence[Dismissal]
) -> dict[str, object]:
    """What `describe` says, as values."""
    first = records[0]
    return known_fields(rejection, records) | {
        "headers": [{"name": name, "value": describe_bytes(value)} for name, value in first.headers],
        "value": describe_bytes(first.value),
        **whole_fields(first),
        "replays": [followed_fields(each) for each in replays],
        "dismissed": [
            {"dismissed_at": each.dismissed_at.isoformat(), "dismissed_by": each.dismissed_by, "reason": each.reason}
            for each in dismissals
        ],
    }


def known_fields(rejection: Rejection, records: Sequence[Rejection]) -> dict[str, object]:
    """What is the same for both, down to the key."""
    return {
        "id": rejection.rejection_id,
        "topic": rejection.topic,
        "shard": rejection.shard,
        "offset": rejection.offset,
        "last_offset": rejection.offset if rejection.to_offset is None else rejection.to_offset - 1,
        "packed_records": len(records) if rejection.packed else None,
        "reason": rejection.reason,
        "detail": rejection.detail,
        "advice": TAKEN_OUT_ADVICE if is_taken_out(rejection) else advice_for(rejection.reason),
        "recorded_at": rejection.recorded_at.isoformat(),
        "kafka_timestamp": rejection.kafka_timestamp.isoformat() if rejection.kafka_timestamp else None,
        "key": describe_bytes(records[0].key),
    }


def whole_fields(rejection: Rejection) -> dict[str, object]:
    """Of an original of which only the beginning is kept."""
    return {
        "original_bytes": rejection.original_bytes,
        "original_sha256": rejection.original_sha256.hex() if rejection.original_sha256 else None,
    }


def advice_for(reason: str) -> str | None:
    """None for a reason of a newer version than this one."""
    return Reason(reason).advice if reason in set(Reason) else None
