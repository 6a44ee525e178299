"""The services as processes: started again whenever they end, killed, paused, doubled, and made to fail at a point."""

import asyncio
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from deploy.local.child import Child
from deploy.local.services import command, environment

ROOT = Path(__file__).parents[2]
WATCH_S = 0.05
STARTED = '"service_started"'  # in a line of the log
KILLED, TERMINATED, GRACE_OVER = -signal.SIGKILL, -signal.SIGTERM, 5
TAIL_LINES = 12
POINT_DIED, POINT_STOPPED, POINT_RAISED = "point_kill", "point_stop", "point_raise"


@dataclass(frozen=True, slots=True)
class Armed:
    """A fault point for the next process of a service."""

    point: str
    passing: int
    action: str  # kill, stop, raise
    lasts_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.point}:{self.passing}:{self.action}"


@dataclass(eq=False)
class Instance:
    service: str
    number: int
    child: Child
    armed: list[Armed]
    wanted: bool = True
    killed: bool = False  # by us
    leaving: bool = False  # SIGTERM was sent
    pausing: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    spawned: float = field(default_factory=time.monotonic)
    started: bool = False  # it has begun to connect


@dataclass(frozen=True, slots=True)
class Crash:
    """A process that ended by itself although nobody asked for it."""

    service: str
    code: int
    tail: str


class Supervisor:
    """`settings` by service, as the environment carries them. `on_point(kind, service)` tells a point that was hit."""

    def __init__(
        self,
        settings: Mapping[str, Mapping[str, str]],
        logs: Path,
        *,
        bugs: Mapping[str, str] | None = None,
        on_point: Callable[[str, Armed, str], None],
    ) -> None:
        self._settings = settings
        self._logs = logs
        self._bugs = dict(bugs or {})
        self._on_point = on_point
        self._armed: dict[str, deque[Armed]] = {name: deque() for name in settings}
        self._numbers: Counter[str] = Counter()
        self._keepers: dict[Instance, asyncio.Task[None]] = {}
        self._instances: list[Instance] = []
        self.crashes: list[Crash] = []
        self.exits: Counter[str] = Counter()
        self.starts = 0
        self.starts_s: list[float] = []  # of processes that lived so long: until they began to connect

    # --- what the faults do -----------------------------------------------------------------------------------------

    def running(self, service: str) -> list[Instance]:
        return [i for i in self._instances if i.service == service and i.child.running and not i.leaving]

    def pick(self, service: str, choice: float) -> Instance | None:
        found = self.running(service)
        return found[int(choice * len(found))] if found else None

    def kill(self, instance: Instance) -> None:
        instance.killed = True
        instance.child.send(signal.SIGKILL)

    def arm(self, service: str, armed: Armed) -> None:
        """The next process of the service that is started fails there."""
        self._armed[service].append(armed)

    def find_armed(self) -> list[Instance]:
        return [i for i in self._instances if i.armed and i.child.running]

    async def pause(self, instance: Instance, lasts_s: float) -> bool:
        if instance.pausing or not instance.child.running:
            return False
        instance.pausing = True
        try:
            instance.child.send(signal.SIGSTOP)
            await asyncio.sleep(lasts_s)
            if instance.child.running:
                instance.child.send(signal.SIGCONT)
        except ProcessLookupError:
            return False
        finally:
            instance.pausing = False
        return True

    def join(self, service: str) -> Instance:
        """One more of a service."""
        instance = self._spawn(service)
        self._keep(instance)
        return instance

    async def leave(self, instance: Instance) -> None:
        """SIGTERM, and the end for sure."""
        instance.wanted = False
        await self._end(instance)

    async def start(self) -> None:
        for service in self._settings:
            self.join(service)

    async def stop(self) -> None:
        """End all; drained where that works within the grace time."""
        await asyncio.gather(*(self.leave(instance) for instance in list(self._instances)))
        for task in list(self._keepers.values()):
            task.cancel()

    def disarm(self) -> None:
        for waiting in self._armed.values():
            waiting.clear()

    # --- keeping them alive -----------------------------------------------------------------------------------------

    def _spawn(self, service: str) -> Instance:
        number = self._numbers[service]
        self._numbers[service] += 1
        armed = [self._armed[service].popleft()] if self._armed[service] else []
        env = environment({**self._settings[service], "fault_points": ",".join(map(str, armed))})
        env["PYTHONPATH"] = str(ROOT)  # for the launcher
        child = Child(f"{service}-{number}", self._command(service), self._logs, env=env, grace_s=15, keeps=True)
        child.spawn()
        self.starts += 1
        instance = Instance(service, number, child, armed)
        self._instances.append(instance)
        return instance

    def _command(self, service: str) -> list[str]:
        """The real command; with a known bug, through the launcher that switches it on."""
        if bug := self._bugs.get(service):
            return [sys.executable, "-m", "tests.faults.launch", service, "--bug", bug]
        return command(service, "run")

    def _keep(self, instance: Instance) -> None:
        self._keepers[instance] = task = asyncio.create_task(self._watch(instance))
        task.add_done_callback(lambda _: self._keepers.pop(instance, None))

    async def _watch(self, instance: Instance) -> None:
        """Until it ends; then the next one takes its place, if one is wanted."""
        stops = [armed for armed in instance.armed if armed.action == "stop"]
        looked = time.monotonic()
        while instance.child.running:
            await asyncio.sleep(WATCH_S)
            self._note_start(instance)
            if stops and time.monotonic() - looked > 5 * WATCH_S:
                looked = time.monotonic()
                if not instance.pausing and is_stopped(instance.child.pid):
                    await self._wake(instance, stops.pop())
        code = await asyncio.to_thread(instance.child.wait, 5)
        self._note_end(instance, code)
        self._instances.remove(instance)
        if instance.wanted:
            self._keep(self._spawn(instance.service))
        instance.ended.set()

    def _note_start(self, instance: Instance) -> None:
        """Loading its code takes a process more than a second of processor: on a busy machine that is most of a
        recovery, and nothing that a service could do better."""
        if not instance.started and STARTED in read_log(instance.child.log):
            instance.started = True
            self.starts_s.append(time.monotonic() - instance.spawned)

    async def _wake(self, instance: Instance, armed: Armed) -> None:
        """It has stopped itself at a point: wake it after the time that was planned."""
        await asyncio.sleep(armed.lasts_s)
        if instance.child.running:
            instance.child.send(signal.SIGCONT)
            self._on_point(POINT_STOPPED, armed, instance.service)

    def _note_end(self, instance: Instance, code: int) -> None:
        self.exits[f"{instance.service}:{code}"] += 1
        for armed in instance.armed:
            if armed.action == "kill" and code == KILLED and not instance.killed:
                self._on_point(POINT_DIED, armed, instance.service)
                return
            if armed.action == "raise" and f"fault point {armed.point}" in read_log(instance.child.log):
                self._on_point(POINT_RAISED, armed, instance.service)
        # Sent away before its handlers stood, or while it could not drain: both are an orderly end.
        fine = (0, KILLED, *((TERMINATED, GRACE_OVER) if instance.leaving else ()))
        if not instance.killed and code not in fine:
            self.crashes.append(Crash(instance.service, code, log_tail(instance.child.log)))

    async def _end(self, instance: Instance) -> None:
        instance.leaving = True
        if instance.child.running:
            instance.child.send(signal.SIGTERM)
            instance.child.send(signal.SIGCONT)
        try:
            async with asyncio.timeout(20):
                await instance.ended.wait()
        except TimeoutError:
            self.kill(instance)
            await instance.ended.wait()


def is_stopped(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False


def read_log(log: Path) -> str:
    return log.read_text(errors="replace") if log.exists() else ""


def log_tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - 20_000))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-TAIL_LINES:])
