"""The long form: as many inputs as there is time for, at one level. Exit code 1 when one fails.

python -m tests.fuzz --level record --inputs 1000000
python -m tests.fuzz --level sequence --inputs 100000 --seed 7
python -m tests.fuzz --level batch --inputs 10000          starts a Kafka and a Postgres of its own
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.local.child import UnavailableError
from meter.progress import show_progress
from tests.fuzz.campaign import Level, run
from tests.fuzz.record_level import RecordLevel
from tests.fuzz.sequence_level import SequenceLevel

UNREACHABLE = 3
KEPT = Path(".local/fuzz")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description="Send hostile and random inputs, and check what must hold whatever is sent.",
        epilog="example: python -m tests.fuzz --level record --inputs 100000 --seed 7",
    )
    parser.add_argument("--level", choices=("record", "batch", "sequence"), required=True)
    parser.add_argument("--inputs", type=int, default=10_000, help="how many (default: 10000)")
    parser.add_argument(
        "--first", type=int, default=0, help="number of the first, to go on or to repeat one (default: 0)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of all that is drawn (default: 1)")
    parser.add_argument(
        "--keep", type=Path, default=KEPT, metavar="DIR", help="failing inputs go there (default: .local/fuzz)"
    )
    options = parser.parse_args(arguments)
    if options.inputs < 1 or options.first < 0:
        parser.error("--inputs must be 1 or more, --first 0 or more")
    return options


def run_pure(level: Level[Any], options: argparse.Namespace) -> int:
    failures, numbers = 0, range(options.first, options.first + options.inputs)
    with show_progress(options.level, options.inputs, "inputs") as progress:
        for failure in run(level, options.seed, numbers, progress):
            failures += 1
            options.keep.mkdir(parents=True, exist_ok=True)
            file = options.keep / f"{failure.level}-{failure.seed}-{failure.number}.txt"
            file.write_text(failure.text(), encoding="utf-8", errors="backslashreplace")
            print(f"failure: {file}", file=sys.stderr, flush=True)
    drawn = f"{options.inputs:,} inputs with {level.drawn:,} {level.unit}"
    print(f"{options.level}: {drawn}, seed {options.seed}, {failures} failures")
    return min(failures, 1)


async def run_batches(options: argparse.Namespace) -> int:
    # Servers and clients: the other levels need none.
    from deploy.local.stack import Stack
    from tests.fuzz.site import open_campaign

    with Stack.start() as stack, tempfile.TemporaryDirectory(prefix="credit-meter-fuzz-") as logs:
        async with open_campaign(stack.addresses, options.seed, options.keep, Path(logs)) as campaign:
            with show_progress("batch", options.inputs, "batches") as progress:
                figures = await campaign.run(range(options.first, options.first + options.inputs), progress)
    print(f"{figures.line()}, seed {options.seed}, {len(figures.faults)} failures")
    for fault in figures.faults:
        print(fault)
    return min(len(figures.faults), 1)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    try:
        match options.level:
            case "record":
                return run_pure(RecordLevel(), options)
            case "sequence":
                return run_pure(SequenceLevel(), options)
            case _:
                return asyncio.run(run_batches(options))
    except UnavailableError as error:
        print(error, file=sys.stderr)
        return UNREACHABLE
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
