"""What a store holds of a shard, in a form that two stores can be compared by."""

from dataclasses import dataclass, field

from meter.runtime.postgres import Pool


@dataclass
class Log:
    events: list[tuple[int, str, int]] = field(default_factory=list)  # position, event id, offset
    duplicates: list[tuple[str, int, str]] = field(default_factory=list)  # topic, offset, event id
    rejections: list[tuple[str, int, str]] = field(default_factory=list)  # topic, offset, reason
    gaps: list[tuple[str, int, int]] = field(default_factory=list)  # topic, from, to
    rerouted: list[tuple[str, int, int]] = field(default_factory=list)  # topic, offset, partition it is sent to
    links: list[tuple[int, int, int]] = field(default_factory=list)  # position, position of the usage, amount
    waiting: list[tuple[str, int, str]] = field(default_factory=list)  # topic, offset, id of the usage
    hashes: list[bytes] = field(default_factory=list)  # of the batches, in order


async def read_postgres_log(pool: Pool, shard: int) -> Log:
    async def rows(statement: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in await pool.fetch(statement, shard)]

    return Log(
        events=await rows(  # type: ignore[arg-type]
            "SELECT position, event_id, kafka_offset FROM meter.event_log WHERE shard = $1 ORDER BY position"
        ),
        duplicates=await rows(  # type: ignore[arg-type]
            "SELECT topic, kafka_offset, id FROM meter.duplicates WHERE shard = $1 ORDER BY 1, 2"
        ),
        rejections=await rows(  # type: ignore[arg-type]
            "SELECT topic, kafka_offset, reason FROM meter.rejections WHERE shard = $1 ORDER BY topic, kafka_offset"
        ),
        gaps=await rows(  # type: ignore[arg-type]
            "SELECT topic, from_offset, to_offset FROM meter.gaps WHERE shard = $1 ORDER BY topic, from_offset"
        ),
        rerouted=await rows(  # type: ignore[arg-type]
            "SELECT topic, kafka_offset, partition FROM meter.rerouted WHERE shard = $1 ORDER BY topic, kafka_offset"
        ),
        links=await rows(  # type: ignore[arg-type]
            "SELECT position, reverses, amount FROM meter.reversals WHERE shard = $1 ORDER BY position"
        ),
        waiting=await rows(  # type: ignore[arg-type]
            "SELECT topic, kafka_offset, reverses FROM meter.waiting WHERE shard = $1 ORDER BY topic, kafka_offset"
        ),
        hashes=[row[0] for row in await rows("SELECT hash FROM meter.batches WHERE shard = $1 ORDER BY batch")],  # type: ignore[misc]
    )
