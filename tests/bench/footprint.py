"""CPU time and memory of named processes while something is measured."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

import psutil

SAMPLE_S = 5.0  # a look at the memory of all of Postgres costs tens of milliseconds
MEBIBYTE = 2**20


class Usage(NamedTuple):
    """Of one name: CPU seconds spent, and the most resident memory seen (Postgres: shared pages counted once)."""

    cpu_s: float
    rss_mb: float


class Footprint:
    """Sample while the `with` block runs; read `usage` and `seconds` after it.

    `sample_s` None: no look at memory before the end. On two cores a look is long enough to be seen in a latency.
    """

    def __init__(self, pids: Mapping[str, int], sample_s: float | None = SAMPLE_S) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._before: dict[str, float] = {}
        self._peak = dict.fromkeys(self._processes, 0.0)
        self._sample_s = sample_s
        self._started = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.usage: dict[str, Usage] = {}
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self._before = self._cpu()
        self._started = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._started
        self._over.set()
        self._thread.join()
        self._look()
        spent = self._cpu()
        self.usage = {name: Usage(spent[name] - self._before[name], self._peak[name]) for name in self._processes}

    def _cpu(self) -> dict[str, float]:
        return {name: cpu_seconds(process) for name, process in self._processes.items()}

    def _sample(self) -> None:
        while not self._over.wait(self._sample_s):
            self._look()

    def _look(self) -> None:
        for name, process in self._processes.items():
            self._peak[name] = max(self._peak[name], memory(process) / MEBIBYTE)


def cpu_seconds(process: psutil.Process) -> float:
    """Of the process, its living children, and those it has waited for: sessions of Postgres come and go."""
    total = 0.0
    for member in family(process):
        try:
            times = member.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += sum(times[:4])  # user, system, and both of the children waited for
    return total


def memory(process: psutil.Process) -> float:
    members = family(process)
    try:
        if len(members) == 1:
            return peak_bytes(process.pid)
        return float(sum(member.memory_full_info().pss for member in members))
    except (psutil.NoSuchProcess, psutil.AccessDenied, AttributeError, OSError):
        return 0.0


def peak_bytes(pid: int) -> float:
    """The most that a process ever had, as the kernel knows it (proc_pid_status(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) * 1024


def family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
