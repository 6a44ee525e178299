"""Every verb that asks the database says in its help as which role, and the table has no verb that is not there."""

import pytest
from typer.testing import CliRunner

from meter.roles import ROLES as MADE
from meter.runtime.process.verb_roles import ROLES
from tests.support.verb_arguments import ARGUMENTS, POSTGRES
from tests.support.verbs import APPS, VERBS

ASKING = {" ".join(verb) for verb in VERBS if POSTGRES in ARGUMENTS[" ".join(verb)].needs}


def test_each_verb_that_asks_the_database_has_its_role() -> None:
    assert set(ROLES) == ASKING
    assert set(ROLES.values()) <= {"credit_owner", *(f"credit_{role}" for role in MADE)}


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_its_help_names_that_role_alone_as_the_one_to_take(verb: tuple[str, ...]) -> None:
    shown = " ".join(CliRunner().invoke(APPS[verb[0]], [*verb[1:], "--help"]).output.split())
    role = ROLES.get(" ".join(verb))
    assert ("Role in METERING_POSTGRES_DSN:" in shown) == (role is not None)
    assert role is None or f"Role in METERING_POSTGRES_DSN: {role}" in shown
