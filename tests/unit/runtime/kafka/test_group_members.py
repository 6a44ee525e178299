"""How many members a group has, by what DescribeGroups answers."""

import pytest
from aiokafka.errors import CoordinatorNotAvailableError, GroupAuthorizationFailedError

from meter.runtime.kafka.adapter.groups import count_of

GONE = 69


@pytest.mark.parametrize(("code", "members", "count"), [(0, [], 0), (0, ["one", "two"], 2), (GONE, [], 0)])
def test_members_are_counted(code: int, members: list[str], count: int) -> None:
    assert count_of((code, "credit-meter", "Stable", "consumer", "range", members)) == count


@pytest.mark.parametrize(("code", "error"), [(15, CoordinatorNotAvailableError), (30, GroupAuthorizationFailedError)])
def test_a_group_that_cannot_be_asked_is_not_one_without_members(code: int, error: type[Exception]) -> None:
    """`meter recover` would begin a new generation beside a meter that runs."""
    with pytest.raises(error, match="credit-meter"):
        count_of((code, "credit-meter", "", "", "", []))
