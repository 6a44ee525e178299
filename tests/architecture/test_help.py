"""The help of every verb fits a terminal of 80 columns, and shows an example."""

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

COLUMNS = 80


def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    for name, verb in getattr(command, "commands", {}).items():
        yield from walk(verb, (*path, name))


APPS = {name: importlib.import_module(f"{name}.cli").app for name in ("meter", "projections", "notifier")}
VERBS = [verb for name, app in APPS.items() for verb in walk(get_command(app), (name,))]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_help_fits_and_shows_an_example(verb: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    shown = CliRunner().invoke(APPS[verb[0]], [*verb[1:], "--help"], terminal_width=COLUMNS).output
    assert [line for line in shown.splitlines() if len(line) > COLUMNS] == []
    assert f"{' '.join(verb)}" in shown.partition("Example")[2] or "Commands:" in shown
