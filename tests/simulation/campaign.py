"""Many histories, on every core: what is wrong in any, how often each fault struck, and how fast it goes."""

import math
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.simulation.play import FAULTS, STEPS, play

CHUNK = 20  # histories a worker plays before it reports


@dataclass
class Tally:
    """Of any number of histories. `failed`: seeds with what was found."""

    histories: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    mattered: Counter[str] = field(default_factory=Counter)
    failed: dict[int, list[str]] = field(default_factory=dict)

    def add(self, other: "Tally") -> None:
        self.histories += other.histories
        self.faults += other.faults
        self.mattered += other.mattered
        self.failed |= other.failed

    def lines(self) -> Iterator[str]:
        """How often each fault struck, and how often something was under way where it did."""
        for kind in FAULTS:
            struck, mattered = self.faults[kind], self.mattered[kind]
            share = 100 * mattered / struck if struck else 0.0
            yield f"  {kind:<22} {struck:>10,} {mattered:>10,} {share:>5.0f} %"


def play_range(seeds: range) -> Tally:
    tally = Tally()
    for seed in seeds:
        played = play(seed)
        tally.histories += 1
        tally.faults += played.faults
        tally.mattered += played.mattered
        if played.findings:
            tally.failed[seed] = played.findings
    return tally


def play_many(
    seeds: range,
    workers: int,
    *,
    report: Callable[[Tally], object] = lambda _tally: None,
    seconds: float = math.inf,
) -> Tally:
    """Side by side, for about so long; `report` is told of each chunk."""
    total, started = Tally(), time.monotonic()
    chunks = [seeds[begin : begin + CHUNK] for begin in range(0, len(seeds), CHUNK)]
    # Spawned, not forked: the tests that call it have threads.
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for tally in pool.imap_unordered(play_range, chunks):
            total.add(tally)
            report(tally)
            if time.monotonic() - started > seconds:
                break
    return total


def tell(seed: int, findings: Sequence[str]) -> str:
    return "\n".join((f"seed {seed}:", *(f"  {finding}" for finding in findings)))


def show(seed: int) -> tuple[str, bool]:
    """One history step by step, and whether all is right at its end."""
    played = play(seed, STEPS, keep_steps=True)
    steps = [f"{number:>3} {words}" for number, words in enumerate(played.steps, 1)]
    end = played.findings or ["all is right at the end"]
    return "\n".join((*steps, *end)), not played.findings
