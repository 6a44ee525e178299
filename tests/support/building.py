"""Programs in other languages, built from their sources once and kept under `.local`, by what the sources say."""

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from deploy.local import apache_kafka
from deploy.local.child import UnavailableError

ROOT = Path(__file__).parents[2]
LOCAL = apache_kafka.CACHE.parent
BUILD_TIMEOUT_S = 600
MAVEN = ("mvn", "-q", "-B", "--strict-checksums")
LEFT_OUT = ("node_modules", "target")


class BuildError(Exception):
    """The sources do not compile: our own fault."""


def build(source: Path, cache: Path, tools: Sequence[str], fetch: Sequence[str], compile: Sequence[str] = ()) -> Path:
    """A folder with the sources, built there by the two commands.

    Raises UnavailableError where a tool or what is to be fetched cannot be had, BuildError where it does not compile.
    """
    place = source.relative_to(ROOT)
    for tool in tools:
        if shutil.which(tool) is None:
            raise UnavailableError(f"{tool} is not there to build {place}: install it")
    target = cache / f"{source.name}-{digest_of(source)}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{source.name}.lock").open("w") as lock:
        # Runs go on side by side: one builds, the others wait for it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / ".built").exists():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(*LEFT_OUT))
            if why := run_in(target, fetch):
                raise UnavailableError(f"what {place} needs cannot be fetched: {why[-200:]}")
            if compile and (why := run_in(target, compile)):
                raise BuildError(why)
            (target / ".built").touch()
    return target


def digest_of(source: Path) -> str:
    files = sorted(file for file in source.rglob("*") if file.is_file() and not set(LEFT_OUT) & set(file.parts))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def run_in(directory: Path, command: Sequence[str]) -> str:
    """What the command said where it failed; "" where it did not."""
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False)
    if done.returncode == 0:
        return ""
    return f"{' '.join(command)}: {(done.stderr + done.stdout).strip() or done.returncode}"
