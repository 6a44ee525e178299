"""The release before this one, taken out of git, for tests of a roll-out: both versions on one database."""

import io
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tests.support.processes import COMMAND_TIMEOUT_S, clean_environment

ROOT = Path(__file__).parents[2]
PARTS = ("meter", "projections", "notifier", "schemas", "pyproject.toml")
MIGRATIONS = ("meter/migrations", "projections/migrations", "notifier/migrations")


class NoHistoryError(Exception):
    """There is no checkout with history here: an archive of the sources, or a shallow clone."""


def git(*arguments: str) -> bytes:
    """Raises NoHistoryError."""
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise NoHistoryError(f"git {arguments[0]}: {error}") from error
    return done.stdout


def find_previous() -> str:
    """The newest tag; before there is one, the commit that did not have the newest migration yet.

    Raises NoHistoryError.
    """
    tags = git("tag", "--merged", "HEAD", "--sort=-creatordate", "--list", "v*").decode().split()
    if tags:
        return tags[0]
    newest = (
        git("log", "-1", "--first-parent", "--format=%H", "--diff-filter=A", "-m", "--", *MIGRATIONS).decode().strip()
    )
    if not newest:
        raise NoHistoryError("no commit added a migration")
    return git("rev-parse", f"{newest}^").decode().strip()


def extract_previous(directory: Path) -> Path:
    """Its packages, below `directory`. Raises NoHistoryError."""
    archive = git("archive", "--format=tar", find_previous(), *PARTS)
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(directory, filter="data")
    return directory


def count_migrations(root: Path) -> int:
    return sum(1 for folder in MIGRATIONS for _ in (root / folder).glob("*.sql"))


def run_previous(root: Path, name: str, *arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """A command of the packages below `root`, with these settings."""
    run = f"import {name}.cli as cli; assert cli.__file__.startswith({str(root)!r}), cli.__file__; cli.app()"
    return subprocess.run(
        [sys.executable, "-P", "-c", run, *arguments],
        env=clean_environment() | dict(env) | {"PYTHONPATH": str(root)},
        capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False,
    )  # fmt: skip
