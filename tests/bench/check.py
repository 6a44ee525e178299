"""A rate counts only when the result is right: every record is accounted for and every balance is exact."""

from datetime import datetime

import asyncpg

from tests.bench.databases import Outcomes, Used, read_outcomes, sum_balances, sum_usage
from tests.bench.events import account_name
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


def check_outcomes(expected: Expected, before: Outcomes, after: Outcomes) -> None:
    found = Outcomes(*(now - then for now, then in zip(after, before, strict=True)))
    wanted = Outcomes(
        expected.events, expected.duplicates, expected.rejected, 0, expected.duplicates, expected.rejected
    )
    if found != wanted:
        raise WrongResultError(f"of {expected.records} records came {found}, and should have come {wanted}")


def check_used(expected: Expected, used: Used, where: str) -> None:
    """Micro-unit by micro-unit, for every account and resource."""
    wanted = to_used(expected)
    found = {key: amount for key, amount in used.items() if amount}
    if found != wanted:
        wrong = [key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)]
        first = wrong[0]
        raise WrongResultError(
            f"{len(wrong)} sums of {where} are wrong, such as {first}: {found.get(first)} for {wanted.get(first)}"
        )


def to_used(expected: Expected) -> Used:
    totals = ((MODEL_CREDITS, expected.credits), (TOOL_RUNS, expected.runs))
    return {
        (account_name(index), resource): amount
        for resource, amounts in totals
        for index, amount in enumerate(amounts)
        if amount
    }
