"""Consumer groups from outside: who is in one, and what it has committed."""

from collections.abc import Mapping, Sequence

from meter.runtime.kafka.adapter.groups import AiokafkaGroup
from meter.runtime.kafka.admin import TopicAdmin
from meter.runtime.kafka.failures import is_transient, unreachable
from meter.runtime.settings import Settings

STOP_TIMEOUT_S = 5

Offsets = Mapping[tuple[str, int], int]  # by logical topic and partition


async def count_members(settings: Settings, group: str) -> int:
    """A process that died counts until its session is over."""
    client = AiokafkaGroup(settings, settings.group(group))
    try:
        await client.start()
        return await client.count_members()
    except Exception as error:
        raise judge(error, f"describing group {group}") from error
    finally:
        await client.stop(STOP_TIMEOUT_S)


async def fetch_committed(settings: Settings, group: str, topics: Sequence[str]) -> Offsets:
    """Partitions without a committed offset are missing. Topics that the user may not see are asked for first, which
    raises: the answer leaves them out, and what is not known must not look like what was never committed."""
    async with TopicAdmin(settings) as admin:
        for topic in topics:
            await admin.find(topic)
    client = AiokafkaGroup(settings, settings.group(group))
    names = {settings.topic(topic): topic for topic in topics}
    try:
        await client.start()
        found = await client.fetch_committed()
    except Exception as error:
        raise judge(error, f"reading the offsets of group {group}") from error
    finally:
        await client.stop(STOP_TIMEOUT_S)
    return {
        (names[tp.topic], tp.partition): offset for tp, offset in found.items() if tp.topic in names and offset >= 0
    }


async def set_committed(settings: Settings, group: str, offsets: Offsets) -> None:
    """Only while the group has no members."""
    client = AiokafkaGroup(settings, settings.group(group))
    try:
        await client.start()
        await client.set_committed(
            {(settings.topic(topic), shard): offset for (topic, shard), offset in offsets.items()}
        )
    except Exception as error:
        raise judge(error, f"setting the offsets of group {group}") from error
    finally:
        await client.stop(STOP_TIMEOUT_S)


def judge(error: Exception, doing: str) -> Exception:
    return unreachable(error, doing) if is_transient(error) else error
