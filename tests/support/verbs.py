"""Every verb of the three commands, from the commands themselves: a new one cannot be forgotten."""

import importlib
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

APPS = {name: importlib.import_module(f"{name}.cli").app for name in ("meter", "projections", "notifier")}
TREES: dict[str, Any] = {name: get_command(app) for name, app in APPS.items()}


def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    for name, verb in getattr(command, "commands", {}).items():
        yield from walk(verb, (*path, name))


def find(path: tuple[str, ...]) -> Any:
    command = TREES[path[0]]
    for name in path[1:]:
        command = command.commands[name]
    return command


GROUPS_AND_VERBS = [path for name, tree in TREES.items() for path in walk(tree, (name,))]
VERBS = [path for path in GROUPS_AND_VERBS if not hasattr(find(path), "commands")]
# They run until they are stopped.
SERVICES = {("meter", "run"), ("projections", "run"), ("projections", "console"), ("notifier", "run")}
