"""Where and on what state of the code it was measured."""

import hashlib
import os
import platform
import subprocess
from pathlib import Path

import psutil

from schemas.compiled import NATIVE

ROOT = Path(__file__).parents[2]
PACKAGES = ("meter", "projections", "notifier", "schemas")


def describe_machine() -> dict[str, str | int]:
    """`compiled`: whether the services use the compiled part, as `/metrics` says it: used, absent or outdated."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count() or 0,
        "memory_mb": psutil.virtual_memory().total // 2**20,
        "system": platform.platform(),
        "python": platform.python_version(),
        "compiled": NATIVE.state,  # the services have this Python and no settings of the shell
    }


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def read_commit() -> str:
    """The commit's hash; `+changes` where files of the product differ from it."""
    commit = run_git("rev-parse", "HEAD")
    changed = run_git("status", "--porcelain", "--", *PACKAGES)
    return f"{commit}+changes" if changed else commit


def read_services() -> str:
    """A hash of the packages that are measured: it stays while only tests and texts change. `+changes` as above."""
    trees = run_git("rev-parse", *(f"HEAD:{package}" for package in PACKAGES))
    found = hashlib.sha256(trees.encode()).hexdigest()[:16]
    return f"{found}+changes" if run_git("status", "--porcelain", "--", *PACKAGES) else found


def run_git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or ("unknown" if done.returncode else "")
