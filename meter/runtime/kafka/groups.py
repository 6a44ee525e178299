"""Consumer groups from outside: who is in one, and what it has committed."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from meter.runtime.kafka.adapter.groups import AiokafkaGroup
from meter.runtime.kafka.admin import TopicAdmin
from meter.runtime.kafka.connecting import not_connected
from meter.runtime.kafka.failures import is_transient, unreachable
from meter.runtime.settings import Settings

STOP_TIMEOUT_S = 5

Offsets = Mapping[tuple[str, int], int]  # by logical topic and partition


async def count_members(settings: Settings, group: str) -> int:
    """A process that died counts until its session is over."""
    async with asking(settings, group, f"describing group {group}") as client:
        return await client.count_members()


async def fetch_committed(settings: Settings, group: str, topics: Sequence[str]) -> Offsets:
    """Partitions without a committed offset are missing. Topics that the user may not see are asked for first, which
    raises: the answer leaves them out, and what is not known must not look like what was never committed."""
    async with TopicAdmin(settings) as admin:
        for topic in topics:
            await admin.find(topic)
    names = {settings.topic(topic): topic for topic in topics}
    async with asking(settings, group, f"reading the offsets of group {group}") as client:
        found = await client.fetch_committed()
    return {
        (names[tp.topic], tp.partition): offset for tp, offset in found.items() if tp.topic in names and offset >= 0
    }


async def set_committed(settings: Settings, group: str, offsets: Offsets) -> None:
    """Only while the group has no members."""
    async with asking(settings, group, f"setting the offsets of group {group}") as client:
        await client.set_committed(
            {(settings.topic(topic), shard): offset for (topic, shard), offset in offsets.items()}
        )


@asynccontextmanager
async def asking(settings: Settings, group: str, doing: str) -> AsyncIterator[AiokafkaGroup]:
    """A client for one question. Raises DependencyUnreachableError for what may pass."""
    client, connected = AiokafkaGroup(settings, settings.group(group)), False
    try:
        await client.start()
        connected = True
        yield client
    except Exception as error:
        if not is_transient(error):
            raise
        raise (unreachable(error, doing) if connected else await not_connected(error, settings)) from error
    finally:
        await client.stop(STOP_TIMEOUT_S)
