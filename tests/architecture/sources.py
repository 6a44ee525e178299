"""The project's files and what their syntax trees say, for the tests beside this file."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("meter", "projections", "notifier", "schemas")
IGNORED = {".git", ".venv", ".local", "build", "dist", "__pycache__"}


@cache
def project_files() -> tuple[Path, ...]:
    """Files under version control; in an exported tree, all but what the tools make."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0 and done.stdout:
        listed = (ROOT / name for name in done.stdout.split("\0") if name)
        return tuple(path for path in listed if path.is_file())
    found = (path for path in ROOT.rglob("*") if path.is_file())
    return tuple(path for path in found if not is_made(path.relative_to(ROOT)))


def is_made(path: Path) -> bool:
    return any(
        part in IGNORED or part.endswith((".egg-info", "_cache")) or part == ".hypothesis" for part in path.parts
    )


def modules(*folders: str) -> list[Path]:
    """The Python files under folders, relative to the root."""
    return sorted(path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"), str(file))


@cache
def imports_of(file: Path) -> frozenset[str]:
    """Full names of what a module imports, `from a import b` as `a.b` and `a`."""
    names: set[str] = set()
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def imports_any(file: Path, banned: set[str]) -> set[str]:
    """Those of the banned modules (or packages) that a file imports."""
    return {name for name in banned for found in imports_of(file) if found == name or found.startswith(f"{name}.")}


def calls_of(file: Path) -> Iterator[tuple[str, ast.Call]]:
    """Calls by their dotted name as written: `datetime.now`, `open`."""
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node
