"""Hostile record batches on a real broker, before a running meter: it lives, counts what is honest, and stays small."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
from aiokafka.errors import KafkaError

from meter.runtime.kafka import Message, Producer, TopicAdmin
from meter.runtime.postgres import Pool
from meter.settings import MeterSettings
from schemas.topics import ACCOUNTS, USAGE
from tests.fuzz.batches import draw_any
from tests.support import builders
from tests.support.meter import is_covered
from tests.support.processes import ServiceProcess
from tests.support.raw_batches import RawProducer
from tests.support.waiting import until

HONEST: Final = "honest-account"
ROUND: Final = 200  # batches written before the meter's state is looked at
ROUND_S: Final = 120
MEMORY: Final = 1 << 30  # of the meter's container
# How many bytes Postgres may grow for each byte on the wire, apart from the room for evidence. Events of 250 bytes that
# are nearly alike are packed to 25 on the wire, while a row with its three indexes takes 500.
FACTOR: Final = 40
SIZE: Final = """
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
FROM pg_class c WHERE c.relnamespace = 'meter'::regnamespace AND c.relkind = 'r'
"""
HONEST_STORED: Final = "SELECT count(*) FROM meter.events WHERE account_id = $1"


@dataclass
class Figures:
    batches: int = 0
    refused: int = 0  # by the broker
    wire_bytes: int = 0
    grown_bytes: int = 0
    honest: int = 0
    memory_bytes: int = 0
    faults: list[str] = field(default_factory=list)

    def line(self) -> str:
        factor = self.grown_bytes / max(1, self.wire_bytes)
        return (
            f"batches: {self.batches:,}, refused by the broker {self.refused:,}, {self.wire_bytes:,} bytes on the "
            f"wire, Postgres grew by {self.grown_bytes:,} ({factor:.1f} times), {self.honest:,} honest events "
            f"counted, most memory of the meter {self.memory_bytes >> 20} MiB"
        )


class BatchCampaign:
    """Writes in rounds; after each the meter must have read to the end. What fails a round is kept, a file a batch."""

    def __init__(self, settings: MeterSettings, pool: Pool, service: ServiceProcess, seed: int, kept: Path) -> None:
        self._settings = settings
        self._pool = pool
        self._service = service
        self._seed = seed
        self._kept = kept
        self.figures = Figures()

    async def run(self, numbers: range, progress: Callable[[int], None]) -> Figures:
        before = await self._pool.fetchval(SIZE)
        async with RawProducer(self._settings.kafka_bootstrap) as raw, Producer(self._settings) as honest:
            for begin in range(numbers.start, numbers.stop, ROUND):
                drawn = list(self._draw(range(begin, min(begin + ROUND, numbers.stop))))
                await self._write(raw, honest, drawn)
                fault = await self._find_fault(before)
                if fault is not None:
                    self.figures.faults.append(f"{fault}; the batches are in {self._keep(begin, drawn)}")
                    break
                progress(len(drawn))
        return self.figures

    def _draw(self, numbers: range) -> Iterator[tuple[str, int, bytes]]:
        for number in numbers:
            draw = random.Random(f"batch {self._seed} {number}")
            topic, shard = draw.choice((USAGE, USAGE, ACCOUNTS)), draw.randrange(self._settings.partitions)
            yield topic, shard, draw_any(draw, topic)

    async def _write(self, raw: RawProducer, honest: Producer, drawn: Sequence[tuple[str, int, bytes]]) -> None:
        for number, (topic, shard, written) in enumerate(drawn):
            self.figures.batches += 1
            self.figures.wire_bytes += len(written)
            try:
                await raw.send(self._settings.topic(topic), shard, written)
            except KafkaError:
                self.figures.refused += 1
            if number % 20 == 0:
                event = builders.model_inference(account_id=HONEST, time=None)
                await honest.publish([Message(USAGE, HONEST, builders.encode(event), headers=builders.STRUCTURED)])
                self.figures.honest += 1

    async def _find_fault(self, before: int) -> str | None:
        ends = await self._ends()

        async def is_read() -> bool:
            rows = await self._pool.fetch("SELECT shard, usage_offset, accounts_offset FROM meter.shards ORDER BY 1")
            return not self._service.running or is_covered([tuple(row) for row in rows], ends)

        try:
            await until(is_read, timeout_s=ROUND_S, message="the meter does not read on")
        except (TimeoutError, AssertionError) as error:
            return str(error)
        if not self._service.running:
            return "the meter has ended"
        return await self._find_excess(before)

    async def _ends(self) -> list[tuple[int, int, int]]:
        async with TopicAdmin(self._settings) as admin:
            usage, accounts = await admin.end_offsets(USAGE), await admin.end_offsets(ACCOUNTS)
        return [(shard, usage[shard], accounts[shard]) for shard in sorted(usage)]

    async def _find_excess(self, before: int) -> str | None:
        figures = self.figures
        figures.grown_bytes = await self._pool.fetchval(SIZE) - before
        memory = psutil.Process(self._service.child.pid).memory_info().rss
        figures.memory_bytes = max(figures.memory_bytes, memory)
        stored = await self._pool.fetchval(HONEST_STORED, HONEST)
        if stored != figures.honest:
            return f"{figures.honest} honest events were sent, {stored} are stored"
        if memory > MEMORY:
            return f"the meter has {memory >> 20} MiB"
        room = self._settings.evidence_bytes * self._settings.partitions
        if figures.grown_bytes > FACTOR * figures.wire_bytes + room:
            return f"Postgres grew by {figures.grown_bytes:,} bytes for {figures.wire_bytes:,} on the wire"
        return None

    def _keep(self, begin: int, drawn: Sequence[tuple[str, int, bytes]]) -> Path:
        """All of the round: which of them it was is found by writing them again, one by one."""
        place = self._kept / f"batch-{self._seed}-{begin}"
        place.mkdir(parents=True, exist_ok=True)
        for number, (topic, shard, written) in enumerate(drawn, begin):
            (place / f"{number}.{topic}.{shard}.batch").write_bytes(written)
        return place
