"""Cargo.lock from crates.lock before anything is built: the same packages with the same checksums.

Cargo writes the place that it fetches packages from beside each of them. A lock file names none here, so that it holds
wherever packages come from; which one this machine asks, Cargo itself says.
"""

import subprocess
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).resolve().parent
PINNED, LOCK = HERE / "crates.lock", HERE / "Cargo.lock"


def write_lock() -> None:
    """Raises what a Cargo that is away or cannot reach its packages raises."""
    subprocess.run(["cargo", "generate-lockfile", "--quiet"], cwd=HERE, check=True)
    source = next(line for line in LOCK.read_text().splitlines() if line.startswith("source = "))
    LOCK.write_text(PINNED.read_text().replace("\nchecksum = ", f"\n{source}\nchecksum = "))


if not LOCK.exists() or LOCK.stat().st_mtime < PINNED.stat().st_mtime:
    write_lock()
setup()
