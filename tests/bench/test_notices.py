"""The notices of a backlog follow from what was used; one too many or too few ends a run."""

import pytest

from tests.bench.check import WrongResultError, compare_notices
from tests.bench.events import MICRO, account_name
from tests.bench.notices import expected_notices
from tests.bench.workload import Expected


def make_expected(credits: int, runs: int) -> Expected:
    """Of two accounts the second used something; micro-units."""
    expected = Expected(2)
    expected.credits[1], expected.runs[1] = credits, runs
    return expected


@pytest.mark.parametrize(
    ("credits", "runs", "banners", "emails"),
    [
        (15 * MICRO - 1, 0, [], []),
        (15 * MICRO, 0, [20], []),
        (75 * MICRO, 0, [20, 50, 70, 80, 90, 100], [50, 70, 80, 90]),
        (0, 7_000 * MICRO, [20, 50, 70], [50, 70]),
    ],
)
def test_a_line_is_crossed_when_it_is_reached(credits: int, runs: int, banners: list[int], emails: list[int]) -> None:
    resource = "model_credits" if credits else "tool_runs"
    found = expected_notices(make_expected(credits, runs))
    assert found == {
        (account_name(1), resource, channel, line)
        for channel, lines in (("banner", banners), ("email", emails))
        for line in lines
    }


def test_a_notice_too_many_or_too_few_is_an_error() -> None:
    expected = make_expected(40 * MICRO, 0)
    right = expected_notices(expected)
    compare_notices(expected, right)
    for wrong in (set(), right | {(account_name(0), "tool_runs", "banner", 20)}):
        with pytest.raises(WrongResultError, match=r"account|acct"):
            compare_notices(expected, wrong)
