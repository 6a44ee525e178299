"""Topics: describing them (identity, partitions, configuration, offsets) and creating them."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple, Self

from meter.runtime.errors import DependencyUnreachableError, RefusalError
from meter.runtime.kafka.adapter.admin import AiokafkaAdmin
from meter.runtime.kafka.adapter.consumer import AiokafkaReader
from meter.runtime.kafka.adapter.protocols import AdminClient, ReaderClient, TopicInfo, TopicPartition
from meter.runtime.kafka.asking import ask_each, not_answered
from meter.runtime.kafka.connecting import not_connected
from meter.runtime.kafka.failures import UNAUTHORIZED, describe, explain_lack, is_starting, is_transient, unreachable
from meter.runtime.log import get_logger
from meter.runtime.settings import Settings
from schemas.figures import count_of
from schemas.topics import TopicSpec

log = get_logger("kafka_admin")

STOP_TIMEOUT_S = 5
# Brokers that have just started take topics after some seconds.
STARTING_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
FETCH_ENDS_TIMEOUT_S = 15
FETCH_ENDS_RECORDS = 500  # the records do not matter, the high watermark does
NOT_FETCHED = "no fetch was answered in time"


class TopicChange(NamedTuple):
    """What `ensure` did with a topic: `action` is created, kept or differs."""

    topic: str
    action: str
    detail: str


class TopicAdmin:
    """Admin client. Topic names are the logical ones of `schemas.topics`; the prefix is added here."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin: AdminClient | None = None

    async def start(self) -> None:
        admin = AiokafkaAdmin(self._settings, client_id="credit-admin")
        try:
            await admin.start()
        except BaseException as error:
            await admin.stop(STOP_TIMEOUT_S)
            if is_transient(error):
                raise await not_connected(error, self._settings) from error
            raise
        self._admin = admin

    async def stop(self) -> None:
        if self._admin is not None:
            admin, self._admin = self._admin, None
            await admin.stop(STOP_TIMEOUT_S)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def _started(self) -> AdminClient:
        if self._admin is None:
            raise RuntimeError("TopicAdmin is not started")
        return self._admin

    async def find(self, topic: str) -> TopicInfo | None:
        """Identity and partitions, without the configuration."""
        info = await self._started.describe_topic(self._settings.topic(topic))
        return None if info is None else info._replace(topic=topic)

    async def describe(self, topic: str) -> TopicInfo | None:
        """Identity, partitions and configuration; None when there is no such topic."""
        info = await self.find(topic)
        if info is None:
            return None
        return info._replace(config=await self._started.fetch_config(self._settings.topic(topic)))

    async def ensure(self, specs: Iterable[TopicSpec], replication_factor: int) -> list[TopicChange]:
        """Create the topics that are missing. Report how the others differ, and change nothing about them."""
        return [await self._ensure_one(spec, replication_factor) for spec in specs]

    async def _ensure_one(self, spec: TopicSpec, replication_factor: int) -> TopicChange:
        info = await self.describe(spec.name)
        if info is None:
            await self._create(spec, replication_factor)
            await self._wait_until_known(spec.name)
            return TopicChange(spec.name, "created", count_of(spec.partitions, "partition"))
        return compare(spec, info, replication_factor)

    async def compare(self, specs: Iterable[TopicSpec], replication_factor: int) -> list[TopicChange]:
        """What `ensure` would find, without making anything: `action` is missing, kept or differs."""
        changes = []
        for spec in specs:
            info = await self.describe(spec.name)
            missing = TopicChange(spec.name, "missing", "run `meter setup`")
            changes.append(missing if info is None else compare(spec, info, replication_factor))
        return changes

    async def _create(self, spec: TopicSpec, replication_factor: int) -> None:
        for pause_s in (*STARTING_PAUSES_S, None):
            refusal = await self._started.create_topic(
                self._settings.topic(spec.name),
                partitions=spec.partitions,
                replication_factor=replication_factor,
                config=wanted_config(spec, replication_factor),
            )
            if refusal is None:
                return
            if pause_s is None or not is_starting(refusal):
                raise self._explain(refusal, spec.name, "Create", "created")
            log.info("brokers_start", topic=spec.name, detail=describe(refusal))
            await asyncio.sleep(pause_s)

    def _explain(self, refusal: Exception, topic: str, operation: str, done: str) -> Exception:
        if is_transient(refusal) or is_starting(refusal):
            return unreachable(refusal, f"topic {topic} was not {done}")
        if isinstance(refusal, UNAUTHORIZED):
            right, own = f"{operation} on the topic {self._settings.topic(topic)}", self._settings
            return RefusalError(explain_lack(right, address=own.kafka_bootstrap, user=own.kafka_sasl_username))
        return RefusalError(f"topic {topic} could not be {done}: {describe(refusal)}")

    async def _wait_until_known(self, topic: str) -> None:
        """Wait: the controller has created the topic, and the brokers learn of it a moment later; on a machine with
        much other work, half a minute later."""
        for pause_s in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0):
            if await self.find(topic) is not None:
                return
            await asyncio.sleep(pause_s)
        raise DependencyUnreachableError(f"topic {topic} was created but is not known yet", dependency="kafka")

    async def delete(self, topic: str) -> None:
        """Delete a topic with all its records. Raises RefusalError where that is not allowed."""
        refusal = await self._started.delete_topic(self._settings.topic(topic))
        if refusal is not None:
            raise self._explain(refusal, topic, "Delete", "deleted")

    async def beginning_offsets(self, topic: str) -> dict[int, int]:
        """First offset still there, per partition. Raises DependencyUnreachableError while one does not answer."""
        return await self._fetch_offsets(topic, beginning=True)

    async def end_offsets(self, topic: str, numbers: Collection[int] | None = None) -> dict[int, int]:
        """Offset of the next record to be written, per partition; of these `numbers` alone where they are given.
        Raises DependencyUnreachableError while one does not answer."""
        return await self._fetch_offsets(topic, numbers=numbers)

    async def bounds(self, topic: str) -> tuple[dict[int, tuple[int, int]], dict[int, str]]:
        """Of each partition where it begins and ends, and of those that do not answer why, for people."""
        begins, silent = await self._ask_offsets(topic, beginning=True)
        ends, silent_ends = await self._ask_offsets(topic, numbers=begins.keys()) if begins else ({}, {})
        return {number: (begins[number], end) for number, end in ends.items()}, silent | silent_ends

    async def _fetch_offsets(
        self, topic: str, *, beginning: bool = False, numbers: Collection[int] | None = None
    ) -> dict[int, int]:
        found, silent = await self._ask_offsets(topic, beginning=beginning, numbers=numbers)
        if silent:
            name = self._settings.topic(topic)
            reasons = {TopicPartition(name, number): reason for number, reason in silent.items()}
            raise not_answered(reasons, f"reading the {'beginning' if beginning else 'end'} of {name}")
        return found

    async def _ask_offsets(
        self, topic: str, *, beginning: bool = False, numbers: Collection[int] | None = None
    ) -> tuple[dict[int, int], dict[int, str]]:
        info = await self.find(topic)
        if info is None:
            raise RefusalError(f"there is no topic {self._settings.topic(topic)}: run `meter setup`")
        wanted = range(info.partitions) if numbers is None else sorted(numbers)
        partitions = [TopicPartition(self._settings.topic(topic), number) for number in wanted]
        client: ReaderClient = AiokafkaReader(self._settings, fetch_wait_ms=10)
        try:
            await client.start()
            found, silent = await ask_each(client.beginning_offsets if beginning else client.end_offsets, partitions)
            if found and not beginning:
                ends = await fetch_ends(client, found)
                silent |= dict.fromkeys(found.keys() - ends.keys(), NOT_FETCHED)
                found = ends
            return {tp.partition: offset for tp, offset in found.items()}, {
                tp.partition: reason for tp, reason in silent.items()
            }
        finally:
            await client.stop(STOP_TIMEOUT_S)


async def fetch_ends(client: ReaderClient, listed: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """The high watermarks that come with a fetch; partitions of which none comes in time are missing. ListOffsets
    alone is not enough: Tansu answers it with the first offset of the last batch, plus one.
    """
    client.assign(list(listed))
    for tp, end in listed.items():
        client.seek(tp, end)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + FETCH_ENDS_TIMEOUT_S
    while any(client.highwater(tp) is None for tp in listed) and loop.time() < deadline:
        await client.poll(list(listed), timeout_ms=20, max_records=FETCH_ENDS_RECORDS)
    marks = {tp: client.highwater(tp) for tp in listed}
    return {tp: max(listed[tp], mark) for tp, mark in marks.items() if mark is not None}


def compare(spec: TopicSpec, info: TopicInfo, replication_factor: int) -> TopicChange:
    differences = find_differences(spec, info, replication_factor)
    return TopicChange(spec.name, "differs" if differences else "kept", "; ".join(differences))


def least_in_sync(replication_factor: int) -> int:
    """Copies that must have a record before it is acknowledged: all but one, so that one broker may be away. With the
    broker's default of 1 an acknowledged record may be on one broker alone, whatever the number of copies."""
    return max(1, replication_factor - 1)


def wanted_config(spec: TopicSpec, replication_factor: int) -> dict[str, str]:
    return {
        "min.insync.replicas": str(least_in_sync(replication_factor)),
        "unclean.leader.election.enable": "false",
        "cleanup.policy": spec.cleanup_policy,
        "retention.ms": str(spec.retention_ms),
        "max.message.bytes": str(spec.max_message_bytes),
    }


def find_differences(spec: TopicSpec, info: TopicInfo, replication_factor: int) -> list[str]:
    found = []
    if info.copies and info.copies != replication_factor:
        found.append(f"copies: {info.copies}, expected {replication_factor} (METERING_REPLICATION_FACTOR)")
    if info.partitions != spec.partitions:
        found.append(f"partitions: {info.partitions}, expected {spec.partitions}")
    for name, wanted in wanted_config(spec, replication_factor).items():
        actual = info.config.get(name)
        if actual is not None and actual != wanted:
            found.append(f"{name}: {actual}, expected {wanted}")
    return found
