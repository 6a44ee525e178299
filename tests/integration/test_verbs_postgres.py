"""Every verb, where it cannot use Postgres: a sentence with what was tried, which variable, and what to do.

Which verbs there are follows from the commands: a new one must say in `tests/support/verb_arguments.py` what it needs.
"""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from meter.runtime.process.verb_roles import ROLES
from tests.support.databases import Databases
from tests.support.locked_postgres import LOCKED, STRANGER, LockedPostgres
from tests.support.processes import Processes
from tests.support.readiness import is_unready
from tests.support.verb_arguments import ARGUMENTS, POSTGRES
from tests.support.verb_faults import WRONG, Fault, try_verb
from tests.support.verbs import SERVICES, VERBS
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("locked_postgres")

NOWHERE = "127.0.0.1:1"
END_S = 60


def faults(postgres: LockedPostgres, database: str) -> dict[str, Fault]:
    here, at = f"127.0.0.1:{postgres.port}", "METERING_POSTGRES_DSN"
    login = f"{here}/{database}"

    def fault(dsn: str, code: int, *words: str) -> Fault:
        return Fault({at: f"postgresql://{dsn}"}, code, [at, *words])

    return {
        "away": fault(f"r:{WRONG}@{NOWHERE}/x", 3, f"at {NOWHERE}", "nothing listens", f"Start it, or correct {at}"),
        "no such host": fault(f"r:{WRONG}@db.invalid/x?sslmode=disable", 3, "no address is known", f". Correct {at}"),
        "wrong password": fault(f"{LOCKED}:{WRONG}@{login}", 2, here, f"role {LOCKED}", "METERING_POSTGRES_PASSWORD"),
        "no password": fault(f"{LOCKED}@{login}", 2, here, f"role {LOCKED}", "METERING_POSTGRES_PASSWORD"),
        "no such role": fault(f"nobody@{login}", 2, here, "role nobody"),
        "no such database": fault(f"postgres@{here}/nowhere", 2, here, "nowhere"),
        "no right": fault(f"{STRANGER}@{login}", 1),
        "no tables": fault(f"postgres@{here}/postgres", 1, here, "`meter setup`"),
    }


NAMES = ("away", "no such host", "wrong password", "no password", "no such role", "no such database", "no right")
PASSING = ("away", "no such host")  # a service tries again
# They come to these faults later: setup makes the tables, the others ask Kafka first whether a service runs.
ASK_KAFKA = {("meter", "recover"), ("notifier", "reread")}
LATER = {"no tables": {("meter", "setup"), *ASK_KAFKA}, "no right": ASK_KAFKA}


@pytest.fixture(scope="module")
def database(locked_postgres: LockedPostgres) -> str:
    return asyncio.run(Databases(locked_postgres.dsn()).create()).rpartition("/")[2]


@pytest.mark.parametrize("name", [*NAMES, "no tables"])
@pytest.mark.usefixtures("installed")
def test_every_verb_says_why_it_cannot_use_postgres(
    name: str, locked_postgres: LockedPostgres, database: str, tmp_path: Path, env: dict[str, str]
) -> None:
    fault = faults(locked_postgres, database)[name]
    asked = [verb for verb in VERBS if verb not in SERVICES and POSTGRES in ARGUMENTS[" ".join(verb)].needs]
    wrong = [
        said
        for verb in asked
        if verb not in LATER.get(name, ())
        and (said := try_verb(verb, with_role(fault, name, verb), env, directory=str(tmp_path)))
    ]
    assert wrong == [], "\n".join(wrong)


def with_role(fault: Fault, name: str, verb: tuple[str, ...]) -> Fault:
    """Whoever is refused is told which role this verb takes."""
    return fault._replace(words=[*fault.words, ROLES[" ".join(verb)]]) if name == "no right" else fault


def test_every_verb_has_arguments_for_these_tests() -> None:
    assert {" ".join(verb) for verb in VERBS} == set(ARGUMENTS)


@pytest.mark.parametrize("verb", sorted(SERVICES), ids=" ".join)
@pytest.mark.parametrize("name", ["wrong password", "no such database", "no right"])
@pytest.mark.usefixtures("installed")
async def test_a_service_says_the_sentence_and_tries_again(
    verb: tuple[str, str], name: str, locked_postgres: LockedPostgres, database: str, processes: Processes
) -> None:
    """In its log, and to whoever asks whether it is ready: the password may be mended without it."""
    dsn = faults(locked_postgres, database)[name].changes["METERING_POSTGRES_DSN"]
    service = processes.make(*verb, postgres_dsn=dsn).spawn()
    await until(partial(is_unready, service, "postgres", "METERING_POSTGRES_DSN"), END_S, service.output)
    await until(lambda: len(service.logged("access_refused")) >= 2, END_S, service.output)
    assert all("METERING_POSTGRES_DSN" in entry["detail"] for entry in service.logged("access_refused"))
    assert service.running and "Traceback" not in service.output() and WRONG not in service.output()
