"""CPU time and memory of named processes while something is measured."""

import threading
from collections.abc import Mapping
from typing import NamedTuple, Self

import psutil

SAMPLE_S = 0.2
MEBIBYTE = 2**20


class Usage(NamedTuple):
    """Of one name: CPU seconds spent, and the most resident memory seen (Postgres: shared pages counted once)."""

    cpu_s: float
    rss_mb: float


class Footprint:
    """Sample while the `with` block runs; read `usage` after it."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._before: dict[str, float] = {}
        self._peak = dict.fromkeys(self._processes, 0.0)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.usage: dict[str, Usage] = {}

    def __enter__(self) -> Self:
        self._before = self._cpu()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        spent = self._cpu()
        self.usage = {name: Usage(spent[name] - self._before[name], self._peak[name]) for name in self._processes}

    def _cpu(self) -> dict[str, float]:
        return {name: cpu_seconds(process) for name, process in self._processes.items()}

    def _sample(self) -> None:
        while True:
            for name, process in self._processes.items():
                self._peak[name] = max(self._peak[name], memory(process) / MEBIBYTE)
            if self._over.wait(SAMPLE_S):
                return


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
            return float(process.memory_info().rss)
        return float(sum(member.memory_full_info().pss for member in members))
    except (psutil.NoSuchProcess, psutil.AccessDenied, AttributeError):
        return 0.0


def family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
