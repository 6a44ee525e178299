"""Every SQL file of the services stands in one of the tables: hot, of all shards, of several at once, or cold."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.architecture.cold_statements import COLD, Groups
from tests.architecture.hot_statements import ALL_SHARDS, HOT, TOGETHER
from tests.architecture.sources import ROOT, tree_of

PACKAGES = tuple(HOT)
# What batches, letters and messages go through, and nothing else does.
BATCHES = {
    "meter": ("batches", "keys", "remarks", "corrections", "together", "at_once"),
    "projections": ("store_usage", "sums"),
    "notifier": ("notices", "letters", "emails", "traces"),
}


def names_of(package: str) -> list[str]:
    return sorted(file.stem for file in (ROOT / package / "sql").glob("*.sql"))


def patterns_of(groups: Groups) -> Iterator[str]:
    for patterns in groups.values():
        yield from patterns


def places_of(package: str, name: str) -> list[str]:
    """The tables that have a statement; of the cold ones, once for each pattern that fits it."""
    tables = {"hot": HOT, "all shards": ALL_SHARDS, "together": TOGETHER}
    found = [place for place, table in tables.items() if name in table[package]]
    return found + [f"cold: {pattern}" for pattern in patterns_of(COLD[package]) if fnmatchcase(name, pattern)]


def texts_of(module: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def modules_of(package: str) -> list[Path]:
    folder = Path(package) if package == "projections" else Path(package, "store")
    return [folder / f"{name}.py" for name in BATCHES[package]]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_statement_stands_in_one_table(package: str) -> None:
    """A new file fails here until somebody says whether a batch waits for it."""
    assert len(names_of(package)) > 60
    places = {name: places_of(package, name) for name in names_of(package)}
    assert {name: found for name, found in places.items() if len(found) != 1} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_entry_is_a_statement(package: str) -> None:
    names = names_of(package)
    listed = {*HOT[package], *ALL_SHARDS[package], *TOGETHER[package]}
    assert listed - set(names) == set()
    fitting = {
        pattern: [name for name in names if fnmatchcase(name, pattern)] for pattern in patterns_of(COLD[package])
    }
    assert [pattern for pattern, found in fitting.items() if not found] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_what_batches_go_through_loads_no_cold_statement(package: str) -> None:
    names = set(names_of(package))
    for module in modules_of(package):
        loaded = names & set(texts_of(module))
        assert loaded, module
        assert {name for name in loaded if places_of(package, name)[0].startswith("cold")} == set(), module
