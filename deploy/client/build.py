"""`make client`: the distribution for producers, made of the modules of `meter` and `schemas` that they import.

python -m deploy.client.build                  write build/client, and dist/credit_meter_client-….whl
python -m deploy.client.build --tree DIR       write the modules and what builds them, no wheel
"""

import argparse
import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
NAME: Final = "credit_meter_client"
ENTRIES = ("meter.client", "meter.client_sync")
# Import names of their own: an application may have a `schemas` or a `meter` of its own.
RENAMED: Final = {package: f"{NAME}._{package}" for package in ("meter", "schemas")}
IMPORT = re.compile(rf"^(\s*from )({'|'.join(RENAMED)})(?=[. ])", re.MULTILINE)

FRONT = f'''"""Send usage events to credit-meter: with asyncio, or from threads."""

from {NAME}._meter.client import (
    AccountsProducer,
    BufferFullError,
    DeliveryError,
    InvalidEventError,
    Limits,
    NotRunningError,
    Reason,
    UsageProducer,
)
from {NAME}._meter.client_sync import SyncAccountsProducer, SyncUsageProducer
from {NAME}._meter.runtime.errors import DependencyUnreachableError, SettingsError
from {NAME}._meter.runtime.settings import Settings, load_settings
from {NAME}._schemas.resources import Resource

__all__ = [
    "AccountsProducer",
    "BufferFullError",
    "DeliveryError",
    "DependencyUnreachableError",
    "InvalidEventError",
    "Limits",
    "NotRunningError",
    "Reason",
    "Resource",
    "Settings",
    "SettingsError",
    "SyncAccountsProducer",
    "SyncUsageProducer",
    "UsageProducer",
    "load_settings",
]
'''


def find_modules(entries: Sequence[str]) -> list[str]:
    """The entries and every module of ours that they import, by whatever way."""
    found: set[str] = set()
    waiting = list(entries)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += imports_of(module)
    return sorted(found)


def imports_of(module: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(file_of(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            ours = [alias.name for alias in node.names if alias.name.partition(".")[0] in RENAMED]
            if ours:
                raise ValueError(f"{module} has `import {ours[0]}`: only `from … import …` can be renamed")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in RENAMED:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if file_of(inner).is_file() else str(node.module)


def file_of(module: str) -> Path:
    return ROOT / (module.replace(".", "/") + ".py")


def write_tree(directory: Path) -> None:
    """The package, and what builds it. Packages of ours get an empty `__init__`: theirs would import the services."""
    shutil.rmtree(directory, ignore_errors=True)
    top = directory / NAME
    for module in find_modules(ENTRIES):
        package, *inner = module.split(".")
        target = top.joinpath(f"_{package}", *inner).with_suffix(".py")
        target.parent.mkdir(parents=True, exist_ok=True)
        text = file_of(module).read_text(encoding="utf-8")
        target.write_text(IMPORT.sub(lambda hit: hit[1] + RENAMED[hit[2]], text), encoding="utf-8")
    for folder in {path.parent for path in top.rglob("*.py")} | {top / f"_{package}" for package in RENAMED}:
        (folder / "__init__.py").touch()
    (top / "__init__.py").write_text(FRONT, encoding="utf-8")
    (top / "py.typed").touch()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    project = (HERE / "pyproject.toml").read_text(encoding="utf-8")
    (directory / "pyproject.toml").write_text(
        re.sub(r'^version = "0".*$', f'version = "{version}"', project, flags=re.MULTILINE), encoding="utf-8"
    )
    shutil.copy(HERE / "README.md", directory)
    shutil.copy(ROOT / "LICENSE", directory)


def build_wheel(tree: Path, target: Path) -> Path:
    """With the setuptools that is installed: nothing is fetched."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "--no-build-isolation", "--wheel-dir", target, tree], check=True)
    [wheel] = target.glob(f"{NAME}-*.whl")
    return wheel


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.client.build", description="Build the producers' client.")
    parser.add_argument("--tree", type=Path, metavar="DIR", help="only write the sources there")
    options = parser.parse_args(arguments)
    tree = options.tree or ROOT / "build" / "client"
    write_tree(tree)
    if options.tree is None:
        target = ROOT / "dist"
        for old in target.glob(f"{NAME}-*.whl"):
            old.unlink()
        print(build_wheel(tree, target))
    return 0


if __name__ == "__main__":
    sys.exit(main())
