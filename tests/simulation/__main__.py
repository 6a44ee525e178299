"""`make simulation`: histories with faults, in one process each and in virtual time. Exit code 1 where one ends wrong.

python -m tests.simulation --seeds 1000000                   a million histories, on every core
python -m tests.simulation --seed 4711                       one of them again, step by step
python -m tests.simulation --bugs                            is each known mistake found by seeds alone?
"""

import argparse
import math
import os
import sys
import time
from collections.abc import Sequence

from meter.progress import show_progress
from tests.simulation.campaign import Tally, play_many, show, tell

HISTORIES = 10_000


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation",
        description="Play histories of 50 steps with 3 faults on average against the ledger.",
        epilog="example: python -m tests.simulation --seeds 10000 --first 50000",
    )
    parser.add_argument("--seeds", type=int, help="how many histories (default: 10000; of each mistake 2000)")
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="stop after so long (default: not before the end)"
    )
    parser.add_argument("--first", type=int, default=0, help="seed of the first (default: 0)")
    parser.add_argument("--seed", type=int, help="play this one alone, and show its steps")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    parser.add_argument(
        "--bugs", nargs="*", metavar="NAME", help="switch on known mistakes, all or these: are they found?"
    )
    options = parser.parse_args(arguments)
    if (
        (options.seeds is not None and options.seeds < 1)
        or options.workers < 1
        or min(options.first, options.seed or 0) < 0
    ):
        parser.error("--seeds and --workers must be 1 or more, --first and --seed 0 or more")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    if options.seed is not None:
        text, is_right = show(options.seed)
        print(text)
        return 0 if is_right else 1
    if options.bugs is not None:
        from tests.simulation.trial import MOST, run_trials

        return run_trials(options.bugs, options.first, options.seeds or MOST)
    return run(options)


def run(options: argparse.Namespace) -> int:
    started = time.monotonic()
    seeds = range(options.first, options.first + (options.seeds or HISTORIES))
    with show_progress("simulation", len(seeds), "histories") as progress:

        def report(tally: Tally) -> None:
            progress(tally.histories)
            for seed, findings in sorted(tally.failed.items()):
                print(tell(seed, findings), file=sys.stderr, flush=True)

        tally = play_many(seeds, options.workers, report=report, seconds=60 * options.minutes)
    seconds = time.monotonic() - started
    print(f"  {'fault':<22} {'struck':>10} {'mattered':>10}")
    print("\n".join(tally.lines()))
    rate = tally.histories / seconds
    faults = sum(tally.faults.values())
    print(f"histories={tally.histories} faults={faults} failed={len(tally.failed)} per_s={rate:.0f}", flush=True)
    return 1 if tally.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
