"""Hostile record batches on a real broker, before the services: they live, count what is honest, stay small."""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
from aiokafka.errors import KafkaError

from meter.runtime.kafka import Message, Producer, TopicAdmin
from meter.runtime.postgres import Pool
from meter.settings import MeterSettings
from schemas.amounts import parse_amount
from schemas.topics import ACCOUNTS, USAGE
from tests.fuzz.batches import draw_any
from tests.support import builders
from tests.support.meter import is_covered
from tests.support.processes import ServiceProcess
from tests.support.raw_batches import RawProducer
from tests.support.waiting import until

HONEST: Final = "honest-account"
HONEST_EVERY: Final = 20  # batches, of which each is on its way at once
ROUND: Final = 400  # batches written before the meter's state is looked at
ROUND_S: Final = 120
MIB: Final = 1 << 20
# Of their containers, deploy/compose.yaml.
MEMORY: Final = {"meter": 768 * MIB, "projections": 512 * MIB, "notifier": 512 * MIB}
# How many bytes Postgres may grow for each byte on the wire, apart from the room for evidence. Events of 250 bytes that
# are nearly alike are packed to 25 on the wire, while a row with its three indexes takes 500.
FACTOR: Final = 40
SIZE: Final = """
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname IN ('meter', 'projections', 'notifier')
WHERE c.relkind = 'r'
"""
HONEST_STORED: Final = "SELECT count(*) FROM meter.events WHERE account_id = $1"
HONEST_FOLDED: Final = "SELECT coalesce(sum(consumed), 0)::bigint FROM projections.balance_states WHERE account_id = $1"


@dataclass
class Figures:
    batches: int = 0
    refused: int = 0  # by the broker
    wire_bytes: int = 0
    grown_bytes: int = 0
    honest: int = 0
    honest_micros: int = 0
    memory_bytes: dict[str, int] = field(default_factory=dict)  # the most that each service had
    faults: list[str] = field(default_factory=list)

    def line(self) -> str:
        factor = self.grown_bytes / max(1, self.wire_bytes)
        memory = ", ".join(f"{name} {most // MIB}" for name, most in self.memory_bytes.items())
        return (
            f"batches: {self.batches:,}, refused by the broker {self.refused:,}, {self.wire_bytes:,} bytes on the "
            f"wire, Postgres grew by {self.grown_bytes:,} ({factor:.1f} times), {self.honest:,} honest events "
            f"counted, most memory in MiB: {memory}"
        )


class BatchCampaign:
    """Writes in rounds; after each all must have been read to the end. What fails a round is kept, a file a batch."""

    def __init__(
        self, settings: MeterSettings, pool: Pool, services: Mapping[str, ServiceProcess], seed: int, kept: Path
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._services = services
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
        for begin in range(0, len(drawn), HONEST_EVERY):
            group = drawn[begin : begin + HONEST_EVERY]
            refused = await asyncio.gather(*(self._is_refused(raw, *one) for one in group))
            self.figures.batches += len(group)
            self.figures.refused += sum(refused)
            self.figures.wire_bytes += sum(len(written) for _topic, _shard, written in group)
            event = builders.model_inference(account_id=HONEST, time=None)
            await honest.publish([Message(USAGE, HONEST, builders.encode(event), headers=builders.STRUCTURED)])
            self.figures.honest += 1
            self.figures.honest_micros += parse_amount(event["data"]["credits"])

    async def _is_refused(self, raw: RawProducer, topic: str, shard: int, written: bytes) -> bool:
        try:
            await raw.send(self._settings.topic(topic), shard, written)
        except KafkaError:
            return True
        return False

    async def _find_fault(self, before: int) -> str | None:
        ends = await self._ends()

        async def is_read() -> bool:
            rows = await self._pool.fetch("SELECT shard, usage_offset, accounts_offset FROM meter.shards ORDER BY 1")
            return bool(self._ended()) or is_covered([tuple(row) for row in rows], ends)

        async def is_folded() -> bool:
            folded = await self._pool.fetchval(HONEST_FOLDED, HONEST)
            return bool(self._ended()) or folded == self.figures.honest_micros

        try:
            await until(is_read, timeout_s=ROUND_S, message="the meter does not read on")
            await until(is_folded, timeout_s=ROUND_S, message="the honest balance is not what was used")
        except (TimeoutError, AssertionError) as error:
            return str(error)
        if ended := self._ended():
            return f"{', '.join(ended)} ended"
        return await self._find_excess(before)

    def _ended(self) -> list[str]:
        return [name for name, service in self._services.items() if not service.running]

    async def _ends(self) -> list[tuple[int, int, int]]:
        async with TopicAdmin(self._settings) as admin:
            usage, accounts = await admin.end_offsets(USAGE), await admin.end_offsets(ACCOUNTS)
        return [(shard, usage[shard], accounts[shard]) for shard in sorted(usage)]

    async def _find_excess(self, before: int) -> str | None:
        figures = self.figures
        figures.grown_bytes = await self._pool.fetchval(SIZE) - before
        stored = await self._pool.fetchval(HONEST_STORED, HONEST)
        if stored != figures.honest:
            return f"{figures.honest} honest events were sent, {stored} are stored"
        for name, service in self._services.items():
            memory = psutil.Process(service.child.pid).memory_info().rss
            figures.memory_bytes[name] = max(figures.memory_bytes.get(name, 0), memory)
            if memory > MEMORY[name]:
                return f"{name} has {memory // MIB} MiB"
        room = self._settings.evidence_bytes * self._settings.partitions
        if figures.grown_bytes > FACTOR * figures.wire_bytes + room:
            return f"Postgres grew by {figures.grown_bytes:,} bytes for {figures.wire_bytes:,} on the wire"
        return None

    def _keep(self, begin: int, drawn: Sequence[tuple[str, int, bytes]]) -> Path:
        """All of the round, and what the services said. Which batch it was is found by writing them one by one."""
        place = self._kept / f"batch-{self._seed}-{begin}"
        place.mkdir(parents=True, exist_ok=True)
        for number, (topic, shard, written) in enumerate(drawn, begin):
            (place / f"{number}.{topic}.{shard}.batch").write_bytes(written)
        for name, service in self._services.items():
            (place / f"{name}.log").write_text(service.output()[-MIB:], encoding="utf-8")
        return place
