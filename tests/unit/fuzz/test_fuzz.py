"""The short form of the campaigns on records and sequences, and that they find what they are for."""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fuzz.campaign import Level, run
from tests.fuzz.record_level import RecordLevel
from tests.fuzz.records import draw_records
from tests.fuzz.reference import Reference
from tests.fuzz.sequence_level import SequenceLevel

SHORT = range(300)


def nothing(_count: int) -> None:
    pass


@pytest.mark.parametrize("level", [RecordLevel(), SequenceLevel()], ids=lambda level: level.name)
def test_no_input_is_a_failure(level: Level[Any]) -> None:
    failures = list(run(level, 1, SHORT, nothing))
    assert [failure.text() for failure in failures] == []


def test_a_wrong_rule_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference forgets that a closed account is not allowed: one opening and one closing show it."""
    count = Reference._count

    def forget(self: Reference, op: object) -> None:
        if getattr(op, "kind", "") != "close":
            count(self, op)  # type: ignore[arg-type]

    monkeypatch.setattr(Reference, "_count", forget)
    failure = next(run(SequenceLevel(), 1, range(300), nothing))
    assert "allowed" in failure.fault
    assert len([line for line in failure.shown.splitlines() if line]) == 2


def test_an_exception_is_a_failure_with_the_input_that_is_left() -> None:
    class Level:
        name, unit, drawn = "numbers", "numbers", 0

        def draw(self, draw: random.Random) -> list[int]:
            return [draw.randrange(100) for _ in range(50)]

        def check(self, drawn: list[int]) -> str | None:
            return str(1 / (0 if 7 in drawn else 1)) and None

        def smaller(self, drawn: list[int]) -> Iterator[list[int]]:
            return ([*drawn[:at], *drawn[at + 1 :]] for at in range(len(drawn)))

        def show(self, drawn: list[int]) -> str:
            return repr(drawn)

    failures = list(run(Level(), 1, range(20), nothing))
    assert failures
    assert {failure.shown for failure in failures} == {"[7]"}
    assert all("ZeroDivisionError" in failure.fault for failure in failures)


def test_the_same_seed_and_number_draw_the_same() -> None:
    assert draw_records(random.Random("a")) == draw_records(random.Random("a"))
