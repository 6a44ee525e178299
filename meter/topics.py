"""Identity of the input topics: offsets are only worth something beside the very topic they were counted in."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

from meter.runtime.clock import Clock
from meter.runtime.errors import TopicIdentityError
from meter.runtime.failures import explain, explain_refusal
from meter.runtime.kafka import TopicAdmin, TopicInfo, is_transient
from meter.runtime.log import get_logger
from meter.runtime.settings import Settings
from meter.runtime.waiting import wait_for

log = get_logger("topics")
GROWTH_EVERY_S: Final = 30.0


OF_INPUTS: Final = (
    "Bring the original topic back, or give the new one a name of its own (METERING_TOPIC_PREFIX) with a new event "
    "store."
)


GROWN_INPUT: Final = (
    "Records in the further ones are sent on to the partition of their account, and count once. For more shards: "
    "deploy/RUNBOOKS.md, TopicGrown."
)
GROWN_OUTPUT: Final = "The further ones stay empty: each shard is written to its own partition, as before."


class TopicRow(NamedTuple):
    """What the event store remembers of a topic."""

    topic: str
    topic_id: str
    partitions: int


NoteGrown = Callable[[str, int], None]  # topic, how many partitions more than shards


class TopicStore(Protocol):
    async def fetch_topics(self) -> Mapping[str, TopicRow]: ...

    async def record_topic(self, row: TopicRow, clock: Clock) -> None: ...

    async def accept_grown(self, first: int, beyond: int) -> None:
        """The topics have partitions that no shard has: those from `first` on, up to `beyond`."""
        ...


class RecordedTopics:
    """Checks the topics of the broker against the recorded ones, and records those never seen before."""

    def __init__(
        self,
        store: TopicStore,
        clock: Clock,
        partitions: int,
        remedy: str = OF_INPUTS,
        *,
        grown: str = GROWN_INPUT,
        note_grown: NoteGrown = lambda _topic, _partitions: None,
    ) -> None:
        """`remedy` says what people can do about a topic that is not the recorded one, `grown` what becomes of one that
        has more partitions than there are shards."""
        self._store = store
        self.remedy = remedy
        self._clock = clock
        self._partitions = partitions
        self._grown = grown
        self._note_grown = note_grown
        self._told: dict[str, int] = {}  # partitions of the topics that are known to be grown

    async def check_topics(self, topics: Mapping[str, TopicInfo]) -> None:
        """Raises TopicIdentityError, before anything is written, when a topic is not the recorded one."""
        recorded = await self._store.fetch_topics()
        for topic, info in topics.items():
            if topic in recorded:
                check_setting(recorded[topic].partitions, self._partitions)
                check_identity(recorded[topic], info, self.remedy)
            else:
                check_partitions(info, self._partitions)
        for topic, info in topics.items():
            if topic not in recorded:
                await self._store.record_topic(TopicRow(topic, info.topic_id, info.partitions), self._clock)
            await self._accept_grown(info)

    async def _accept_grown(self, info: TopicInfo) -> None:
        """Once for each number of partitions; what is grown never shrinks."""
        self._note_grown(info.topic, info.partitions - self._partitions)
        if info.partitions <= self._told.get(info.topic, self._partitions):
            return
        await self._store.accept_grown(self._partitions, info.partitions)
        log.warning("topic_grown", topic=info.topic, detail=explain_grown(info, self._partitions, self._grown))
        self._told[info.topic] = info.partitions


class GrowthWatch:
    """Tells of a topic that none of our services reads and that has more partitions than there are shards."""

    name = "grown-topic"

    def __init__(
        self, settings: Settings, topic: str, note_grown: NoteGrown, *, every_s: float = GROWTH_EVERY_S
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._note_grown = note_grown
        self._every_s = every_s
        self._told = settings.partitions

    async def run(self, stop: asyncio.Event) -> None:
        await self.look()
        while not await wait_for(stop, self._every_s):
            await self.look()

    async def look(self) -> None:
        """What is not known now is looked for again: nothing depends on it."""
        try:
            async with TopicAdmin(self._settings) as admin:
                info = await admin.find(self._topic)
        except Exception as error:
            if not is_transient(error):
                raise
            log.info("topic_growth_unknown", topic=self._topic, detail=explain(error))
            return
        if info is not None:
            self.note(info)

    def note(self, info: TopicInfo) -> None:
        self._note_grown(info.topic, info.partitions - self._settings.partitions)
        if info.partitions > self._told:
            log.warning(
                "topic_grown", topic=info.topic, detail=explain_grown(info, self._settings.partitions, GROWN_OUTPUT)
            )
            self._told = info.partitions


class RiskWarnings:
    """Warns once per process of topics that may lose what was acknowledged."""

    def __init__(self, settings: Settings, *topics: str) -> None:
        self._settings = settings
        self._topics = topics
        self._given = False

    async def give(self) -> None:
        """What the brokers do not tell, for want of a right, is no reason not to run. Raises TransientError."""
        if self._given:
            return
        async with TopicAdmin(self._settings) as admin:
            for topic in self._topics:
                await warn(admin, topic)
        self._given = True


async def warn(admin: TopicAdmin, topic: str) -> None:
    try:
        info = await describe(admin, topic)
    except Exception as error:
        if is_transient(error):
            raise
        log.info("topic_risk_unknown", topic=topic, detail=explain(error))
        return
    if info is not None and (risk := explain_risk(info)) is not None:
        log.warning("topic_at_risk", topic=topic, detail=risk)


async def describe(admin: TopicAdmin, topic: str) -> TopicInfo | None:
    """Without its configuration where we may not read that, as the services may not: its copies are known then, too."""
    try:
        return await admin.describe(topic)
    except Exception as error:
        if explain_refusal(error) is None:
            raise
        log.info("topic_risk_unknown", topic=topic, detail="there is no right to read its configuration")
        return await admin.find(topic)


def explain_risk(info: TopicInfo) -> str | None:
    """What may be lost with one broker although it was acknowledged, and what to do; None when nothing is."""
    if info.copies == 1:
        return (
            f"topic {info.topic} has one copy of each record: what is acknowledged and not read yet is lost with its "
            "broker. Raise its replication factor to 3 (kafka-reassign-partitions) and set min.insync.replicas=2."
        )
    if info.copies > 1 and info.config.get("min.insync.replicas") == "1":
        return (
            f"topic {info.topic} has {info.copies} copies but min.insync.replicas=1: an acknowledged record may be on "
            "one broker alone. Set min.insync.replicas to 2 (kafka-configs --alter)."
        )
    if info.config.get("unclean.leader.election.enable") == "true":
        return (
            f"topic {info.topic} allows an unclean leader election: a broker that lacks acknowledged records may come "
            "to lead. Set unclean.leader.election.enable=false (kafka-configs --alter)."
        )
    return None


def explain_grown(info: TopicInfo, shards: int, consequence: str) -> str:
    return f"topic {info.topic} has {info.partitions} partitions, and there are {shards} shards. {consequence}"


def check_setting(shards: int, partitions: int) -> None:
    if shards != partitions:
        raise TopicIdentityError(
            f"METERING_PARTITIONS says {partitions}, and there are {shards} shards. Their number decides "
            "which one an account is in. Nothing was written. Set "
            f"METERING_PARTITIONS={shards}. For more shards: `meter split --help`."
        )


def check_partitions(info: TopicInfo, partitions: int) -> None:
    if info.partitions != partitions:
        raise TopicIdentityError(
            f"topic {info.topic} has {info.partitions} partitions, METERING_PARTITIONS says {partitions}. Accounts are "
            "spread by the number of partitions, so it cannot change once events are stored. Nothing was written. Set "
            f"METERING_PARTITIONS={info.partitions} if that is what the event store was set up with."
        )


def check_identity(recorded: TopicRow, info: TopicInfo, remedy: str = OF_INPUTS) -> None:
    """Raises TopicIdentityError. A broker without topic ids ("") is checked by partitions and offsets alone."""
    if info.partitions < recorded.partitions:
        raise TopicIdentityError(
            f"topic {info.topic} has {info.partitions} partitions, recorded are {recorded.partitions}: accounts would "
            "change their shard. Bring back the topic with its old number of partitions, or give "
            "the new one a name of its own (METERING_TOPIC_PREFIX) with a new event store."
        )
    if recorded.topic_id and info.topic_id and recorded.topic_id != info.topic_id:
        raise TopicIdentityError(
            f"topic {info.topic} was re-created: its id is {info.topic_id}, recorded is {recorded.topic_id}. The "
            f"stored offsets mean other records. {remedy}"
        )
