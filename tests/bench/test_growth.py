"""What is said of growth is said of medians, and of the rate that suffers more."""

import pytest
from rich.console import Console

from tests.bench.footprint import Usage
from tests.bench.growth import Point, accounts_ratio, best, growth_ratio
from tests.bench.report import growth_shape
from tests.bench.results import Figures, note_growth
from tests.bench.timing import Run


def runs(*rates: float) -> list[Run]:
    return [Run(rate, 600_000, 600_000 / rate, {}) for rate in rates]


def point(accounts: int, *meter_mb: float) -> Point:
    """Runs with so many accounts, in each of which the meter took so much memory; the first is the ingest."""
    made = [Run(1, 1, 1, {"meter": Usage(1, megabytes)}) for megabytes in meter_mb]
    return Point(0, accounts, made[:1], made[1:] or made, None)


NONE = Point(0, 10_000, runs(43_000, 44_000, 42_000), runs(34_000, 46_000, 32_000), None)
FEW = Point(5, 10_000, runs(1), runs(1), None)
MANY = Point(20, 10_000, runs(44_000, 47_000, 50_000), runs(36_000, 35_000, 17_000), None)


def test_growth_compares_none_and_most_by_the_median_of_what_suffers_more() -> None:
    assert growth_ratio([NONE, FEW, MANY]) == pytest.approx(35 / 34)


def test_a_machine_that_is_quick_for_one_run_decides_a_ratio_of_bests() -> None:
    assert growth_ratio([NONE, MANY], best) == pytest.approx(36 / 46)


def test_a_point_has_the_kinds_that_were_measured_of_it() -> None:
    figures: Figures = {}
    names = Point(0, 10_000, [], runs(60, 70, 65), None, usage=runs(30, 20, 25), names=1_000, disk_bytes=12_345_678_901)
    note_growth(figures, "growth_shape", [names, NONE._replace(partitions=48)])
    first, second = figures["growth_shape"]
    assert (first["names"], first["usage_per_s"], "ingest_per_s" in first) == (1_000, [30, 20, 25], False)
    assert (second["partitions"], "usage_per_s" in second) == (48, False)
    assert first["disk_bytes"] == 12_345_678_901
    console = Console(record=True, width=100)
    console.print(growth_shape(figures))
    shown = console.export_text()
    assert [figure for figure in ("1,000", "48", "65", "25", "43,000", "12,346") if figure not in shown] == []


def test_one_point_grows_nowhere() -> None:
    assert growth_ratio([NONE]) is None


def test_many_accounts_are_compared_with_few_by_what_suffers_more() -> None:
    few = Point(0, 10_000, runs(50, 60, 70), runs(40, 40, 40), None)
    many = Point(0, 1_000_000, runs(60, 60, 90), runs(10, 30, 35), None)
    assert accounts_ratio([Point(0, 1_000, runs(1), runs(1), None), few, many]) == pytest.approx(30 / 40)
    assert accounts_ratio([few]) is None
