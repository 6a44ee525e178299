"""Every verb has --json, for programs. One that has not says why here."""

from typing import Any

import pytest
from typer.main import get_command

from tests.support.verbs import APPS, walk

RUNS_FOR_EVER = "a service: it runs until it is stopped, and logs JSON"
WITHOUT = {
    ("meter", "run"): RUNS_FOR_EVER,
    ("projections", "run"): RUNS_FOR_EVER,
    ("projections", "console"): RUNS_FOR_EVER,
    ("notifier", "run"): RUNS_FOR_EVER,
}
TREES: dict[str, Any] = {name: get_command(app) for name, app in APPS.items()}


def find(path: tuple[str, ...]) -> Any:
    command = TREES[path[0]]
    for name in path[1:]:
        command = command.commands[name]
    return command


VERBS = [path for name, tree in TREES.items() for path in walk(tree, (name,)) if not hasattr(find(path), "commands")]


def has_json(command: Any) -> bool:
    return any("--json" in parameter.opts for parameter in command.params)


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_verb_has_json_or_says_why_not(verb: tuple[str, ...]) -> None:
    assert has_json(find(verb)) != (verb in WITHOUT)


def test_the_whole_tree_is_walked() -> None:
    """Verbs of groups too, and no exception is left of a verb that is gone."""
    assert {("meter", "rejections", "dismiss"), ("notifier", "emails", "retry")} <= set(VERBS) and len(VERBS) > 40
    assert set(WITHOUT) <= set(VERBS)
