"""Bugs of a reader: a seek that comes too late, records that were drained and dropped."""

from typing import Any

from aiokafka import TopicPartition

from meter.runtime.kafka.assignment import Assignment
from meter.runtime.kafka.partition_buffer import Offered, PartitionBuffer
from tests.faults.bugs.bug import FEW, Bug, replace
from tests.faults.bugs.storing import LOSSES, TWO_OUTCOMES
from tests.faults.schedule import Focus


def seeks_too_late() -> None:
    """Delivery begins at Kafka's committed offset, before the stored one has been sought, and nobody looks."""
    ask_bounds, seek = Assignment._ask_bounds, Assignment._seek
    committed: dict[TopicPartition, int] = {}

    async def ask_bounds_and_committed(self: Any, client: Any, shards: Any) -> Any:
        for name in self._names.values():
            for shard in shards:
                place = TopicPartition(name, shard)
                committed[place] = await client.inner.committed(place) or 0
        return await ask_bounds(self, client, shards)

    def seek_to_committed(self: Any, client: Any, shards: Any, ranges: Any, generation: int) -> None:
        seek(self, client, shards, ranges, generation)
        for name in self._names.values():
            for shard in shards:
                if (place := TopicPartition(name, shard)) in client.assignment():
                    client.seek(place, committed[place])

    def offer(self: Any, raw: Any, fetch_offset: int) -> Offered:
        self._append(raw)
        self.next = max(self.next, raw[-1].offset + 1)
        self.fetch_offset = max(self.next, fetch_offset)
        return Offered.TAKEN

    replace(Assignment, "_ask_bounds", ask_bounds_and_committed)
    replace(Assignment, "_seek", seek_to_committed)
    replace(PartitionBuffer, "offer", offer)


def drained_records_dropped() -> None:
    """After a failure the loop goes on with what the client has next."""

    def rewind(self: Any, _client: Any, shards: Any) -> None:
        for shard in shards:
            self._buffers.in_flight.pop(shard, None)

    replace(Assignment, "rewind", rewind)


BUGS = (
    Bug(
        name="seeks_too_late",
        service="meter",
        says="records are delivered before the listener has sought the stored offset",
        switch_on=seeks_too_late,
        signs=TWO_OUTCOMES,
        focus=Focus({"kill": 5, "join": 1}, services=("meter",)),
        mean_pause_s=2.0,
        shares=FEW,
    ),
    Bug(
        name="drained_records_dropped",
        service="meter",
        says="a failed batch is not read again",
        switch_on=drained_records_dropped,
        signs=LOSSES,
        focus=Focus({"terminate_backends": 4, "lose_commit": 3, "reset": 1}, services=("meter",), links=("meter",)),
    ),
)
