"""For services that produce events: typed, checked before sending, delivered at least once, counted once.

    async with UsageProducer(source="/example/gateway") as usage:
        await usage.model_inference("acc-1", credits="0.25", model="large")
        await usage.flush()

What the meter would reject is refused here, by the same rules, before it is sent: InvalidEventError says why and what
to do. Methods return the event's id; whoever repeats an event after a fault passes the same id and it counts once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Self

from meter.delivery import (
    BLOCK_S,
    DELIVERY_TIMEOUT_S,
    MAX_PENDING,
    BufferFullError,
    Delivery,
    DeliveryError,
    OnLost,
)
from meter.runtime.clock import Clock, SystemClock
from meter.runtime.kafka.producer import Message
from meter.runtime.settings import Settings, load_settings
from schemas.build import STRUCTURED_HEADERS, encode_event, new_event_id
from schemas.events import INPUT_TYPES
from schemas.inputs import ItemKind, ItemStatus
from schemas.limits import Category, ModelType
from schemas.parsing.parse import parse
from schemas.reasons import InvalidEventError, Reason
from schemas.records import Limits, Outcome, Record, Rejected
from schemas.resources import Resource
from schemas.times import format_time
from schemas.topics import ACCOUNTS, USAGE

__all__ = ["AccountsProducer", "BufferFullError", "DeliveryError", "InvalidEventError", "UsageProducer"]

Amount = Decimal | int | str
# The partition is the producer's business; with one partition every key is in the right one.
LIMITS = Limits(max_ahead=timedelta(hours=1), partitions=1)


class EventProducer:
    """What both producers share: check, buffer, flush. One per process, for use by any number of tasks."""

    topic: ClassVar[str]

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
        event_id = event_id or new_event_id()
        known = {name: value for name, value in data.items() if value is not None}
        value = encode_event(
            type,
            account_id,
            known,
            event_id=event_id,
            time=time or now,
            source=self._source,
            extensions=dict(extensions) if extensions else None,
        )
        topic = topic_of(type, self.topic)
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


def topic_of(type: str, topic: str) -> str:
    """The producer's topic, if the type belongs there. Raises InvalidEventError."""
    if type not in INPUT_TYPES:
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


def credit_data(resource: Resource, amount: Amount, reason: str, **more: str | None) -> dict[str, str | None]:
    """Data of an event that moves credits or runs by hand."""
    return {"resource": Resource(resource).value, "amount": decimal_text(amount), "reason": reason, **more}


def decimal_text(amount: Amount) -> str:
    """Exact decimal text. A float is refused: it is not the amount that was meant."""
    if isinstance(amount, bool) or not isinstance(amount, Decimal | int | str):
        raise TypeError(
            f'amounts are Decimal, int or decimal text, not {type(amount).__name__}: write "0.25" or Decimal("0.25")'
        )
    return format(amount, "f") if isinstance(amount, Decimal) else str(amount)


class UsageProducer(EventProducer):
    """Reports usage on metering.usage."""

    topic = USAGE

    async def model_inference(
        self,
        account_id: str,
        *,
        credits: Amount,
        model: str,
        deployment: str | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        category: Category | None = None,
        seconds: float | None = None,
        hardware: str | None = None,
        replicas: int | None = None,
        event_id: str | None = None,
        time: datetime | None = None,
    ) -> str:
        data = {
            "credits": decimal_text(credits),
            "model": model,
            "deployment": deployment,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "category": category,
            "seconds": seconds,
            "hardware": hardware,
            "replicas": replicas,
        }
        return await self.send("usage.model_inference.v1", account_id, data, event_id=event_id, time=time)

    async def guardrail(
        self,
        account_id: str,
        *,
        credits: Amount,
        guardrail: str,
        deployment: str | None = None,
        seconds: float | None = None,
        hardware: str | None = None,
        cpus: float | None = None,
        event_id: str | None = None,
        time: datetime | None = None,
    ) -> str:
        data = {
            "credits": decimal_text(credits),
            "guardrail": guardrail,
            "deployment": deployment,
            "seconds": seconds,
            "hardware": hardware,
            "cpus": cpus,
        }
        return await self.send("usage.guardrail.v1", account_id, data, event_id=event_id, time=time)

    async def custom_script(
        self,
        account_id: str,
        *,
        credits: Amount,
        script: str,
        deployment: str | None = None,
        language: str | None = None,
        category: Category | None = None,
        seconds: float | None = None,
        cpus: float | None = None,
        memory_gb: float | None = None,
        event_id: str | None = None,
        time: datetime | None = None,
    ) -> str:
        data = {
            "credits": decimal_text(credits),
            "script": script,
            "deployment": deployment,
            "language": language,
            "category": category,
            "seconds": seconds,
            "cpus": cpus,
            "memory_gb": memory_gb,
        }
        return await self.send("usage.custom_script.v1", account_id, data, event_id=event_id, time=time)

    async def tool_run(
        self,
        account_id: str,
        *,
        tool: str,
        runs: int = 1,
        status: str | None = None,
        event_id: str | None = None,
        time: datetime | None = None,
    ) -> str:
        data = {"tool": tool, "runs": runs, "status": status}
        return await self.send("usage.tool_run.v1", account_id, data, event_id=event_id, time=time)

    async def item_changed(
        self,
        account_id: str,
        *,
        kind: ItemKind,
        id: str,
        name: str,
        status: ItemStatus,
        owner: str | None = None,
        type: ModelType | None = None,
        language: str | None = None,
        version: str | None = None,
        reason: str | None = None,
        deployed_at: datetime | None = None,
        event_id: str | None = None,
        time: datetime | None = None,
    ) -> str:
        """A model, guardrail, script or tool as it is from now on; `id` is what usage names. The log holds the owner
        encrypted, and forgets it with the account; name nobody elsewhere."""
        data = {
            "kind": kind,
            "id": id,
            "name": name,
            "status": status,
            "owner": owner,
            "type": type,
            "language": language,
            "version": version,
            "reason": reason,
            "deployed_at": deployed_at and format_time(deployed_at),
        }
        return await self.send("item.changed.v1", account_id, data, event_id=event_id, time=time)


class AccountsProducer(EventProducer):
    """For billing and support: accounts, grants and reversals on metering.accounts (they alone may write there)."""

    topic = ACCOUNTS

    async def opened(
        self,
        account_id: str,
        *,
        plan: str,
        contacts: Sequence[str],
        display_name: str | None = None,
        time_zone: str | None = None,
        event_id: str | None = None,
        time: datetime | None = None,
    ) -> str:
        data = {"plan": plan, "contacts": list(contacts), "display_name": display_name, "time_zone": time_zone}
        return await self.send("account.opened.v1", account_id, data, event_id=event_id, time=time)

    async def plan_changed(
        self, account_id: str, *, plan: str, event_id: str | None = None, time: datetime | None = None
    ) -> str:
        return await self.send("account.plan_changed.v1", account_id, {"plan": plan}, event_id=event_id, time=time)

    async def contacts_changed(
        self, account_id: str, *, contacts: Sequence[str], event_id: str | None = None, time: datetime | None = None
    ) -> str:
        data = {"contacts": list(contacts)}
        return await self.send("account.contacts_changed.v1", account_id, data, event_id=event_id, time=time)

    async def renamed(
        self,
        account_id: str,
        *,
        display_name: str | None = None,
        time_zone: str | None = None,
        event_id: str | None = None,
        time: datetime | None = None,
    ) -> str:
        """What is not given stays as it was."""
        data = {"display_name": display_name, "time_zone": time_zone}
        return await self.send("account.renamed.v1", account_id, data, event_id=event_id, time=time)

    async def closed(self, account_id: str, *, event_id: str | None = None, time: datetime | None = None) -> str:
        return await self.send("account.closed.v1", account_id, {}, event_id=event_id, time=time)

    async def reopened(self, account_id: str, *, event_id: str | None = None, time: datetime | None = None) -> str:
        """Grants nothing."""
        return await self.send("account.reopened.v1", account_id, {}, event_id=event_id, time=time)

    async def forgotten(
        self, account_id: str, *, reason: str, event_id: str | None = None, time: datetime | None = None
    ) -> str:
        """Addresses and names of the account are forgotten for good. `reason` stays: it must name nobody."""
        return await self.send("account.forgotten.v1", account_id, {"reason": reason}, event_id=event_id, time=time)

    async def granted(
        self,
        account_id: str,
        *,
        resource: Resource,
        amount: Amount,
        reason: str,
        reference: str,
        event_id: str | None = None,
        time: datetime | None = None,
    ) -> str:
        data = credit_data(resource, amount, reason, reference=reference)
        return await self.send("credits.granted.v1", account_id, data, event_id=event_id, time=time)

    async def revoked(
        self,
        account_id: str,
        *,
        resource: Resource,
        amount: Amount,
        reason: str,
        reference: str,
        revokes: str | None = None,
        event_id: str | None = None,
        time: datetime | None = None,
    ) -> str:
        data = credit_data(resource, amount, reason, reference=reference, revokes=revokes)
        return await self.send("credits.revoked.v1", account_id, data, event_id=event_id, time=time)

    async def reversed(
        self,
        account_id: str,
        *,
        resource: Resource,
        amount: Amount,
        reason: str,
        reverses: str,
        reverses_source: str | None = None,
        event_id: str | None = None,
        time: datetime | None = None,
    ) -> str:
        """Give back usage of one event, named by its id, and by its source where several sources used that id."""
        data = credit_data(resource, amount, reason, reverses=reverses, reverses_source=reverses_source)
        return await self.send("usage.reversed.v1", account_id, data, event_id=event_id, time=time)
