"""One word for one thing: words that were retired come back neither in names nor in SQL objects."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import PACKAGES, ROOT, modules

# Each had a meaning of its own here; the glossaries of the packages have the field's words.
RETIRED = frozenset(
    {"shelf", "shelves", "feed", "hungry", "helping", "turn", "odd", "slow", "fast", "reordered", "remembered", "rooms"}
)
SQL_NAME = re.compile(
    r"\b(?:TABLE|VIEW|FUNCTION|INDEX|SCHEMA|COLUMN|CONSTRAINT)\s+(?:IF NOT EXISTS\s+)?([a-z_.]+)", re.IGNORECASE
)
METRIC = re.compile(r'"(metering_[a-z_]+)"')
MODULES = modules("meter", "projections", "notifier", "schemas", "deploy", "tests")
STATEMENTS = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.sql"))


def retired(name: str) -> frozenset[str]:
    """The retired words in a name, also with a plural s."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace(".", "_").split("_")
    return RETIRED & {form for word in words for form in (word, word.removesuffix("s"))}


def names_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.arg):
            yield node.arg


@pytest.mark.parametrize("file", MODULES, ids=str)
def test_no_name_has_a_retired_word(file: Path) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    names = [*names_in(ast.parse(text)), *METRIC.findall(text), file.with_suffix("").as_posix().replace("/", ".")]
    assert [name for name in names if retired(name)] == []


@pytest.mark.parametrize("file", STATEMENTS, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_no_sql_object_has_a_retired_word(file: Path) -> None:
    assert [name for name in [file.stem, *SQL_NAME.findall(file.read_text(encoding="utf-8"))] if retired(name)] == []


def test_a_retired_word_is_found() -> None:
    """The test of the tests above: they can fail."""
    tree = ast.parse("class HungryOnes:\n    def read_fast(self, odd): self.feeds = 1\n")
    assert sorted(name for name in names_in(tree) if retired(name)) == ["HungryOnes", "feeds", "odd", "read_fast"]
    assert [name for name in SQL_NAME.findall("CREATE INDEX slow_ones ON t (x)") if retired(name)] == ["slow_ones"]
