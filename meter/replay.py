"""Replay: the original bytes of a rejection are sent again as a new record, which is judged afresh.

What helps: a record in the wrong partition comes to the right one (the key decides), an event from the future has
become past, a newer version knows the type. What was wrong in the bytes stays wrong and is rejected again.
"""

from collections.abc import AsyncIterator, Sequence

from meter.runtime.clock import Clock
from meter.runtime.errors import RefusalError
from meter.runtime.kafka import Message, Producer
from meter.store.rejections import Rejection, Rejections
from schemas.reasons import FINAL
from schemas.topics import OWN_HEADERS


async def replay_rejections(
    rejections: Rejections, producer: Producer, ids: Sequence[int], replayed_by: str, clock: Clock
) -> AsyncIterator[Rejection]:
    """Send each again and note it; yields what was sent. Raises RefusalError, with nothing sent, if one cannot be.

    Sent first, noted after: a crash between the two at worst sends a record twice, and its id counts once.
    """
    found = await rejections.fetch_rejections(list(ids))
    if missing := sorted(set(ids) - {rejection.rejection_id for rejection in found}):
        raise RefusalError(f"there is no rejection {', '.join(map(str, missing))}")
    if final := [rejection for rejection in found if is_final(rejection)]:
        names = ", ".join(f"{rejection.rejection_id} ({rejection.reason})" for rejection in final)
        raise RefusalError(f"a replay cannot help {names}: there is no event in what was sent. Send the events again")
    for rejection in found:
        await producer.publish([replay_message(rejection)])
        await rejections.append_replay(rejection.rejection_id, replayed_by, clock)
        yield rejection


def is_final(rejection: Rejection) -> bool:
    """Whether what is kept is no record that the meter could judge otherwise."""
    partly_kept = rejection.to_offset is not None or rejection.original_bytes is not None
    return partly_kept or rejection.reason in {reason.value for reason in FINAL}


def replay_message(rejection: Rejection) -> Message:
    headers = [header for header in rejection.headers if header[0] not in OWN_HEADERS]  # so that it is sent on again
    return Message(rejection.topic, rejection.key, rejection.value, headers=headers)  # type: ignore[arg-type]  # null
