"""Fault points: they do nothing unless armed, and then fail at exactly the visit that is armed."""

import pytest

from meter.runtime import fault_points
from meter.runtime.fault_points import InjectedError, fault_point, parse_fault_points


@pytest.fixture
def armed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fault_points, "_armed", parse_fault_points("after_fetch:2:raise, before_commit:1:bug"))
    monkeypatch.setattr(fault_points, "_visits", {})


async def test_does_nothing_when_none_is_armed() -> None:
    await fault_point("after_fetch")


@pytest.mark.usefixtures("armed")
async def test_fails_at_the_visit_that_is_armed() -> None:
    await fault_point("after_fetch")
    with pytest.raises(InjectedError, match="after_fetch"):
        await fault_point("after_fetch")
    await fault_point("after_fetch")


@pytest.mark.usefixtures("armed")
async def test_a_bug_is_not_transient() -> None:
    with pytest.raises(RuntimeError, match="before_commit"):
        await fault_point("before_commit")


def test_an_unknown_action_is_refused() -> None:
    with pytest.raises(ValueError, match="explode"):
        parse_fault_points("after_fetch:1:explode")
