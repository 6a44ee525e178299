"""Every verb that asks Postgres alone may do what it does in the role that its help names."""

import os

from typer.testing import CliRunner

from deploy.local.stack import Addresses
from meter.runtime.process.verb_roles import ROLES
from tests.support.processes import Processes
from tests.support.verb_arguments import ARGUMENTS, EMAIL, POSTGRES
from tests.support.verbs import APPS, SERVICES, VERBS

READING = [verb for verb in VERBS if ARGUMENTS[" ".join(verb)].needs == {POSTGRES} and verb not in SERVICES]


def test_each_may_read_what_it_asks_for(processes: Processes, stack: Addresses, env: dict[str, str]) -> None:
    """What it asks for may not be there; that it may ask is the matter."""
    done = processes.run("meter", "setup")
    assert done.returncode == 0, done.stderr
    cleared = dict.fromkeys(name for name in os.environ if name.startswith(("METERING_", "PG")))
    wrong = []
    for verb in READING:
        name = " ".join(verb)
        dsn = stack.dsn(env["METERING_POSTGRES_DSN"].rpartition("/")[2], ROLES[name])
        typed = ARGUMENTS[name].arguments.replace("--dry-run", "").format(rejection="1", event=EMAIL, directory=".")
        as_role = cleared | env | {"METERING_POSTGRES_DSN": dsn}
        ended = CliRunner().invoke(APPS[verb[0]], [*verb[1:], *typed.split()], env=as_role)
        if ended.exit_code not in (0, 1) or "Role" in ended.stderr or "refuses" in ended.stderr:
            wrong.append(f"{name}: {ended.exit_code} {ended.stderr!r} {ended.exception!r}")
    assert len(READING) > 15 and wrong == []
