"""What to do where Postgres refuses a right: nobody is told to take the role that they have."""

import asyncpg
import pytest
from typer.testing import CliRunner

from meter.runtime.postgres import explain_misconfigured
from meter.runtime.process.verb_roles import ROLES
from tests.support.verbs import APPS

DENIED = asyncpg.InsufficientPrivilegeError("permission denied for table rejections")


def say(role: str, needed: str) -> str:
    said = explain_misconfigured(DENIED, address="localhost:5432", role=role, needed=needed)
    assert said is not None and "permission denied for table rejections. " in said
    return said.partition("permission denied for table rejections. ")[2]


@pytest.mark.parametrize("needed", sorted(set(ROLES.values())))
def test_who_has_the_role_of_the_verb_is_told_that_it_lacks_a_right(needed: str) -> None:
    advice = say(needed, needed)
    assert "Take the role" not in advice and needed not in advice
    assert "`meter setup`" in advice


@pytest.mark.parametrize("needed", sorted(set(ROLES.values())))
def test_who_has_another_is_told_which_one_alone(needed: str) -> None:
    role = next(other for other in sorted(set(ROLES.values())) if other != needed)
    advice = say(role, needed)
    assert advice.startswith(f"Take the role {needed} in METERING_POSTGRES_DSN;") and role not in advice


@pytest.mark.parametrize("role", sorted(set(ROLES.values())))
def test_where_the_verb_is_not_known_no_role_is_named(role: str) -> None:
    assert "credit_" not in say(role, "") and "--help" in say(role, "")


@pytest.mark.parametrize(
    ("verb", "needed"),
    [("meter setup --check", "credit_owner"), ("projections rebuild balances --dry-run", "credit_projections")],
)
def test_a_verb_that_is_refused_names_its_own_role(verb: str, needed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise DENIED

    monkeypatch.setenv("METERING_POSTGRES_DSN", "postgresql://credit_support@localhost/metering")
    monkeypatch.setattr("meter.setup.check_setup", refuse)
    monkeypatch.setattr("meter.runtime.postgres.opened_pool", refuse)
    name, *arguments = verb.split()
    done = CliRunner().invoke(APPS[name], arguments)
    said = " ".join(done.output.split())
    assert done.exit_code == 1 and f"Take the role {needed} in METERING_POSTGRES_DSN" in said
    assert said.count("credit_support") == 1, "it is who was refused"
