"""Which batches of different shards go into one transaction."""

from collections.abc import Iterable

from meter.runtime.kafka.shard_buffers import Batch


def group_small(batches: Iterable[Batch], most_records: int) -> list[list[Batch]]:
    """Groups for a transaction each, as long as together they have so many records; a larger batch is on its own."""
    groups: list[list[Batch]] = []
    room = 0
    for batch in sorted(batches, key=lambda batch: batch.size):
        if not groups or batch.size > room:
            groups.append([])
            room = most_records
        groups[-1].append(batch)
        room -= batch.size
    return groups
