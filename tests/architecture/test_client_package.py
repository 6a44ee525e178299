"""The producers' client holds no module that needs the services' dependencies, and no import name that others have."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest

from deploy.client.build import ENTRIES, NAME, file_of, find_modules, write_tree
from tests.architecture.sources import ROOT

MODULES = find_modules(ENTRIES)
MINE = {"meter", "schemas"}
WITHOUT = {"idna"}  # test_client.py: where it is not there, what is sent is the same


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "deploy/client/pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {line.partition(">")[0].strip() for line in project["dependencies"]}


def imported(module: str) -> set[str]:
    """The first part of every name that a module imports."""
    tree = ast.parse(file_of(module).read_text(encoding="utf-8"))
    direct = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    named = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in direct | named}


def test_it_imports_what_it_declares_and_nothing_else() -> None:
    foreign = set().union(*(imported(module) for module in MODULES)) - set(sys.stdlib_module_names) - MINE
    assert foreign <= declared() | {"pydantic_core"} | WITHOUT


def test_the_services_are_not_in_it() -> None:
    assert "meter.client_sync" in MODULES and "schemas.parsing.parse" in MODULES
    assert [name for name in MODULES if name.startswith(("meter.store", "meter.runtime.postgres"))] == []


def test_no_import_goes_by_a_name_that_others_may_have(tmp_path: Path) -> None:
    write_tree(tmp_path / "tree")
    files = sorted((tmp_path / "tree" / NAME).rglob("*.py"))
    assert len(files) > len(MODULES)
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert {name for name in names if name.partition(".")[0] in MINE} == set(), file


def test_an_import_that_cannot_be_renamed_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "meter").mkdir()
    (tmp_path / "meter/bad.py").write_text("import meter.client\n")
    monkeypatch.setattr("deploy.client.build.ROOT", tmp_path)
    with pytest.raises(ValueError, match="can be renamed"):
        find_modules(["meter.bad"])
