"""Several questions as one statement: Postgres answers them as of one moment, in one round trip.

Each stays a statement of its own, in its own file. What a few rows take to be written and read as JSON is less than a
round trip takes, and a transaction for a common snapshot takes two more.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

from meter.runtime.postgres.pool import Executor
from meter.runtime.postgres.statements import load_sql

PARAMETER: Final = re.compile(r"\$(\d+)")

JsonRows = list[dict[str, Any]]  # by column, as JSON has them: times and UUIDs are text


async def fetch_together(connection: Executor, package: str, asked: Mapping[str, Sequence[Any]]) -> dict[str, JsonRows]:
    """The rows of each statement; `asked` holds their parameters by name."""
    statement = join_statements(package, tuple((name, len(parameters)) for name, parameters in asked.items()))
    row = await connection.fetchrow(statement, *chain.from_iterable(asked.values()))
    if row is None:
        raise LookupError("a statement without FROM has one row")
    return {name: json.loads(row[name]) for name in asked}


@cache
def join_statements(package: str, counts: Sequence[tuple[str, int]]) -> str:
    """`counts` holds the names of the statements, and how many parameters each has."""
    columns, before = [], 0
    for name, count in counts:
        text = renumber(load_sql(package, name), before)
        columns.append(f"(SELECT coalesce(json_agg(r), '[]') FROM (\n{text}\n) AS r) AS {name}")
        before += count
    return "SELECT " + ",\n".join(columns)


def renumber(statement: str, before: int) -> str:
    """The statement, with so many parameters before its own."""
    return PARAMETER.sub(lambda found: f"${int(found[1]) + before}", statement)
