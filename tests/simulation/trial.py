"""Is each known mistake found by seeds alone? Each in a process of its own, with the usual histories."""

import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from tests.simulation.bugs import BUGS
from tests.simulation.play import play

MOST = 2000  # histories, where nothing else is asked for


class Verdict(NamedTuple):
    """`finding` of the first history that shows the mistake, None where none of them did."""

    name: str
    histories: int
    seconds: float
    seed: int
    finding: str | None

    def __str__(self) -> str:
        found = "NOT FOUND" if self.finding is None else self.finding
        return f"{self.name:<31} {self.histories:>5} {self.seconds:>7.1f} s  {found}"[:160]


def try_bug(name: str, first: int, most: int) -> Verdict:
    """In this process, for good: the mistake stays switched on."""
    BUGS[name].switch_on()
    started = time.process_time()
    for seed in range(first, first + most):
        findings = play(seed).findings
        if findings:
            return Verdict(name, seed - first + 1, time.process_time() - started, seed, findings[0])
    return Verdict(name, most, time.process_time() - started, first + most, None)


def try_all(names: Sequence[str], first: int, most: int, report: Callable[[Verdict], object]) -> list[Verdict]:
    """One after the other, each in a copy of this process, which must have no threads; the mistake ends with it."""
    context, verdicts = multiprocessing.get_context("fork"), []
    for name in names:
        with ProcessPoolExecutor(1, mp_context=context) as alone:
            verdicts.append(alone.submit(try_bug, name, first, most).result())
        report(verdicts[-1])
    return verdicts


def run_trials(names: Sequence[str], first: int, most: int = MOST) -> int:
    unknown = set(names) - BUGS.keys()
    if unknown:
        print(f"no such bug: {', '.join(sorted(unknown))}; there are: {', '.join(BUGS)}", file=sys.stderr)
        return 2
    print(f"{'bug':<31} {'seeds':>5} {'CPU':>7}    found by")
    verdicts = try_all(names or list(BUGS), first, most, lambda verdict: print(verdict, flush=True))
    missed = sum(verdict.finding is None for verdict in verdicts)
    print(f"bugs={len(verdicts)} found={len(verdicts) - missed} missed={missed}", flush=True)
    return 1 if missed else 0
