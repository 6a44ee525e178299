"""A console in this process on a test's database, with read models that are put there as the services would."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from meter.runtime.clock import Clock
from meter.runtime.postgres import Pool
from meter.runtime.process.health import Health
from projections.console.service import WebServer, build_console
from projections.console.settings import ConsoleSettings
from projections.console.tokens import Role, Tokens
from schemas.events import CODES
from schemas.resources import RESOURCE_CODES, Resource
from schemas.topics import partition_for

MICRO = 1_000_000
SHARDS = 3
SECRET = "a secret of the tests, 32 characters at least"
KINDS = {
    "model": CODES["usage.model_inference.v1"],
    "guardrail": CODES["usage.guardrail.v1"],
    "script": CODES["usage.custom_script.v1"],
    "tool": CODES["usage.tool_run.v1"],
}
INSERT_BALANCE = """
INSERT INTO projections.balance_states (account_id, resource, shard, granted, consumed, base, epoch, boundaries,
    position, as_of, opened, closed, free_only)
VALUES ($1, $2, $3, $4, $5, 0, $6, '{}', 1, $7, $8, $9, true)
ON CONFLICT (account_id, resource/*citus , shard*/) DO UPDATE
SET granted = excluded.granted, consumed = excluded.consumed,
    epoch = excluded.epoch, opened = excluded.opened, closed = excluded.closed
"""
INSERT_ACCOUNT = """
INSERT INTO projections.account_states (account_id, shard, plan, display_name, contacts, opened_at, position, as_of,
    time_zone, closed, contact_ids)
VALUES ($1, $2, $3, $4, '[]', $5, 1, $5, $6, $7, '[]')
"""
INSERT_SLOT = """
INSERT INTO projections.usage_slots VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15)
"""
INSERT_ZONE = "INSERT INTO projections.usage_zones VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
INSERT_ITEM = "INSERT INTO projections.items VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1)"
INSERT_USED = """
INSERT INTO projections.used_items VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 1) ON CONFLICT DO NOTHING
"""
INSERT_STEP = "INSERT INTO projections.exhaustion_steps VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
INSERT_BANNER = """
INSERT INTO notifier.banners VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9)
ON CONFLICT (account_id, resource/*citus , shard*/) DO UPDATE
SET threshold = excluded.threshold, removable = excluded.removable,
    text = excluded.text, epoch = excluded.epoch
"""


@dataclass(frozen=True)
class Books:
    """Writes the read models of one account."""

    pool: Pool
    account_id: str
    zone: str | None = "UTC"
    slots: list[tuple[object, ...]] = field(default_factory=list)
    used: list[tuple[object, ...]] = field(default_factory=list)

    @property
    def shard(self) -> int:
        return partition_for(self.account_id.encode(), SHARDS)

    async def open(self, *, plan: str = "free", name: str | None = None, closed: bool = False) -> None:
        await self.pool.execute(
            INSERT_ACCOUNT, self.account_id, self.shard, plan, name, datetime.now(UTC), self.zone, closed
        )

    async def balance(
        self, consumed: float | str, allocation: int = 75, resource: Resource = Resource.MODEL_CREDITS, *,
        epoch: int = 1, opened: bool = True, closed: bool = False,
    ) -> None:  # fmt: skip
        await self.pool.execute(
            INSERT_BALANCE, self.account_id, RESOURCE_CODES[resource], self.shard, allocation * MICRO,
            int(Decimal(str(consumed)) * MICRO), epoch, datetime.now(UTC), opened, closed,
        )  # fmt: skip

    async def both(self, credits: float | str, runs: int = 0, **more: Any) -> None:
        await self.balance(credits, **more)
        await self.balance(runs, 10_000, Resource.TOOL_RUNS, **more)

    def use(
        self, kind: str, item: str, amount: str, at: datetime, *, deployment: str = "", category: str = "",
        status: str = "", events: int = 1, tokens: tuple[int, int] = (0, 0), seconds: int = 0,
        hardware: str | None = None, cpus: str | None = None, memory: str | None = None,
    ) -> None:  # fmt: skip
        """Kept until `add_up` writes all of it at once."""
        resource = Resource.TOOL_RUNS if kind == "tool" else Resource.MODEL_CREDITS
        utc = at.astimezone(UTC)  # whose minutes are not those of every zone
        slot = utc.replace(minute=utc.minute // 15 * 15, second=0, microsecond=0)
        self.slots.append((
            self.shard, self.account_id, slot, RESOURCE_CODES[resource], KINDS[kind], item, deployment, category,
            status, events, Decimal(amount) * MICRO, Decimal(tokens[0]), Decimal(tokens[1]), Decimal(seconds), at,
        ))  # fmt: skip
        self.used.append((
            self.shard, self.account_id, KINDS[kind], item, deployment, at, hardware, None,
            None if cpus is None else Decimal(cpus), None if memory is None else Decimal(memory), None,
        ))  # fmt: skip

    async def add_up(self) -> None:
        """Write what was used. No day is added up: readers take slots."""
        await self.pool.executemany(INSERT_SLOT, self.slots)
        await self.pool.executemany(INSERT_USED, self.used)
        if self.zone is not None:
            await self.pool.execute(INSERT_ZONE, self.shard, self.account_id, self.zone)
        self.slots.clear()
        self.used.clear()

    async def item(self, kind: str, id: str, status: str = "deployed", name: str | None = None, **more: Any) -> None:
        values = [more.get(field) for field in ("owner", "type", "language", "version", "reason", "deployed_at")]
        await self.pool.execute(INSERT_ITEM, self.shard, self.account_id, kind, id, name or id, status, *values)

    async def banner(
        self, threshold: int, resource: Resource = Resource.MODEL_CREDITS, *, epoch: int = 1, text: str | None = None
    ) -> None:
        kind = "low" if threshold < 100 else "free_expired"
        text = text or f"{threshold} % of the model credits of {self.account_id} are used. Top up or upgrade the plan."
        await self.pool.execute(
            INSERT_BANNER, self.account_id, resource.value, threshold, kind, threshold < 100, text, epoch, self.shard,
            datetime.now(UTC),
        )  # fmt: skip

    async def step(
        self, consumed: int, at: datetime, *, position: int, epoch: int = 1, allocation: int = 75,
        resource: Resource = Resource.MODEL_CREDITS,
    ) -> None:  # fmt: skip
        """A state of a balance that was published."""
        await self.pool.execute(
            INSERT_STEP, self.shard, self.account_id, RESOURCE_CODES[resource], position, epoch, allocation * MICRO,
            consumed * MICRO, at,
        )  # fmt: skip

    async def thresholds(self, banner: Sequence[int], email: Sequence[int]) -> None:
        """What a notifier records at its start."""
        await self.pool.execute(
            "INSERT INTO notifier.thresholds (shard, position, banner, email) VALUES ($1, 1, $2, $3)",
            self.shard, banner, email,
        )  # fmt: skip

    async def clear_banners(self) -> None:
        await self.pool.execute("DELETE FROM notifier.banners WHERE account_id = $1", self.account_id)


async def set_up_cursors(pool: Pool) -> None:
    """Shards that are folded to the end of an empty log."""
    await pool.execute("INSERT INTO meter.shards (shard) SELECT generate_series(0, $1::int - 1)", SHARDS)
    await pool.execute(
        "INSERT INTO projections.cursors (projection, shard) "
        "SELECT p, s FROM unnest(ARRAY['balance', 'usage']) p, generate_series(0, $1::int - 1) s "
        "ON CONFLICT DO NOTHING",
        SHARDS,
    )


def make_token(account_id: str = "acct-1", role: str = "admin", minutes: int = 10) -> str:
    tokens = Tokens(ConsoleSettings(console_secret=SECRET))
    known: Role = "admin" if role == "admin" else "member"
    return tokens.make(account_id, known, datetime.now(UTC), timedelta(minutes=minutes))


def local(zone: str, day: date, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(zone))


def days_ago(count: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=count)


@asynccontextmanager
async def running_console(dsn: str, clock: Clock | None = None, /, **values: Any) -> AsyncIterator[str]:
    """Its address, until the block ends."""
    given: Mapping[str, Any] = {"postgres_dsn": dsn, "console_port": 0, "console_secret": SECRET} | values
    settings = ConsoleSettings(**given)
    stop = asyncio.Event()
    async with build_console(settings, clock)(Health()) as services, asyncio.TaskGroup() as group:
        for service in services:
            group.create_task(service.run(stop))
        [server] = [service for service in services if isinstance(service, WebServer)]
        try:
            yield f"http://127.0.0.1:{server.port}"
        finally:
            stop.set()
