"""Replay: the original bytes of a rejection are sent again as a new record, which is judged afresh.

What helps: a record in the wrong partition comes to the right one (the key decides), an event from the future has
become past, a newer version knows the type. What was wrong in the bytes stays wrong and would be rejected again: the
bytes are judged before they are sent.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final, NamedTuple

import orjson

from meter.blanking import BLANKED
from meter.packing import read_whole, unpack
from meter.runtime.clock import Clock
from meter.runtime.errors import RefusalError
from meter.runtime.kafka import Landed, Message, Producer
from meter.runtime.process.interruption import say_when_interrupted
from meter.store.evidence import record_time
from meter.store.rejections import Rejection, Rejections
from schemas.parsing.parse import parse
from schemas.reasons import FINAL, Reason
from schemas.records import Limits, Record, Rejected
from schemas.topics import OWN_HEADERS, TOPICS

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
KEPT: Final = {spec.name: timedelta(milliseconds=spec.retention_ms) for spec in TOPICS}
NOTHING_STORED: Final[Mapping[int, Rejected]] = MappingProxyType({})


class Replayed(NamedTuple):
    """A rejection that was sent again, and where its records are."""

    rejection: Rejection
    landed: list[Landed]


async def replay_rejections(
    rejections: Rejections,
    producer: Producer,
    ids: Sequence[int],
    replayed_by: str,
    clock: Clock,
    limits: Limits,
    *,
    force: bool = False,
) -> AsyncIterator[Replayed]:
    """Send each again and note it; yields what was sent. Raises RefusalError, with nothing sent, if one cannot be, or
    would be rejected again: `force` sends that all the same, but not what is kept in part.

    Sent first, noted after: a crash between the two at worst sends a record twice, and its id counts once.
    """
    found = await fetch_all(rejections, ids)
    if final := [rejection for rejection in found if is_final(rejection)]:
        names = ", ".join(f"{rejection.rejection_id} ({rejection.reason})" for rejection in final)
        raise RefusalError(f"a replay cannot help {names}: there is no event in what was sent. Send the events again")
    if taken_out := [str(rejection.rejection_id) for rejection in found if is_taken_out(rejection)]:
        raise RefusalError(f"there is nothing to replay of {', '.join(taken_out)}: {BLANKED}. Nothing is sent.")
    if not force:
        await refuse_hopeless(rejections, found, clock.now(), limits)
    for rejection in found:
        number = rejection.rejection_id
        repeat = f"It may have arrived, and counts once: see `meter rejections show {number}`"
        say_when_interrupted(f" while {number} was replayed. {repeat}.")
        records = [each for each in take_out(rejection) if not is_final(each)]
        landed = await producer.publish([replay_message(each, clock.now()) for each in records])
        await rejections.append_replay(number, replayed_by, clock, landed)
        say_when_interrupted(f". Replayed {number}: on {rejection.topic}, and not judged yet.")
        yield Replayed(rejection, landed)
        say_when_interrupted(f". Replayed {number}, and nothing behind it.")


async def refuse_hopeless(rejections: Rejections, found: Sequence[Rejection], now: datetime, limits: Limits) -> None:
    """Judged as the meter will judge it: by the contract, then by what is stored."""
    records = [replay_record(each, now) for rejection in found for each in take_out(rejection)]
    stored = await rejections.foresee(records, now, limits)
    if hopeless := list(find_hopeless(found, now, limits, stored)):
        raise RefusalError("\n".join([*hopeless, "Nothing is sent; --force sends the bytes all the same."]))


async def fetch_all(rejections: Rejections, ids: Sequence[int], nothing: str = "Nothing is sent") -> list[Rejection]:
    """Raises RefusalError when one is not there; `nothing` says what is not done then."""
    found = await rejections.fetch_rejections(list(ids))
    if missing := sorted(set(ids) - {rejection.rejection_id for rejection in found}):
        named = ", ".join(map(str, missing))
        raise RefusalError(f"there is no rejection {named}. {nothing}: see the numbers in `meter rejections list`.")
    return found


def is_final(rejection: Rejection) -> bool:
    """Whether nothing that is kept is a record that the meter could judge otherwise."""
    if rejection.reason in {reason.value for reason in FINAL}:
        return True
    if rejection.packed:
        return all(map(is_final, take_out(rejection)))
    return rejection.to_offset is not None or rejection.original_bytes is not None


def is_taken_out(rejection: Rejection) -> bool:
    """Whether the bytes of all that it stands for were taken out, because accounts were forgotten. Of packed records
    without an event nobody can tell: they may never have had a value."""
    if not rejection.packed:
        return rejection.detail == BLANKED
    return not is_final(rejection) and all(record.value is None for record in take_out(rejection))


def find_hopeless(
    found: Sequence[Rejection], now: datetime, limits: Limits, stored: Mapping[int, Rejected] = NOTHING_STORED
) -> Iterator[str]:
    """A sentence for each that would be rejected again, or that packs a record that would be. `stored` has what would
    be for what is stored, by the record's number among all."""
    number = 0
    for rejection in found:
        records = take_out(rejection)
        verdicts = [judge(each, now, limits, stored.get(at)) for at, each in enumerate(records, number)]
        number += len(records)
        refused = [verdict for verdict in verdicts if verdict is not None]
        if refused:
            [(reason, _count)] = Counter(reason for reason, _detail in refused).most_common(1)
            detail = next(detail for found, detail in refused if found is reason)
            who = f"{len(refused):,} of its {len(records):,} records" if rejection.packed else "it"
            again = f"{who} would be rejected again, {reason.value}: {detail}"
            yield f"a replay cannot help {rejection.rejection_id}: {again}. {reason.advice}"


def take_out(rejection: Rejection) -> list[Rejection]:
    """Each record that it stands for, as a rejection of its own. Records of accounts that were forgotten have no bytes
    left, and count only where it has no others."""
    if not rejection.packed:
        return [rejection]
    records = list(map(read_whole, unpack(rejection.topic, rejection.shard, rejection.value or b"")))
    kept = [each for each in records if each[0].value is not None] or records
    return [
        rejection._replace(
            offset=record.offset, key=record.key, value=record.value, headers=list(record.headers), to_offset=None,
            packed=False, kafka_timestamp=record_time(record), original_bytes=length, original_sha256=digest,
        )
        for record, length, digest in kept
    ]  # fmt: skip


def judge(
    rejection: Rejection, now: datetime, limits: Limits, stored: Rejected | None = None
) -> tuple[Reason, str] | None:
    """Why the bytes would be rejected now; None where a replay may help.

    An id that is used stays used: the log forgets none. What the database refused only the database can judge.
    """
    if stored is not None:
        return stored.reason, stored.detail
    if rejection.reason == Reason.ID_REUSED.value:
        return Reason.ID_REUSED, "an event with its id is stored, with other content"
    outcome = parse(replay_record(rejection, now), now, replace(limits, partitions=1))
    return (outcome.reason, outcome.detail) if isinstance(outcome, Rejected) else None


def replay_record(rejection: Rejection, now: datetime) -> Record:
    """As the meter will read it: a new record, whose partition its key decides."""
    headers = [(name, b"" if value is None else value) for name, value in headers_to_send(rejection)]
    sent_ms = timestamp_to_send(rejection, now)
    timestamp_ms = int(now.timestamp() * 1000) if sent_ms is None else sent_ms
    return Record(rejection.topic, 0, 0, timestamp_ms, rejection.key, rejection.value, headers)


def timestamp_to_send(rejection: Rejection, now: datetime) -> int | None:
    """Kafka's as it was, in ms: the time of an event that has none of its own. None, for now, of others.

    A topic keeps records by their timestamps: one that is as old as it keeps them might be gone before it is read. So
    half of that time is left at least; what is older, or ahead, counts now.
    """
    sent = rejection.kafka_timestamp
    if sent is None or not now - KEPT[rejection.topic] / 2 <= sent <= now or has_time(rejection):
        return None
    return (sent - EPOCH) // timedelta(milliseconds=1)


def has_time(rejection: Rejection) -> bool:
    """Whether the event says its time; also where no event can be read."""
    names = {name for name, _value in rejection.headers}
    if "ce_specversion" in names:
        return "ce_time" in names
    try:
        event = orjson.loads(rejection.value or b"")
    except orjson.JSONDecodeError:
        return True
    return not isinstance(event, dict) or event.get("time") is not None


def headers_to_send(rejection: Rejection) -> list[tuple[str, bytes | None]]:
    return [header for header in rejection.headers if header[0] not in OWN_HEADERS]  # so that it is sent on again


def replay_message(rejection: Rejection, now: datetime) -> Message:
    headers = headers_to_send(rejection)
    return Message(
        rejection.topic,
        rejection.key,
        rejection.value,
        headers=headers,  # type: ignore[arg-type]  # null
        timestamp_ms=timestamp_to_send(rejection, now),
    )
