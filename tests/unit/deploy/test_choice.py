"""The first server that can be had is picked, with the reasons against those before it."""

import pytest

from deploy.local.child import UnavailableError
from deploy.local.choice import Candidate, Forecast, Picked, forecast, pick


def candidate(name: str, missing: str | None = None, failure: str | None = None) -> Candidate[str]:
    def start() -> str:
        if failure is not None:
            raise UnavailableError(failure)
        return f"{name} runs"

    return Candidate(name, lambda: missing, start)


GOOD, SECOND = candidate("good"), candidate("second")
ABSENT, BROKEN = candidate("absent", missing="is not there"), candidate("broken", failure="does not start")


def test_the_first_is_picked() -> None:
    assert pick([GOOD, SECOND]) == Picked("good", "good runs", ())


def test_what_is_missing_or_fails_is_passed_over_with_its_reason() -> None:
    assert pick([ABSENT, BROKEN, GOOD]) == Picked(
        "good", "good runs", ("absent: is not there", "broken: does not start")
    )


def test_nothing_to_be_had_gives_every_reason() -> None:
    with pytest.raises(UnavailableError, match="absent: is not there; broken: does not start"):
        pick([ABSENT, BROKEN])


def test_a_forced_one_is_picked_although_a_better_one_is_there() -> None:
    assert pick([GOOD, SECOND], "second").name == "second"


@pytest.mark.parametrize("forced", ["absent", "broken"])
def test_a_forced_one_that_is_missing_is_never_replaced(forced: str) -> None:
    with pytest.raises(UnavailableError, match=f"{forced}: "):
        pick([ABSENT, BROKEN, GOOD], forced)


def test_forcing_an_unknown_one_names_those_there_are() -> None:
    with pytest.raises(UnavailableError, match=r"'other'.*absent, good"):
        pick([ABSENT, GOOD], "other")


def test_the_forecast_starts_nothing() -> None:
    assert forecast([ABSENT, BROKEN, GOOD]) == Forecast("broken", ("absent: is not there",))
    assert forecast([ABSENT]) == Forecast(None, ("absent: is not there",))
