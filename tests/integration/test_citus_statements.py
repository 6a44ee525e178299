"""On a Citus cluster every statement runs, or belongs to a verb that refuses there in words."""

import datetime as dt
import uuid
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from meter.runtime.postgres import Executor, load_sql
from meter.runtime.postgres.citus import for_citus
from tests.support.citus import open_distributed

pytestmark = pytest.mark.needs_citus
ROOT = Path(__file__).parents[2]
NOW: Final = dt.datetime(2026, 11, 24, 9, 30, tzinfo=dt.UTC)
VALUES: Final[Mapping[str, Any]] = dict.fromkeys(("int2", "int4", "int8"), 1) | {
    "json": "{}",
    "jsonb": "{}",
    "text": "a",
    "bytea": b"x",
    "uuid": uuid.UUID(int=7),
    "timestamptz": NOW,
    "date": NOW.date(),
    "bool": False,
    "numeric": Decimal(1),
    "float8": 1.0,
    "interval": dt.timedelta(1),
}
PACKAGES: Final = ("meter", "projections", "projections.console", "notifier")
REFUSED: Final = {
    "meter/advance_shards": "several shards in one transaction: services take one at a time",
    "meter/find_known_of_shards": "several shards in one transaction: services take one at a time",
    "meter/list_log_shards": "list_distributed_shards in its place",
    "projections.console/read_summaries": "read_summaries_apart in its place",
    **dict.fromkeys(
        (f"meter/prune_{what}" for what in ("duplicates", "rejections", "rerouted")), "meter prune refuses"
    ),
    **dict.fromkeys(("meter/allow_sealing", "meter/refuse_changes_again"), "meter seal refuses"),
    **dict.fromkeys(
        (
            "meter/copy_moved_events",
            "meter/copy_old_moved_events",
            "meter/extend_shards",
            "meter/move_accounts",
            "meter/allow_removal",
            "meter/refuse_removal",
        ),
        "meter split refuses",
    ),
    "meter/record_moved": "meter split refuses",
}
# Once for a server or a database, before there is anything to distribute.
OF_SETUP = {"create_roles", "take_create", "give_to_owner", "introduce_owner", "set_role_defaults"}
DISTRIBUTING = ("distribute_", "copy_to_all_nodes")
FAULTS_OF_VALUES = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DataError,
    asyncpg.DuplicateObjectError,  # a constraint that is there already
)


def every_statement() -> list[str]:
    files = [file for package in PACKAGES for file in (ROOT / package.replace(".", "/") / "sql").glob("*.sql")]
    chosen = [file for file in files if file.stem not in OF_SETUP and not file.stem.startswith(DISTRIBUTING)]
    return sorted(f"{'.'.join(file.relative_to(ROOT).parts[:-2])}/{file.stem}" for file in chosen)


@pytest.fixture
async def connection() -> AsyncIterator[Executor]:
    async with open_distributed() as connection:
        yield connection


async def test_every_statement_runs_or_its_verb_refuses(connection: Executor) -> None:
    said = {name: await try_statement(connection, name) for name in every_statement()}
    refused = {name: error for name, error in said.items() if error is not None}
    assert {name: error for name, error in refused.items() if name not in REFUSED} == {}
    assert sorted(refused) == sorted(REFUSED)


async def try_statement(connection: Executor, name: str) -> str | None:
    """What Citus has against it. What the made-up values break is no fault of the statement."""
    package, _, file = name.partition("/")
    statement = load_sql(package, file)
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(load_sql("meter", "go_node_by_node"))
        prepared = await connection.prepare(for_citus(statement))
        await connection.fetch(statement, *(value_of(each.name) for each in prepared.get_parameters()))
    except FAULTS_OF_VALUES:
        return None
    except asyncpg.PostgresError as error:
        return None if "violates" in str(error) else f"{type(error).__name__}: {error}"
    finally:
        await transaction.rollback()
    return None


def value_of(name: str) -> Any:
    return [VALUES[name[:-2]]] if name.endswith("[]") else VALUES[name]
