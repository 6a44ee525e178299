"""What notices the backlog must lead to: a reference of its own, from the amounts that the workload used."""

from collections.abc import Iterator

from tests.bench.events import MICRO, account_name
from tests.bench.workload import Expected

FREE = {"model_credits": 75 * MICRO, "tool_runs": 10_000 * MICRO}  # of each account, at its opening
LINES = {"banner": (20, 50, 70, 80, 90, 100), "email": (50, 70, 80, 90)}
Notice = tuple[str, str, str, int]  # account, resource, channel, line


def expected_notices(expected: Expected) -> set[Notice]:
    """Usage alone: nobody's credits were added to, so each line at or below what is used was crossed once."""
    return {
        (account, resource, channel, line)
        for account, resource, used in amounts(expected)
        for channel, lines in LINES.items()
        for line in lines
        if used * 100 >= line * FREE[resource]
    }


def amounts(expected: Expected) -> Iterator[tuple[str, str, int]]:
    for resource, used in (("model_credits", expected.credits), ("tool_runs", expected.runs)):
        for index, amount in enumerate(used):
            yield account_name(index), resource, amount
