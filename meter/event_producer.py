"""What the producers of `meter.client` share: an event is checked as the meter checks it, buffered and delivered."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from meter.delivery import BLOCK_S, DELIVERY_TIMEOUT_S, MAX_PENDING, Delivery
from meter.runtime.clock import Clock, SystemClock
from meter.runtime.kafka.producer import Message
from meter.runtime.settings import Settings, load_settings
from meter.undelivered import DeliveryError, OnLost
from schemas.build import STRUCTURED_HEADERS, encode_event, new_event_id
from schemas.events import INPUT_TYPES
from schemas.parsing.parse import parse
from schemas.reasons import InvalidEventError, Reason
from schemas.records import Limits, Outcome, Record, Rejected

# The partition is the producer's business; with one partition every key is in the right one.
LIMITS = Limits(max_ahead=timedelta(hours=1), partitions=1)


class EventProducer:
    """What both producers share: check, buffer, flush. One per process, for use by any number of tasks."""

    topic: ClassVar[str]
    awaits_rights: ClassVar[bool] = True  # tries again while Kafka refuses a right, which somebody may give

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        source: str,
        clock: Clock | None = None,
        max_pending: int = MAX_PENDING,
        delivery_timeout_s: float = DELIVERY_TIMEOUT_S,
        block_s: float = BLOCK_S,
        connect: bool = True,
        on_lost: OnLost | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        """Settings come from the environment where none are given.

        max_pending: events in the buffer; where it is full, senders wait for `block_s` and get BufferFullError.
        delivery_timeout_s: so long an event is tried again while Kafka is away; then it is lost: `on_lost` is called
            with a DeliveryError that has the events, or the next flush raises it.
        connect: with False the producer starts although Kafka is away.
        limits: the meter's, others than the usual ones where METERING_MAX_USAGE_CREDITS or _RUNS is raised.
        """
        self._source = source
        self._limits = replace(limits, partitions=1)
        self._clock = clock or SystemClock()
        self._delivery = Delivery(
            settings or load_settings(Settings),
            client_id=type(self).__name__,
            max_pending=max_pending,
            delivery_timeout_s=delivery_timeout_s,
            block_s=block_s,
            connect=connect,
            on_lost=on_lost,
            awaits_rights=self.awaits_rights,
        )

    async def __aenter__(self) -> Self:
        await self._delivery.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._delivery.__aexit__(*exception)

    async def close(self, timeout_s: float | None = None) -> None:
        """Flush within this time and close, as the end of the block does. Raises DeliveryError for what is left."""
        await self._delivery.stop(timeout_s)

    async def flush(self) -> None:
        """Wait for the acknowledgement of everything sent so far. Raises DeliveryError."""
        await self._delivery.flush()

    async def send(
        self,
        type: str,
        account_id: str,
        data: Mapping[str, Any],
        *,
        event_id: str | None = None,
        time: datetime | None = None,
        extensions: Mapping[str, str] | None = None,
    ) -> str:
        """Check and buffer one event; its id. None values in `data` are left out. Raises InvalidEventError."""
        now = self._clock.now()
        topic = topic_of(type, self.topic)
        event_id = new_event_id() if event_id is None else event_id
        check_type("account_id", account_id, str, Reason.INVALID_SUBJECT)
        check_type("event_id", event_id, str, Reason.INVALID_ID)
        check_type("data", data, Mapping, Reason.INVALID_DATA)
        check_type("extensions", {} if extensions is None else extensions, Mapping, Reason.INVALID_DATA)
        known = {name: value for name, value in data.items() if value is not None}
        value = encode_event(
            type,
            account_id,
            known,
            event_id=event_id,
            time=now if time is None else time,
            source=self._source,
            extensions=dict(extensions) if extensions else None,
        )
        check_event(topic, account_id, value, now, self._limits)
        await self.enqueue(event_id, Message(topic, account_id, value, headers=STRUCTURED_HEADERS))
        return event_id

    async def send_again(self, error: DeliveryError) -> None:
        """Buffer the events of an earlier DeliveryError once more, as they were: they count once."""
        for event in error.events:
            await self.enqueue(event.event_id, event.message)

    async def enqueue(self, event_id: str, message: Message) -> None:
        """Buffer an event that was checked, waiting while the buffer is full."""
        await self._delivery.enqueue(event_id, message)


def check_type(name: str, value: object, wanted: type, reason: Reason) -> None:
    """Raises InvalidEventError that names the argument."""
    if not isinstance(value, wanted):
        kind = "text" if wanted is str else "a mapping of names to values"
        raise InvalidEventError(reason, f"{name}: {type(value).__name__} is not {kind}")


def topic_of(type: str, topic: str) -> str:
    """The producer's topic, if the type belongs there. Raises InvalidEventError."""
    if not isinstance(type, str) or type not in INPUT_TYPES:
        raise InvalidEventError(Reason.UNKNOWN_TYPE, f"there is no event type {type!r}")
    if INPUT_TYPES[type].topic != topic:
        raise InvalidEventError(Reason.WRONG_TOPIC, f"{type} belongs to {INPUT_TYPES[type].topic}, not to {topic}")
    return topic


def check_event(topic: str, account_id: str, value: bytes, now: datetime, limits: Limits = LIMITS) -> None:
    """Raise InvalidEventError for what the meter would reject."""
    result = judge_event(topic, account_id, value, now, limits)
    if isinstance(result, Rejected):
        raise InvalidEventError(result.reason, result.detail)


def judge_event(topic: str, account_id: str, value: bytes, now: datetime, limits: Limits = LIMITS) -> Outcome:
    """What the meter will make of an event."""
    timestamp_ms = int(now.timestamp() * 1000)
    return parse(Record(topic, 0, 0, timestamp_ms, account_id.encode(), value, STRUCTURED_HEADERS), now, limits)
