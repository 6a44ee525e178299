"""What a verb says of its arguments names no option that it does not have."""

import re

import pytest

from meter.typed import NEXT, WITH_OPTION, describe_fault
from schemas.reasons import InvalidEventError, Reason
from tests.support.verbs import VERBS, find

SENDING = [verb for verb in VERBS if any("--event-id" in parameter.opts for parameter in find(verb).params)]


def options_of(verb: tuple[str, ...]) -> list[str]:
    return [name for parameter in find(verb).params for name in parameter.opts]


@pytest.mark.parametrize("verb", SENDING, ids=" ".join)
def test_advice_names_no_option_that_the_verb_lacks(verb: tuple[str, ...]) -> None:
    """`meter open` with a bad address ended with "--none takes all contacts away"."""
    options = options_of(verb)
    for reason in Reason:
        said = describe_fault(InvalidEventError(reason, "it is wrong"), options)
        assert set(re.findall(r"--[a-z-]+", said)) <= set(options), said


def test_no_option_is_named_without_being_asked_for() -> None:
    assert "--" not in " ".join(NEXT.values())


@pytest.mark.parametrize(("reason", "option"), [(reason, option) for reason, (option, _) in WITH_OPTION.items()])
def test_each_option_is_named_where_some_verb_has_it(reason: Reason, option: str) -> None:
    having = [verb for verb in SENDING if option in options_of(verb)]
    assert having
    assert all(option in describe_fault(InvalidEventError(reason, "it is wrong"), options_of(verb)) for verb in having)
