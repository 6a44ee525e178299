"""Carries faults out. Each action returns once its fault has ended, and says whether it has hit anything."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Literal, cast

import asyncpg

from deploy.local.mail import Phase
from tests.faults.schedule import KAFKA_LINK, SMTP_LINK, Fault
from tests.faults.servers import Site
from tests.faults.supervisor import Armed, Supervisor
from tests.faults.watermark import DOWN

AT_ONCE = 8  # faults that may last at the same time
WAIT_S = 10.0  # for something to come along and be hit
POLL_S = 0.05
KILLS = {"kill", "point_kill", "strand", "crash_postgres", "crash_kafka"}
FAULT_POINT_ACTIONS = {"point_kill": "kill", "point_stop": "stop", "point_raise": "raise"}


class Tormentor:
    """Carries out faults side by side, and counts those that hit. `on_end` is told the kind and target of each."""

    def __init__(self, site: Site, supervisor: Supervisor, database: str, on_end: Callable[[str, str], None]) -> None:
        self._site = site
        self._supervisor = supervisor
        self._database = database
        self._on_end = on_end
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._crashing = asyncio.Lock()
        self._running: set[asyncio.Task[None]] = set()
        self.hits: Counter[str] = Counter()
        self.log: list[tuple[float, str]] = []

    @property
    def faults(self) -> int:
        return sum(self.hits.values())

    @property
    def kills(self) -> int:
        return sum(count for kind, count in self.hits.items() if kind in KILLS)

    async def begin(self, fault: Fault) -> None:
        """Carry it out in the background, as soon as there is room."""
        await self._slots.acquire()
        task = asyncio.create_task(self._carry_out(fault))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def finish(self) -> None:
        """Wait for all that last. Errors in the harness itself are raised."""
        await asyncio.gather(*self._running)

    def end_armed(self) -> None:
        """Processes that would still fail at a point are killed, so that quiet is quiet."""
        for instance in self._supervisor.find_armed():
            self._supervisor.kill(instance)
            self._note("kill", f"kill {instance.service}", instance.service)

    def note_point(self, kind: str, armed: Armed, service: str) -> None:
        self._note(kind, f"{kind} {service} {armed}", service)

    async def _carry_out(self, fault: Fault) -> None:
        action = cast(Callable[[Fault], Awaitable[bool]], getattr(self, f"_{fault.kind}"))
        try:
            if await action(fault):
                self._note(fault.kind, str(fault), SMTP_LINK if fault.kind == SMTP_LINK else fault.target)
        finally:
            self._slots.release()

    def _note(self, kind: str, words: str, target: str) -> None:
        self.hits[kind] += 1
        self.log.append((time.time(), words))
        self._on_end(kind, target)

    # --- processes --------------------------------------------------------------------------------------------------

    async def _kill(self, fault: Fault) -> bool:
        instance = self._supervisor.pick(fault.target, fault.choice)
        if instance is None:
            return False
        self._supervisor.kill(instance)
        return True

    async def _pause(self, fault: Fault) -> bool:
        instance = self._supervisor.pick(fault.target, fault.choice)
        return instance is not None and await self._supervisor.pause(instance, fault.lasts_s)

    async def _join(self, fault: Fault) -> bool:
        if len(self._supervisor.running(fault.target)) > 1:
            return False
        guest = self._supervisor.join(fault.target)
        await asyncio.sleep(fault.lasts_s)
        # Whoever took the guest's place after a kill has to leave.
        for instance in self._supervisor.running(fault.target)[1:] or [guest]:
            await self._supervisor.leave(instance)
        return True

    async def _arm(self, fault: Fault) -> bool:
        action: Literal["kill", "stop", "raise"] = cast(Any, FAULT_POINT_ACTIONS[fault.kind])
        self._supervisor.arm(fault.target, Armed(fault.point, fault.passing, action, fault.lasts_s))
        return False  # told by the supervisor once it has happened

    _point_kill = _point_stop = _point_raise = _arm

    # --- servers ----------------------------------------------------------------------------------------------------

    async def _crash_postgres(self, fault: Fault) -> bool:
        async with self._crashing:
            await self._site.crash_postgres(fault.lasts_s)
        return True

    async def _crash_kafka(self, fault: Fault) -> bool:
        async with self._crashing:
            await self._site.crash_kafka(fault.lasts_s)
        return True

    async def _terminate_backends(self, fault: Fault) -> bool:
        statement = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1 AND datname = $2"
        if fault.choice < 0.6:
            statement += " AND state <> 'idle'"
        try:
            nodes = self._site.dsns(self._database)
            connection = await asyncpg.connect(nodes[int(fault.choice * 1000) % len(nodes)], timeout=5)
            try:
                hit = await connection.fetchval(statement, f"credit_{fault.target}", self._database)
            finally:
                await connection.close(timeout=5)
        except DOWN:
            return False  # it is down just now
        return bool(hit)

    # --- the network ------------------------------------------------------------------------------------------------

    async def _cut(self, fault: Fault) -> bool:
        return self._site.proxies[fault.target].cut() > 0

    async def _reset(self, fault: Fault) -> bool:
        return self._site.proxies[fault.target].reset() > 0

    async def _hold(self, fault: Fault) -> bool:
        proxy = self._site.proxies[fault.target]
        hit = proxy.hold() > 0
        await asyncio.sleep(fault.lasts_s)
        if fault.lasts_s > 2:
            proxy.reset()
        proxy.release()
        return hit

    async def _strand(self, fault: Fault) -> bool:
        """A kill alone loses nothing that the kernel has taken, and silence alone nothing that is still remembered."""
        proxy = self._site.proxies[KAFKA_LINK]
        silenced = proxy.hold() > 0
        await asyncio.sleep(fault.lasts_s)
        killed = await self._kill(fault)
        proxy.reset()  # before it flows again: what waits in it must not arrive after all
        proxy.release()
        return silenced and killed

    async def _refuse(self, fault: Fault) -> bool:
        proxy = self._site.proxies[fault.target]
        proxy.refuse(True)
        hit = proxy.reset() > 0
        await asyncio.sleep(fault.lasts_s)
        proxy.refuse(False)
        return hit

    async def _swallow_commit(self, fault: Fault) -> bool:
        proxy = self._site.proxies[fault.target]
        before = proxy.swallowed
        proxy.swallow_commits(fault.count)
        return await come_true(lambda: proxy.swallowed > before)

    async def _lose_commit(self, fault: Fault) -> bool:
        proxy = self._site.proxies[fault.target]
        before = proxy.swallowed
        proxy.lose_commits(fault.count)
        return await come_true(lambda: proxy.swallowed > before)

    async def _smtp(self, fault: Fault) -> bool:
        mail = self._site.mail
        rule = mail.misbehave(
            cast(Phase, fault.phase), fault.reply, times=fault.count, keep=fault.keep, stall_s=fault.lasts_s
        )
        await come_true(lambda: rule.used >= fault.count)
        mail.forget(rule)
        return rule.used > 0


async def come_true(condition: Callable[[], bool]) -> bool:
    """Whether it does within WAIT_S."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL_S)
    return True
