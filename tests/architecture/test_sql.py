"""Every SQL file: one statement that prepares on a migrated database, opened by its purpose and its parameters."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from meter.runtime.postgres.citus import for_citus
from meter.runtime.postgres.statements import fill_codes

ROOT = Path(__file__).parents[2]
PACKAGES = ("meter", "projections", "notifier")
FILES = sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("sql/*.sql"))
# What `meter setup` asks of Citus alone: plain Postgres has neither its functions nor its tables.
OF_CITUS = {
    "copy_to_all_nodes.sql",
    "count_citus_nodes.sql",
    "distribute_function.sql",
    "distribute_log.sql",
    "distribute_table.sql",
    "list_local_functions.sql",
    "list_rights_of_defaults.sql",
    "list_undistributed.sql",
}
TYPES = (
    "text|bytea|uuid|bigint|smallint|integer|int|double precision|numeric|boolean|timestamptz|date|interval|jsonb|json"
)
# `$1 name type`, `$2 several words type[]`, `$3 name type or null`, `$4 name type (a remark)`
PARAMETER = re.compile(rf"\$(\d+) [a-z][a-z_ ]*? ((?:{TYPES})(?:\[\])?)(?: or null)?(?: \([^)]*\))?[,.]?(?= \$|$)")
# Short names as they are written; Postgres reports the long ones.
LONG = {
    "int": "int4",
    "bigint": "int8",
    "smallint": "int2",
    "boolean": "bool",
    "integer": "int4",
    "double precision": "float8",
}
# A code of meter.event_types as a number, in a comparison, a list, a range or a CASE.
BARE_CODE = re.compile(
    r"\btype\s*(?:=|<>|!=|<=?|>=?)\s*\d"
    r"|\btype\s+(?:NOT\s+)?(?:IN\s*\([^)]*(?<![\w.])\d|BETWEEN\s+\d|BETWEEN\s+\S+\s+AND\s+\d)"
    r"|\bCASE\s+(?:\w+\.)?type\s+(?:(?!\bEND\b).)*?\bWHEN\s+\d",
    re.IGNORECASE | re.DOTALL,
)
NAME = re.compile(r"^[a-z]+(_[a-z0-9]+)+\.sql$")

every_file = pytest.mark.parametrize("file", FILES, ids=str)


def header_of(file: Path) -> list[str]:
    """The comment lines a file opens with, without their dashes."""
    lines = []
    for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return lines


def parameters_of(file: Path) -> dict[int, str]:
    """Number and type of the parameters the header names."""
    header = header_of(file)
    first = next((number for number, line in enumerate(header) if line.startswith("$")), len(header))
    text = " ".join(header[first:])
    return {int(number): kind for number, kind in PARAMETER.findall(text)}


def statement_of(file: Path) -> str:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("--"))


def test_sql_files_are_found() -> None:
    assert {file.parts[0] for file in FILES} == set(PACKAGES)


@every_file
def test_the_name_is_a_verb_and_a_noun(file: Path) -> None:
    assert NAME.match(file.name)


@every_file
def test_the_header_says_the_purpose_first(file: Path) -> None:
    first = header_of(file)[:1]
    assert first and re.match(r"[A-Za-z].*\w", first[0]), "the first line is `-- Purpose`"


@every_file
def test_the_header_names_every_parameter_in_order(file: Path) -> None:
    used = {int(number) for number in re.findall(r"\$(\d+)", statement_of(file))}
    assert list(parameters_of(file)) == sorted(used) == list(range(1, len(used) + 1))


@every_file
def test_no_type_code_is_a_bare_number(file: Path) -> None:
    """`{{credits.granted.v1}}` and not 13: loading fills codes in from the contracts."""
    assert not BARE_CODE.search(statement_of(file))


@pytest.mark.parametrize(
    "condition",
    [
        "e.type = 14", "v.type <> 13", "type<10", "type >= 10", "l.type > 4", "type IN (1, 2)",
        "type NOT IN ({{usage}}, 14)",
        "e.type BETWEEN 1 AND 4", "type BETWEEN {{first_usage}} AND 4", "CASE e.type WHEN 14 THEN a END",
        "CASE type WHEN {{usage.reversed.v1}} THEN a WHEN 13 THEN b END",
    ],
)  # fmt: skip
def test_a_bare_number_is_found(condition: str) -> None:
    assert BARE_CODE.search(condition)


async def test_every_file_prepares_with_the_types_of_its_header(dsn: str) -> None:
    """One connection for all: a file that does not prepare, or whose parameters have other types, is named."""
    connection = await asyncpg.connect(dsn)
    try:
        plain = [file for file in FILES if file.name not in OF_CITUS]
        faults = {str(file): fault for file in plain if (fault := await find_fault(connection, file))}
    finally:
        await connection.close()
    assert not faults, "\n".join(f"{file}: {fault}" for file, fault in faults.items())


async def test_what_only_citus_needs_prepares_with_the_same_parameters(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        marked = [file for file in FILES if "/*citus" in (ROOT / file).read_text(encoding="utf-8")]
        assert len(marked) > 40
        faults = {str(file): fault for file in marked if (fault := await find_fault(connection, file, for_citus))}
    finally:
        await connection.close()
    assert not faults, "\n".join(f"{file}: {fault}" for file, fault in faults.items())


async def find_fault(connection: asyncpg.Connection, file: Path, form: Callable[[str], str] = str) -> str | None:
    try:
        prepared = await connection.prepare(form(fill_codes((ROOT / file).read_text(encoding="utf-8"))))
    except asyncpg.PostgresError as error:
        return str(error)
    real = [normal(parameter.name) for parameter in prepared.get_parameters()]
    said = [normal(kind) for kind in parameters_of(file).values()]
    return None if real == said else f"the header says {said}, Postgres says {real}"


def normal(kind: str) -> str:
    """`int[]`, `_int4` and `int4[]` are one type."""
    array = kind.endswith("[]") or kind.startswith("_")
    base = kind.removesuffix("[]").removeprefix("_")
    return LONG.get(base, base) + ("[]" if array else "")


GROUPED = re.compile(r"\b(?:SELECT|INSERT|UPDATE|DELETE)\b.*\b[0-9]+_[0-9]", re.DOTALL)


def with_grouped_digits(text: str) -> list[int]:
    """Lines of a module at which a statement begins that has such a number."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and GROUPED.search(node.value)
    ]


def test_statements_are_read_by_every_postgres_that_is_promised() -> None:
    """20_000 is a number from Postgres 16 on: on 15 the tests that only prepare data with it fail."""
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for folder in ("meter", "projections", "notifier", "deploy", "tests")
        for path in (ROOT / folder).rglob("*.py")
        for line in with_grouped_digits(path.read_text(encoding="utf-8"))
    ]
    assert found == []
    statement = f"SELECT n\\nFROM generate_series(1, {20_000:_}) n"  # with it spelled out, this file were found
    assert with_grouped_digits(f"x = '{statement}'") == [1], "one can be found"
