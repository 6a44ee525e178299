"""What people read of an error goes through `explain`: an error without a message, such as a timeout, is a bare class
name otherwise, or nothing at all."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, modules

# The functions that explain are here, and what tells errors apart by their words.
EXPLAINERS = {
    Path("meter/runtime/errors.py"),
    Path("meter/runtime/kafka/failures.py"),
    Path("meter/runtime/postgres/failures.py"),
}
MODULES = [file for file in modules("meter", "projections", "notifier") if file not in EXPLAINERS]
KINDS = ("Exception", "BaseException", "Error")


def own_words(tree: ast.AST) -> Iterator[int]:
    """Lines that make a text of an error in a way of their own."""
    for scope in ast.walk(tree):
        if names := set(caught(scope)):
            yield from (node.lineno for node in walk_texts(scope) if makes_text(node, names))


def caught(scope: ast.AST) -> Iterator[str]:
    """Names of errors in a handler, among the arguments of a function, or of a task's."""
    if isinstance(scope, ast.If):
        yield from (
            node.target.id
            for node in ast.walk(scope.test)
            if isinstance(node, ast.NamedExpr) and ast.unparse(node.value).endswith(".exception()")
        )
    if isinstance(scope, ast.ExceptHandler) and scope.name:
        yield scope.name
    if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
        for argument in (*scope.args.args, *scope.args.kwonlyargs):
            if argument.annotation is not None and ast.unparse(argument.annotation).split(" | ")[0].endswith(KINDS):
                yield argument.arg


def walk_texts(scope: ast.AST) -> Iterator[ast.expr]:
    """Without what is only compared: `"closed" in str(error)`."""
    for node in ast.iter_child_nodes(scope):
        if isinstance(node, ast.Compare):
            continue
        if isinstance(node, ast.expr):
            yield node
        yield from walk_texts(node)


def makes_text(node: ast.expr, names: set[str]) -> bool:
    """`str(error)`, `type(error).__name__`, `f"{error}"`."""
    if isinstance(node, ast.Call):
        return is_name(node.func, {"str"}) and len(node.args) == 1 and is_name(node.args[0], names)
    if isinstance(node, ast.Attribute):
        made = node.value
        named = isinstance(made, ast.Call) and is_name(made.func, {"type"}) and is_name(made.args[0], names)
        return node.attr == "__name__" and named
    return isinstance(node, ast.FormattedValue) and is_name(node.value, names)


def is_name(node: ast.expr, names: set[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names


@pytest.mark.parametrize("file", MODULES, ids=str)
def test_errors_are_told_by_explain(file: Path) -> None:
    found = sorted(set(own_words(ast.parse((ROOT / file).read_text(encoding="utf-8")))))
    assert found == [], f"{file}, lines {found}: say `explain(error)` of meter.runtime.errors"


def test_other_ways_are_found() -> None:
    """The test of the test above: it can fail."""
    text = """
def tell(error: Exception) -> str:
    return str(error) or type(error).__name__
try:
    pass
except OSError as fault:
    say(f"not written: {fault}")
    if "closed" in str(fault):
        say(explain(fault), str(7))
if (bug := task.exception()) is not None:
    say(str(bug))
"""
    assert sorted(set(own_words(ast.parse(text)))) == [3, 7, 11]
