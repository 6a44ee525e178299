"""Every verb of the three commands, from the commands themselves: a new one cannot be forgotten."""

import importlib
from collections.abc import Iterator
from typing import Any

from typer.main import get_command


def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    for name, verb in getattr(command, "commands", {}).items():
        yield from walk(verb, (*path, name))


APPS = {name: importlib.import_module(f"{name}.cli").app for name in ("meter", "projections", "notifier")}
VERBS = [verb for name, app in APPS.items() for verb in walk(get_command(app), (name,))]  # groups as well
