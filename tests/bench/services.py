"""The services under measurement, all with the same settings; `deploy.local.services` runs them."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.local import services


@contextmanager
def run_services(
    names: Sequence[str], settings: Mapping[str, str], logs: Path
) -> Iterator[dict[str, services.ServiceProcess]]:
    with services.run_services(names, dict.fromkeys(names, settings), logs) as running:
        yield running


def time_command(arguments: Sequence[str], settings: Mapping[str, str]) -> float:
    """Run a command line to its end; the seconds it took."""
    started = time.perf_counter()
    services.run_command(arguments, settings)
    return time.perf_counter() - started
