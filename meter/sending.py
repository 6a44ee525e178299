"""For the verbs that send an event: send it, and wait until it is judged and its account's balances have it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import NamedTuple, TypeVar

from meter.client import AccountsProducer, DeliveryError, InvalidEventError
from meter.event_producer import judge_event
from meter.runtime.clock import SystemClock
from meter.runtime.errors import DependencyUnreachableError, RefusalError, explain
from meter.runtime.kafka import Landed, Message
from meter.runtime.process.interruption import say_when_interrupted
from meter.runtime.settings import Settings
from meter.runtime.waiting import pauses
from meter.store.outcomes import Outcomes, Place, RejectedEvent, Sent, StoredEvent
from meter.typed import describe_left_out
from schemas.identity import VERBS_SOURCE
from schemas.reasons import Reason
from schemas.records import Remark, Remarked, event_of
from schemas.times import say_time

DELIVERY_TIMEOUT_S = 30
EFFECT_TIMEOUT_S = 30  # the services trail by a fraction of a second; after this time one of them is not running
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 0.5

Send = Callable[[AccountsProducer, str], Awaitable[str]]
T = TypeVar("T")


class Effect(NamedTuple):
    """An event that is stored and folded, and what was left out of it. `opening`: the position of the event that opened
    its account."""

    event_id: str
    position: int
    remarks: tuple[Remark, ...]
    opening: int | None


class Delivered(NamedTuple):
    """A record that Kafka has. Should the client have sent it more than once, its time tells its event from another
    with the same id: `landed` is where the last copy is."""

    landed: Landed
    value: bytes
    occurred_at: datetime


class Duplicate(NamedTuple):
    """An event that somebody else had sent, and that is stored."""

    stored: StoredEvent


class CheckingProducer(AccountsProducer):
    """Judges events and sends none. What the meter would leave out is refused: whoever typed it can put it right."""

    last: Message

    async def enqueue(self, event_id: str, message: Message) -> None:
        self.last = message
        now = SystemClock().now()
        outcome = judge_event(message.topic, str(message.key), message.value or b"", now)
        if isinstance(outcome, Remarked):
            [first, *_] = outcome.remarks
            reason = Reason.INVALID_CONTACTS if first.field.startswith("contacts") else Reason.INVALID_DATA
            raise InvalidEventError(reason, describe_left_out(first))


class KeepingProducer(AccountsProducer):
    """Keeps what it sends, so that what became of this very record can be asked. Whoever typed it sees a right that is
    lacking at once."""

    awaits_rights = False
    last: Message

    async def enqueue(self, event_id: str, message: Message) -> None:
        self.last = message
        await super().enqueue(event_id, message)

    def delivered(self) -> Delivered:
        """Of the last event, once it was flushed."""
        value, landed = self.last.value or b"", self._delivery.landed
        # As the meter reads it: it takes more spellings than are written.
        event = event_of(judge_event(self.topic, str(self.last.key), value, SystemClock().now()))
        if landed is None or event is None:
            raise RuntimeError("nothing was flushed")
        return Delivered(landed, value, event.occurred_at)


async def check_event(settings: Settings, event_id: str, send: Send) -> None:
    """Have the arguments judged before anything else is done. Raises InvalidEventError."""
    await send(CheckingProducer(settings, source=VERBS_SOURCE), event_id)


async def check_stored(outcomes: Outcomes, settings: Settings, event_id: str, send: Send) -> None:
    """Have the event judged by what is stored, in the meter's words. Raises RefusalError, and InvalidEventError."""
    producer = CheckingProducer(settings, source=VERBS_SOURCE)
    await send(producer, event_id)
    if (rejected := await outcomes.foresee(producer.last, SystemClock().now())) is not None:
        raise RefusalError(f"{rejected.reason.value}: {rejected.detail}. Nothing is sent.")


async def send_event(settings: Settings, event_id: str, send: Send) -> Delivered:
    """Send one event and wait for its acknowledgement. After a fault the message says how to repeat it."""
    try:
        async with KeepingProducer(settings, source=VERBS_SOURCE, delivery_timeout_s=DELIVERY_TIMEOUT_S) as producer:
            say_when_interrupted(f" while it was sent. {describe_repeat(event_id)}")
            await send(producer, event_id)
            await producer.flush()
            say_when_interrupted(f", sent as event {event_id}: {describe_on_kafka(event_id)}")
            return producer.delivered()
    except DeliveryError as error:
        message = f"{explain(error)}\n{describe_repeat(event_id)}"
        raise DependencyUnreachableError(message, dependency="kafka") from error


def describe_repeat(event_id: str) -> str:
    return f"It may have arrived: repeat with --event-id {event_id}"


async def send_and_wait(
    settings: Settings, outcomes: Outcomes, account_id: str, event_id: str, send: Send, timeout_s: float
) -> Effect:
    """Send one event and wait until its account's balances have it.

    Raises RefusalError when its id is used already (nothing is sent then), or by somebody else in the same moment, and
    when it is rejected.
    """
    sent = Sent(account_id, VERBS_SOURCE, event_id)
    place = await outcomes.find_place(account_id)
    if (before := await outcomes.find_stored(place, sent)) is not None:
        raise RefusalError(describe_used(event_id, before))
    record = await send_event(settings, event_id, send)
    return await wait_for_effect(outcomes, place, sent, record, timeout_s)


async def wait_for_effect(outcomes: Outcomes, place: Place, sent: Sent, record: Delivered, timeout_s: float) -> Effect:
    """Raises RefusalError when it is rejected, and when the time is over."""
    event_id = sent.event_id
    outcome = await ask_until(lambda: find_outcome(outcomes, place, sent, record), timeout_s)
    match outcome:
        case None:
            raise waited_for(await explain_unstored(outcomes, record), event_id, timeout_s)
        case RejectedEvent(rejection_id, reason, detail):
            raise RefusalError(f"{reason}: {detail}\nSee `meter rejections show {rejection_id}`.")
        case Duplicate(before):
            raise RefusalError(describe_duplicate(event_id, before))
    last = outcome.last_position

    async def folded() -> bool:
        return await outcomes.find_folded_position(place.shard) >= last

    if not await ask_until(folded, timeout_s):
        raise waited_for("it is stored, but no balance shows it: is `projections run` running?", event_id, timeout_s)
    remarks = await outcomes.find_remarks(place, outcome.offset)
    return Effect(event_id, outcome.position, tuple(remarks), await outcomes.find_opening(place, sent.account_id))


async def find_outcome(
    outcomes: Outcomes, place: Place, sent: Sent, record: Delivered
) -> StoredEvent | RejectedEvent | Duplicate | None:
    """What became of this very record, whatever else came with its id; None while it is not judged."""
    found = await outcomes.find_outcome(record.landed)
    kind = None if found is None else found.outcome
    if found is not None and kind == "rejected":
        return RejectedEvent(found.rejection_id or 0, found.reason or "", found.detail or "")
    # One that was sent on to another partition has another offset there.
    if kind in (None, "rerouted") and (rejected := await outcomes.find_rejected(place, sent.account_id, record.value)):
        return rejected
    stored = await outcomes.find_stored(place, sent)
    if stored is None or stored.occurred_at == record.occurred_at:
        return stored
    return Duplicate(stored) if kind == "duplicate" else None


async def explain_unstored(outcomes: Outcomes, record: Delivered) -> str:
    found = await outcomes.find_outcome(record.landed)
    if found is not None and found.outcome == "waiting":
        return "it waits for the usage that it names: see `meter waiting`."
    return "it is not stored yet: is `meter run` running?"


async def ask_until(ask: Callable[[], Awaitable[T]], timeout_s: float) -> T | None:
    """The first answer that is true, asked again and again in growing pauses; None when the time is over.

    A question that itself takes too long is the database's fault and is raised.
    """
    try:
        async with asyncio.timeout(timeout_s) as limit:
            for pause_s in pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S):
                if answer := await ask():
                    return answer
                await asyncio.sleep(pause_s)
    except TimeoutError:
        if not limit.expired():
            raise
    return None


def describe_used(event_id: str, stored: StoredEvent) -> str:
    from meter.content import describe

    what = describe(stored.type, stored.resource, stored.amount, stored.name)
    return (
        f"id_reused: an event with id {event_id} is stored for this account: {what}, position {stored.position}, "
        f"recorded {say_time(stored.recorded_at)}. Nothing is sent: what was meant then counts once."
    )


def describe_duplicate(event_id: str, stored: StoredEvent) -> str:
    return (
        f"duplicate: the same event with id {event_id} was stored before, position {stored.position}, recorded "
        f"{say_time(stored.recorded_at)}. It counts once: nothing is added by this one."
    )


def waited_for(what: str, event_id: str, timeout_s: float) -> RefusalError:
    said = describe_on_kafka(event_id)
    return RefusalError(f"sent, and after {timeout_s:g} s {what}\n{said[0].upper()}{said[1:]}")


def describe_on_kafka(event_id: str) -> str:
    return f"it is on Kafka and counts once the service reads it: do not send it again with another id than {event_id}."
