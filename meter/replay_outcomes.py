"""What became of what was replayed: as words for people, and as values for programs. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from schemas.times import say_time

if TYPE_CHECKING:
    from meter.store.rejections import RecordOutcome, Replay

# What is said of an outcome, behind "replayed 17:".
OUTCOMES: Final = {
    "stored": "stored",
    "duplicate": "a duplicate: its event is stored already and counts once",
    "waiting": "it waits for the usage it names (`meter waiting`)",
    "rerouted": "sent on to the partition of its account",
    "rejected": "rejected again",
    "pruned": "read, and what came of it is pruned",
}
NOT_READ: Final = "not judged yet: is `meter run` running?"
NOT_NOTED: Final = "not known, the version that replayed it noted no place"

NO_OUTCOMES: Final[Mapping[str, object]] = MappingProxyType({"outcomes": None, "rejections": (), "stored": ()})


class Followed(NamedTuple):
    """A replay, and what became of each record that it sent: None for one that is not read yet. None in place of the
    list where the replay noted no places."""

    replay: Replay
    outcomes: Sequence[RecordOutcome | None] | None


def describe_outcomes(rejection_id: int, outcomes: Sequence[RecordOutcome]) -> str:
    """`replayed 17: stored at position 57 of shard 2`; of several records how many came to what."""
    return f"replayed {rejection_id}: {describe_all(outcomes)}"


def describe_followed(followed: Followed) -> str:
    """`2026-11-27 02:10:00 UTC by support-1: stored at position 57 of shard 2`."""
    replay = followed.replay
    return f"{say_time(replay.replayed_at)} by {replay.replayed_by}: {describe_since(followed)}"


def describe_since(followed: Followed) -> str:
    """What came of it by now."""
    return NOT_NOTED if followed.outcomes is None else describe_all(followed.outcomes)


def describe_all(outcomes: Sequence[RecordOutcome | None]) -> str:
    if len(outcomes) == 1:
        return describe_outcome(outcomes[0])
    counts = Counter(NOT_READ if outcome is None else OUTCOMES[outcome.outcome] for outcome in outcomes)
    text = ", ".join(f"{count:,} of its records {said}" for said, count in counts.items())
    refused = next((each for each in outcomes if each is not None and each.outcome == "rejected"), None)
    return text + (f"; the first {describe_outcome(refused)}" if refused else "")


def describe_outcome(outcome: RecordOutcome | None) -> str:
    if outcome is None:
        return NOT_READ
    said = OUTCOMES[outcome.outcome]
    if outcome.outcome == "rejected":
        return f"{said} as {outcome.rejection_id}, {outcome.reason}: {outcome.detail}"
    return said if outcome.position is None else f"{said} at position {outcome.position} of shard {outcome.shard}"


def outcome_fields(outcomes: Sequence[RecordOutcome | None]) -> dict[str, object]:
    """How many records came to what, the rejections of those that were rejected again, and where the others are."""
    read = [outcome for outcome in outcomes if outcome is not None]
    counts: Mapping[str, int] = Counter(outcome.outcome for outcome in read)
    return {
        "outcomes": counts,
        "rejections": [outcome.rejection_id for outcome in read if outcome.rejection_id is not None],
        "stored": [
            {"shard": outcome.shard, "position": outcome.position} for outcome in read if outcome.position is not None
        ],
    }


def followed_fields(followed: Followed) -> dict[str, object]:
    """As JSON has it. `records`: how many were sent; those that are in no outcome are not read yet."""
    replay, outcomes = followed
    return {
        "replayed_at": replay.replayed_at.isoformat(),
        "replayed_by": replay.replayed_by,
        "records": None if replay.landed is None else len(replay.landed),
        **(NO_OUTCOMES if outcomes is None else outcome_fields(outcomes)),
    }
