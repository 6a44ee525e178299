"""Every verb that ends has --json, for programs; a service logs JSON."""

from typing import Any

import pytest

from tests.support.verbs import SERVICES, VERBS, find


def has_json(command: Any) -> bool:
    return any("--json" in parameter.opts for parameter in command.params)


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_verb_has_json_unless_it_is_a_service(verb: tuple[str, ...]) -> None:
    assert has_json(find(verb)) != (verb in SERVICES)


def test_the_whole_tree_is_walked() -> None:
    """Verbs of groups too, and no exception is left of a verb that is gone."""
    assert {("meter", "rejections", "dismiss"), ("notifier", "emails", "retry")} <= set(VERBS) and len(VERBS) > 40
    assert set(VERBS) >= SERVICES
