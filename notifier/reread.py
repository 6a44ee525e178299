"""`notifier reread`: go on with metering.balances as it is now, from its beginning.

What was read before comes again and is dropped, because it is not newer than what is known.
"""

from typing import Final

from meter.runtime.errors import RefusalError
from meter.runtime.kafka import TopicAdmin
from meter.runtime.kafka.groups import count_members, set_committed
from meter.runtime.postgres import Pool, load_sql, write_transaction
from meter.runtime.settings import Settings
from meter.topics import check_partitions, check_setting
from schemas.topics import BALANCES

GROUP: Final = "notifier"


async def reread(settings: Settings, pool: Pool) -> dict[int, int]:
    """The offset by shard from which it is read. Raises RefusalError while a notifier runs, and where
    METERING_PARTITIONS is not the database's own: some shards would be left as they are."""
    if shards := await pool.fetchval(load_sql("notifier", "count_cursors"), BALANCES):
        check_setting(shards, settings.partitions)
    if await count_members(settings, GROUP):
        raise RefusalError(
            "stop the notifiers first; one that died belongs to its group for up to "
            f"{settings.kafka_session_ms / 1000:.0f} s more (METERING_KAFKA_SESSION_MS)"
        )
    async with TopicAdmin(settings) as admin:
        info = await admin.find(BALANCES)
        if info is None:
            raise RefusalError(f"there is no topic {settings.topic(BALANCES)}: run `meter setup`")
        if info.partitions < settings.partitions:
            check_partitions(info, settings.partitions)
        begins = await admin.beginning_offsets(BALANCES)
        begins = {shard: offset for shard, offset in begins.items() if shard < settings.partitions}
    async with pool.acquire() as connection, write_transaction(connection):
        places = (BALANCES, info.topic_id, list(begins), list(begins.values()))
        rows = await connection.fetch(load_sql("notifier", "reread_topic"), *places)
        if len(rows) != len(begins):
            raise RefusalError("the notifier has no cursor for some shards: run `meter setup`")
    # What Kafka has committed must not be ahead of the database: that is how a restored one is noticed.
    await set_committed(settings, GROUP, {(BALANCES, shard): offset for shard, offset in begins.items()})
    return begins
