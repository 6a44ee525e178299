"""Fault points: nothing unless asked, then at exactly the passing that was asked for."""

import pytest

from meter.runtime import fault_points
from meter.runtime.fault_points import InjectedError, fault_point, read_points


@pytest.fixture
def points_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fault_points, "_points", read_points("after_fetch:2:raise, before_commit:1:bug"))
    monkeypatch.setattr(fault_points, "_passings", {})


async def test_does_nothing_when_none_are_set() -> None:
    await fault_point("after_fetch")


@pytest.mark.usefixtures("points_set")
async def test_fails_at_the_passing_asked_for() -> None:
    await fault_point("after_fetch")
    with pytest.raises(InjectedError, match="after_fetch"):
        await fault_point("after_fetch")
    await fault_point("after_fetch")


@pytest.mark.usefixtures("points_set")
async def test_a_bug_is_not_transient() -> None:
    with pytest.raises(RuntimeError, match="before_commit"):
        await fault_point("before_commit")


def test_an_unknown_action_is_refused() -> None:
    with pytest.raises(ValueError, match="explode"):
        read_points("after_fetch:1:explode")
