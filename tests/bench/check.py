"""A rate counts only when the result is right: every record is accounted for and every balance is exact."""

from datetime import datetime

import asyncpg

from meter.runtime.postgres import load_sql
from tests.bench.databases import SQL, Outcomes, Used, read_outcomes, sum_balances, sum_usage, to_used
from tests.bench.events import account_name
from tests.bench.notices import Notice, expected_notices
from tests.bench.workload import Expected

MODEL_CREDITS, TOOL_RUNS = 1, 2


class WrongResultError(AssertionError):
    """The services were fast and wrong."""


async def check_run(
    connection: asyncpg.Connection, expected: Expected, before: Outcomes, since: datetime, balances: Used | None
) -> None:
    """Compare with what the workload says. `balances` are those before the run; None where none were folded."""
    check_outcomes(expected, before, await read_outcomes(connection))
    check_used(expected, await sum_usage(connection, since), "events")
    if balances is not None:
        after = await sum_balances(connection)
        used = {key: after.get(key, 0) - balances.get(key, 0) for key in after | balances}
        check_used(expected, used, "balances")


async def check_usage(connection: asyncpg.Connection, expected: Expected) -> None:
    """The slots of usage, of accounts that had none before."""
    check_used(expected, to_used(await connection.fetch(load_sql(SQL, "sum_usage_slots"))), "usage")


async def check_notices(connection: asyncpg.Connection, expected: Expected, statement: str = "list_notices") -> None:
    compare_notices(expected, {tuple(row) for row in await connection.fetch(load_sql(SQL, statement))})


def compare_notices(expected: Expected, found: set[Notice]) -> None:
    wanted = expected_notices(expected)
    if found != wanted:
        wrong = sorted(found ^ wanted)
        raise WrongResultError(f"{len(wrong)} notices are missing or too many, such as {wrong[0]}")


def check_outcomes(expected: Expected, before: Outcomes, after: Outcomes) -> None:
    found = Outcomes(*(now - then for now, then in zip(after, before, strict=True)))
    wanted = Outcomes(
        expected.events, expected.duplicates, expected.rejected, 0, expected.duplicates, expected.rejected
    )
    if found != wanted:
        raise WrongResultError(f"of {expected.records} records came {found}, and should have come {wanted}")


def check_used(expected: Expected, used: Used, where: str) -> None:
    """Micro-unit by micro-unit, for every account and resource."""
    wanted = used_of(expected)
    found = {key: amount for key, amount in used.items() if amount}
    if found != wanted:
        wrong = [key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)]
        first = wrong[0]
        raise WrongResultError(
            f"{len(wrong)} sums of {where} are wrong, such as {first}: {found.get(first)} for {wanted.get(first)}"
        )


def used_of(expected: Expected) -> Used:
    totals = ((MODEL_CREDITS, expected.credits), (TOOL_RUNS, expected.runs))
    return {
        (account_name(index), resource): amount
        for resource, amounts in totals
        for index, amount in enumerate(amounts)
        if amount
    }
